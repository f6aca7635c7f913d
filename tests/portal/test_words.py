"""No text of the pages is without its Russian, and none is translated that is not there any more."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import provider_portal
from cleanroom.access.scopes import ROLES
from cleanroom.datasets.types import VersionStatus
from cleanroom.marketplace.types import RequestState
from policies.question import KINDS
from provider_portal.i18n import LANGUAGES, negotiate, translations
from provider_portal.wording import ERRORS, WORDS

HOME = Path(provider_portal.__file__).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def sources() -> set[str]:
    found = extract_from_dir(HOME, method_map=METHODS, options_map={}, keywords=KEYWORDS)
    return {text if isinstance(text, str) else text[0] for _, _, text, *_ in found}


def russian() -> Catalog:
    with (HOME / "locale" / "ru.po").open("rb") as file:
        return read_po(file)


def test_every_text_has_its_russian_and_nothing_else_has() -> None:
    translated = {
        message.id if isinstance(message.id, str) else message.id[0] for message in russian() if message.id
    }
    assert len(translated) > 200
    assert sources() - translated == set()
    assert translated - sources() == set()


def test_every_translation_is_whole() -> None:
    for message in russian():
        if not message.id:
            continue
        forms = [message.string] if isinstance(message.string, str) else list(message.string)
        source = message.id if isinstance(message.id, str) else message.id[1]
        assert len(forms) == (1 if isinstance(message.id, str) else 3), message.id
        assert not message.fuzzy
        for form in forms:
            assert re.search("[а-яё]", form, re.IGNORECASE), message.id
            assert set(re.findall(r"%\(\w+\)s", form)) == set(re.findall(r"%\(\w+\)s", source)), message.id


def test_what_the_domain_names_has_words() -> None:
    assert (
        {role for roles in ROLES.values() for role in roles} == set(WORDS["role"]) == set(WORDS["role_hint"])
    )
    assert set(VersionStatus) == set(WORDS["version"])
    assert set(RequestState) == set(WORDS["request"])
    assert set(KINDS) <= set(WORDS["question"])
    for text in (text for table in (*WORDS.values(), ERRORS) for text in table.values()):
        assert translations("ru").ugettext(text) != text


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "ru", "ru"),
        (None, "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        (None, "en;q=0.3, ru;q=0.7", "ru"),
        (None, "de,fr;q=0.5", "en"),
        (None, "de,ru;q=0.1", "ru"),
        (None, "ru;q=x,en;q=0.1", "en"),
        (None, ",;=,,*" * 50, "en"),
        ("ru", "en", "ru"),
        ("xx", "ru", "ru"),
    ],
)
def test_the_language_is_agreed_on(chosen: str | None, accepted: str, language: str) -> None:
    assert negotiate(chosen, accepted) == language
    assert language in LANGUAGES
