"""No text of the pages is without its Russian, and none is translated that is not there any more."""

import ast
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import provider_portal
from advertiser_api.statuses import STATUSES
from cleanroom.access.scopes import ROLES
from cleanroom.access.types import ClientMethod
from cleanroom.alarms.types import AlarmKind
from cleanroom.datasets.types import VersionStatus
from cleanroom.foureyes.deeds import SHRED, UNSAFE_POLICY
from cleanroom.foureyes.evidence import EVIDENCE_EXPORT
from cleanroom.foureyes.types import AskState, LapsedFor
from cleanroom.grants.types import AccountKind, GrantStatus
from cleanroom.marketplace.closing import DATA_GONE, PARTY_LEFT
from cleanroom.marketplace.content import content_to_data
from cleanroom.marketplace.plans import Counted
from cleanroom.marketplace.pricing import Part
from cleanroom.marketplace.statements import Position
from cleanroom.marketplace.types import Barrier, ListingState, RequestState
from cleanroom.notices.types import NoticeType
from cleanroom.redteam.run import ATTACKS
from cleanroom.redteam.types import Metric, Verdict
from cleanroom.rekeying.types import RotationState, What
from cleanroom.rules.types import TrialState
from cleanroom.schema.model import AttributeType
from cleanroom.webhooks.types import PING, DeliveryState, EndpointState, EventType, Failure
from policies.codec import PRESETS
from policies.described import DESCRIBED
from policies.diff import Direction
from policies.question import KINDS, LEVELS
from policies.reasons import KILL_SWITCH
from policies.request import ApprovalState
from policies.rules import REGISTRY
from policies.rules.sizes import OUTPUTS
from policies.sectors import SECTORS
from provider_portal.app import _NOT_FOUND
from provider_portal.error_words import ERRORS
from provider_portal.event_words import EVENTS, SLICES
from provider_portal.i18n import LANGUAGES, negotiate, translations
from provider_portal.rule_words import RULE_WORDS
from provider_portal.wording import WORDS
from tests.market import content

HOME = Path(provider_portal.__file__).parent
ROOT = HOME.parent
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
            # A bare one would be taken for a place to fill in, and the page would fail.
            assert "%" not in re.sub(r"%\(\w+\)s", "", form), message.id
            assert set(re.findall(r"%\(\w+\)s", form)) == set(re.findall(r"%\(\w+\)s", source)), message.id


def test_what_the_domain_names_has_words() -> None:
    assert (
        {role for roles in ROLES.values() for role in roles} == set(WORDS["role"]) == set(WORDS["role_hint"])
    )
    assert set(VersionStatus) == set(WORDS["version"])
    assert set(RequestState) == set(WORDS["request"])
    assert set(NoticeType) == set(WORDS["notice"])
    assert set(KINDS) <= set(WORDS["question"])
    assert set(ListingState) == set(WORDS["listing"]) == {*WORDS["way"], "superseded"}
    for table, known in (
        ("barrier", Barrier),
        ("charge", Part),
        ("counted", Counted),
        ("grant", GrantStatus),
        ("position", Position),
        ("sector", SECTORS),
    ):
        assert set(known) == set(WORDS[table]), table
    wording = content_to_data(content())
    assert set(wording) == set(WORDS["part"])
    items = [wording["terms"], *(wording[part][0] for part in ("segments", "templates", "plans"))]
    assert {name for item in items for name in item} - {"key"} <= set(WORDS["detail"])
    assert set(ApprovalState) == set(WORDS["approval_state"])
    assert set(TrialState) == set(WORDS["trial"])
    assert set(Verdict) == set(WORDS["grade"])
    assert set(Metric) == set(WORDS["metric"])
    assert set(Direction) == set(WORDS["direction"])
    assert set(PRESETS) == set(WORDS["preset"]) == set(WORDS["preset_hint"])
    assert set(LEVELS) == set(WORDS["level"])
    assert set(SECTORS) == set(WORDS["sector"])
    assert set(OUTPUTS) == set(WORDS["output"])
    assert {attack.name for attack in ATTACKS} == set(WORDS["attack"])
    assert set(REGISTRY.tags) == set(WORDS["rule"]) == set(WORDS["rule_hint"])
    assert {f"{tag}.{key.name}" for tag, keys in DESCRIBED.items() for key in keys} == set(WORDS["rule_key"])
    assert set(ClientMethod) == set(WORDS["method"])
    assert {*EventType, PING} == set(WORDS["event"])
    assert set(EndpointState) == set(WORDS["hook"])
    assert set(DeliveryState) == set(WORDS["delivery"])
    assert set(AttributeType) == set(WORDS["type"])
    assert set(Failure) == set(WORDS["failure"])
    assert set(RotationState) == set(WORDS["rotation"])
    assert set(What) == set(WORDS["rotation_of"])
    assert set(AskState) == set(WORDS["ask"])
    assert set(LapsedFor) == set(WORDS["lapsed"])
    assert {PARTY_LEFT, DATA_GONE} == set(WORDS["request_reason"])
    assert set(AlarmKind) == set(WORDS["alarm"]) == set(WORDS["alarm_means"])
    for table in ("deed", "deed_ask", "deed_do", "deed_means"):
        assert {SHRED, UNSAFE_POLICY, EVIDENCE_EXPORT} == set(WORDS[table])
    for text in (text for table in (*WORDS.values(), ERRORS, EVENTS, SLICES) for text in table.values()):
        assert translations("ru").ugettext(text) != text


