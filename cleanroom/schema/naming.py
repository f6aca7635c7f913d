"""What the names of a file's columns suggest, before anybody has looked at a value; people look it over."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cleanroom.schema.categories import is_identifying_name, is_special_name
from cleanroom.schema.model import AttributeType, Kind, Origin, Sensitivity

Role = Literal["person", "key", "consent", "attribute", "left_out"]

IDENTIFIER_NAMES = {
    "phone": re.compile(r"phone|mobile|msisdn|^tel|телефон", re.IGNORECASE),
    "cookie": re.compile(r"cookie", re.IGNORECASE),
    "loyalty_id": re.compile(r"loyalty|card_?(id|no|number)|карта", re.IGNORECASE),
}
"""Names that tell an identifier even to those who see the values."""
PERSON_NAME = re.compile(
    r"^(id|(client|customer|user|person|crm|member)[_ ]?id"
    r"|ид|(id|ид|код|номер)[_ ](клиента|покупателя|абонента|пользователя))$",
    re.IGNORECASE,
)
CONSENT_NAME = re.compile(r"consent|opt_?in|agree|permission|^ads$|соглас", re.IGNORECASE)

_IDENTIFIERS = {
    "email": re.compile(r"e[-_ ]?mail|^mail$|почт", re.IGNORECASE),
    "maid": re.compile(r"^(maid|idfa|gaid|aaid|advertising_?id)$", re.IGNORECASE),
    **IDENTIFIER_NAMES,
}
_HASHED = re.compile(r"hash|sha_?256|md5|(^|_)hem(_|$)|хеш|хэш", re.IGNORECASE)
_PROFILES = {
    "yandex": re.compile(r"md5|yandex|яндекс", re.IGNORECASE),
    "uid2": re.compile(r"uid2|euid", re.IGNORECASE),
    "google": re.compile(r"google", re.IGNORECASE),
    "meta": re.compile(r"meta|facebook|(^|_)fb(_|$)", re.IGNORECASE),
    "tiktok": re.compile(r"tiktok", re.IGNORECASE),
    "snap": re.compile(r"(^|_)snap", re.IGNORECASE),
    "pair": re.compile(r"(^|_)pair(_|$)", re.IGNORECASE),
}
# The first that fits; a name that tells nothing is a category.
_TYPES = {
    AttributeType.DATE: re.compile(r"date|birthday|_at$|_on$|(^|_)day$|дата|рожден", re.IGNORECASE),
    AttributeType.BOOLEAN: re.compile(r"^(is|has|was|did)_|flag|признак|флаг", re.IGNORECASE),
    AttributeType.SET: re.compile(r"tags|interests|categories|brands|интересы|категории|теги", re.IGNORECASE),
    AttributeType.DECIMAL: re.compile(
        r"amount|price|sum|revenue|spend|turnover|ltv|avg|average|rate|сумма|цена|выручк|оборот|средн",
        re.IGNORECASE,
    ),
    AttributeType.INTEGER: re.compile(
        r"(^|_)age(_|$)|count|number_of|visits|orders|days|months|years|income|score|salary|children"
        r"|возраст|количество|визит|дней|балл|доход",
        re.IGNORECASE,
    ),
}
_KINDS = {
    Kind.BEHAVIOURAL: re.compile(
        r"visit|purchas|order|click|view|spend|ltv|recency|frequency|last_|first_|count|sessions?"
        r"|покуп|заказ|визит|просмотр|чек|оборот",
        re.IGNORECASE,
    ),
    Kind.QUALITATIVE: re.compile(
        r"segment|score|interest|satisf|prefer|loyal|nps|propensity|сегмент|интерес|оценк|лояльн",
        re.IGNORECASE,
    ),
}
_DIRECT = re.compile(
    r"(^|_)age(_|$)|sex|gender|birth|city|region|country|marital|education|children|survey"
    r"|возраст|^пол$|город|регион|страна|образован|рожден|анкет",
    re.IGNORECASE,
)
_SENSITIVE = re.compile(
    r"income|salary|wage|debt|credit|loan|balance|children|marital|family|birth"
    r"|доход|зарплат|долг|кредит|заем|остаток|дети|семь|брак|рожден",
    re.IGNORECASE,
)
_NOT_IN_NAMES = re.compile(r"[^\w]+")


@dataclass(frozen=True)
class Suggested:
    """What a column may be.

    Attributes:
        column: as the file calls it.
        role: who a row is about, an identifier for matching, a consent, an attribute, or nothing that is read.
        name: how questions would call an attribute.
        refused: why it cannot be an attribute; None when it can.
        identifier: of a match key.
        form: of a match key: raw values, or digests.
        hash_profile: of a match key.
        type: of an attribute.
        kind: of an attribute.
        origin: of an attribute.
        sensitivity: of an attribute; `special` where the name says so, which is refused.
    """

    column: str
    role: Role
    name: str
    refused: Literal["special", "identifying"] | None = None
    identifier: str | None = None
    form: Literal["raw", "hashed"] = "raw"
    hash_profile: str = "room"
    type: AttributeType = AttributeType.CATEGORY
    kind: Kind = Kind.DESCRIPTIVE
    origin: Origin = Origin.INDIRECT
    sensitivity: Sensitivity = Sensitivity.NORMAL


def suggest_columns(names: Sequence[str]) -> tuple[Suggested, ...]:
    """Suggest what columns are, by their names alone.

    Args:
        names: of the columns, in the file's order.

    Returns:
        One suggestion per name, in the same order; no two attributes bear one name.
    """
    found, taken, person = [], set[str](), False
    for column in names:
        if not person and PERSON_NAME.match(column):
            person = True
            found.append(Suggested(column, "person", attribute_name(column)))
            continue
        one = _suggested(column)
        name = _free(one.name, taken)
        taken.add(name)
        found.append(one if name == one.name else _renamed(one, name))
    return tuple(found)


def attribute_name(column: str) -> str:
    """Make a name for questions of a column's name: letters, digits and `_`, beginning with a letter."""
    name = _NOT_IN_NAMES.sub("_", column).strip("_")[:60]
    return name if name and not name[0].isdigit() else f"a_{name}".rstrip("_")


