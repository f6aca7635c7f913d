"""What may not be an attribute: special categories of personal data, and what identifies a person directly.

The lists recognise names and declared values in English and Russian. They catch what is called by its name;
an owner who hides health data in `feature_7` is bound by the licence, not by this check.
Source: GDPR article 9; 152-FZ articles 10 and 11.
"""

import re


def _words_in(text: str) -> frozenset[str]:
    return frozenset(text.split())


# One word of a name, as a whole.
_SPECIAL_WORDS = _words_in(
    """
    race races racial ethnic ethnicity ethnos religion religious religiosity confession creed faith
    church health healthcare medical medicine diagnosis diagnoses disease diseases illness icd10
    disability disabled pregnancy pregnant hiv aids allergy allergies prescription prescriptions
    politics political sexuality homosexual biometric biometrics faceprint voiceprint fingerprint
    fingerprints genetic genetics genome dna convictions раса расы вич
    """
)
# The beginning of a word: Russian words bend.
_SPECIAL_STEMS = _words_in(
    """
    расов этнич этнос религ вероисповед конфесс здоров медицин диагноз заболеван болезн инвалид беремен
    политич партийн сексуальн биометр генетич судимост национальност
    """
)
# Words that mean it only together.
_SPECIAL_PHRASES = _words_in(
    """
    sex_life sexual_life sexual_orientation sexual_preference sexual_preferences party_membership
    political_party voting_intention trade_union union_member union_membership criminal_record
    criminal_conviction face_id face_template skin_color skin_colour blood_type политические_взгляды
    половая_жизнь интимная_жизнь член_профсоюза группа_крови отпечаток_пальца
    """
)
_SPECIAL_VALUES = _words_in(
    """
    amer_indian_eskimo asian_pac_islander african_american caucasian hispanic latino christian
    christianity muslim islam jewish judaism buddhist buddhism hindu hinduism atheist orthodox_christian
    protestant republican democrat communist heterosexual homosexual bisexual lesbian gay diabetes
    diabetic cancer oncology hiv_positive disabled православие православный мусульманин мусульмане ислам
    иудаизм иудей буддизм буддист католик атеист татарин диабет онкология гомосексуал гей лесбиянка
    инвалид
    """
)
# The whole name, its words joined by `_`: `phone` identifies, `phone_service` does not.
_IDENTIFYING_NAMES = _words_in(
    """
    name full_name fullname fio first_name firstname given_name last_name lastname surname family_name
    middle_name patronymic maiden_name customer_name client_name email e_mail mail email_address
    e_mail_address phone phones phone_number phonenumber mobile_phone mobile_number cell_phone telephone
    tel msisdn phone1 phone2 phone_1 phone_2 passport passport_number passport_no passport_series snils
    inn ssn social_security_number tax_id national_id driver_license driving_licence address
    street_address home_address postal_address ip ip_address imei imsi idfa gaid maid cookie cookie_id
    card_number pan iban account_number login username имя фио фамилия отчество полное_имя почта
    email_адрес эл_почта электронная_почта телефон номер_телефона мобильный_телефон паспорт
    номер_паспорта серия_паспорта снилс инн адрес домашний_адрес адрес_проживания номер_карты логин
    """
)
_CAMEL = re.compile(r"(?<=[a-zа-яё0-9])(?=[A-ZА-ЯЁ])")
_NOT_A_LETTER = re.compile(r"[^a-zа-яё0-9]+")


def _words(name: str) -> list[str]:
    return [word for word in _NOT_A_LETTER.split(_CAMEL.sub("_", name.strip()).lower()) if word]


def is_special_name(name: str) -> bool:
    """Tell whether a name of an attribute or of its column speaks of a special category."""
    words = _words(name)
    joined = f"_{'_'.join(words)}_"
    return (
        any(word in _SPECIAL_WORDS or word.startswith(tuple(_SPECIAL_STEMS)) for word in words)
        or any(f"_{phrase}_" in joined for phrase in _SPECIAL_PHRASES)
        or joined.strip("_") == "orientation"
    )


def is_special_value(value: str) -> bool:
    """Tell whether a declared value, as a whole, names a belief, an origin, an orientation or an illness."""
    return "_".join(_words(value)) in _SPECIAL_VALUES


def is_identifying_name(name: str) -> bool:
    """Tell whether a name of an attribute or of its column is one of what identifies a person directly."""
    return "_".join(_words(name)) in _IDENTIFYING_NAMES


def special_value_keys() -> frozenset[str]:
    """Return what `is_special_value` knows, as words joined by `_`, for checks where this code does not run."""
    return _SPECIAL_VALUES