def test_no_two_tables_of_words_have_one_name() -> None:
    assert {table for table in RULE_WORDS if WORDS[table] is not RULE_WORDS[table]} == set()
    assert WORDS["trial_failure"].keys() & WORDS["failure"].keys() == set()


def reason_codes() -> set[str]:
    """Every rule that a refusal can name, as the sources write it."""
    found: set[str] = set(REGISTRY.tags)
    paths = [path for package in ("policies", "cleanroom") for path in (ROOT / package).rglob("*.py")]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "Reason(" in text else ():
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason" and node.args):
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
            elif isinstance(first, ast.JoinedStr):
                # One for each account: `budget_total` and so on.
                start = first.values[0]
                assert isinstance(start, ast.Constant)
                found |= {f"{start.value}{kind}" for kind in AccountKind}
            elif isinstance(first, ast.Name):
                assert first.id == "KILL_SWITCH", f"{path}: a rule that cannot be read off"
                found.add(KILL_SWITCH)
            else:
                assert ast.unparse(first) in ("self.tag", "Purposes.tag", "value['rule']"), path
    return found


def test_every_refusal_has_words() -> None:
    codes = reason_codes()
    assert len(codes) > 30
    assert codes - set(WORDS["refusal"]) == set()
    assert set(WORDS["refusal"]) - codes == set()


# Of callers that are programs: bearers, idempotency keys, tus; and of what only a buyer asks for.
NOT_ON_PAGES = {
    "api",
    "unsealing",
    "uploads",
    "analyses",
    "cleanroom",
    "canonical",
    "schema.batch_format",
} | {
    f"access.{reason}"
    for reason in (
        "advertiser_missing",
        "bad_idempotency_key",
        "idempotency_busy",
        "idempotency_key_missing",
        "idempotency_mismatch",
        "insufficient_scope",
        "invalid_client",
        "invalid_token",
        "mandate_limited",
    )
}


def test_every_error_that_a_page_can_show_has_words() -> None:
    shown = {
        code
        for code, status in STATUSES.items()
        # These are answered by a page that says no more than that there is nothing, or that something failed.
        if not any(mark in code for mark in _NOT_FOUND)
        and status != 500
        and not code.startswith(("crypto.", "db.", "storage."))
        and not {code, code.partition(".")[0]} & NOT_ON_PAGES
    }
    assert len(shown) > 50
    assert shown - set(ERRORS) == set()


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