def _suggested(column: str) -> Suggested:
    name = attribute_name(column)
    if is_special_name(column):
        return Suggested(column, "left_out", name, refused="special", sensitivity=Sensitivity.SPECIAL)
    identifier = next((kind for kind, pattern in _IDENTIFIERS.items() if pattern.search(column)), None)
    # `phone_service` is no phone; only whole names and hashes of one are.
    hashed = _HASHED.search(column) is not None
    if identifier and (hashed or is_identifying_name(column) or identifier in ("cookie", "loyalty_id")):
        return Suggested(
            column, "key", name, None, identifier, "hashed" if hashed else "raw", _profile(column, identifier)
        )
    if is_identifying_name(column):
        return Suggested(column, "left_out", name, refused="identifying")
    if CONSENT_NAME.search(column):
        return Suggested(column, "consent", name)
    return Suggested(
        column,
        "attribute",
        name,
        type=next((one for one, pattern in _TYPES.items() if pattern.search(column)), AttributeType.CATEGORY),
        kind=next((one for one, pattern in _KINDS.items() if pattern.search(column)), Kind.DESCRIPTIVE),
        origin=Origin.DIRECT if _DIRECT.search(column) else Origin.INDIRECT,
        sensitivity=Sensitivity.SENSITIVE if _SENSITIVE.search(column) else Sensitivity.NORMAL,
    )


def _profile(column: str, identifier: str) -> str:
    if identifier not in ("email", "phone"):
        return "room"
    return next((name for name, pattern in _PROFILES.items() if pattern.search(column)), "room")


def _free(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _renamed(one: Suggested, name: str) -> Suggested:
    return Suggested(**{**vars(one), "name": name})
