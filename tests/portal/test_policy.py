"""The rule of a dataset and single questions, in a real browser: changes count from the next question on."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from policies.codec import load_preset, policy_from_yaml, policy_to_data
from policies.combine import combine
from policies.model import PolicyDocument
from policies.rules import Approval, Rule
from tests.portal.conftest import Visit
from tests.portal.world import PHONE, Cabinet, Visitor
from tests.rooms import PURPOSE
from tests.trials import report

STANDARD = load_preset("standard", purposes=[PURPOSE, "research"])


@pytest.fixture(autouse=True)
def standard(cabinet: Cabinet) -> Iterator[None]:
    """Every test begins under the same rule, and leaves the dataset released."""
    cabinet.stage.rule(STANDARD)
    yield
    with cabinet.room.db.transaction() as tx:
        cabinet.room.rules.resume(
            tx, cabinet.stage.dataset_id, organisation_id=cabinet.stage.provider.organisation_id
        )


def ask(cabinet: Cabinet, age: int, **changed: Any) -> Any:
    stage = cabinet.stage
    with stage.room.db.reading() as tx:
        grant_id = stage.room.marketplace.entitlements.entitlement(
            tx, cabinet.made["entitlement"], organisation_id=stage.advertiser.organisation_id
        ).grant_id
    question = stage.question(segments={"old": {"attribute": "age", "op": ">=", "value": age}}, **changed)
    return stage.room.analyses.ask(question, grant_id=grant_id, asker_id=stage.advertiser.organisation_id)


def reasons(answer: Any) -> list[str]:
    return [reason.rule for reason in answer.reasons]


def policy_path(cabinet: Cabinet, rest: str = "") -> str:
    return f"/datasets/{cabinet.stage.dataset_id}/policy{rest}"


def in_force(cabinet: Cabinet) -> Any:
    with cabinet.room.db.reading() as tx:
        return cabinet.room.rules.current(tx, cabinet.stage.dataset_id)


def rule_of(document: PolicyDocument, kind: type[Rule]) -> Any:
    return combine([document])[kind]


_FOCUSED = """() => {
  const it = document.activeElement;
  return (it.getAttribute('aria-label') || it.labels?.[0]?.textContent || it.textContent || '').trim();
}"""


def walk_to(page: Page, text: str, *, most: int = 150) -> None:
    """Go with the Tab key to what bears a name, as somebody without a mouse does."""
    for _ in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(_FOCUSED)
        if found == text:
            return
    raise AssertionError(f"Tab never came to {text!r}")


def entered(visit: Visit, cabinet: Cabinet, language: str = "en", **options: Any) -> Visitor:
    visitor = visit(**options)
    visitor.enter(cabinet.anna)
    visitor.prefer(language)
    return visitor


@pytest.mark.parametrize(
    ("language", "kind", "go_on", "publish", "done"),
    [
        (
            "en",
            "Overlap",
            "Go on: see what changes",
            "Publish: it counts from the next question on",
            "Published.",
        ),
        pytest.param(
            "ru",
            "Пересечение",
            "Дальше: что изменится",
            "Опубликовать: подействует со следующего запроса",
            "Опубликовано.",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_rule_is_changed_with_the_keyboard_alone_and_counts_from_the_next_question_on(
    cabinet: Cabinet, visit: Visit, language: str, kind: str, go_on: str, publish: str, done: str
) -> None:
    age = {"en": 31, "ru": 32}[language]
    assert reasons(ask(cabinet, age)) == []
    visitor = entered(visit, cabinet, language)
    page = visitor.page
    visitor.go(policy_path(cabinet, "/edit"))
    walk_to(page, kind)
    page.keyboard.press("Space")
    walk_to(page, go_on)
    page.keyboard.press("Enter")
    expect(page.get_by_role("table").first).to_contain_text(kind)
    # What becomes of the licence that stands.
    expect(page.locator("#t-grants")).to_be_visible()
    assert reasons(ask(cabinet, age + 10)) == []
    assert visitor.faults() == []
    walk_to(page, publish)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text(done)
    current = in_force(cabinet)
    assert current.set_by == cabinet.anna.user.id
    assert reasons(ask(cabinet, age + 20)) == ["analyses"]
    expect(page.locator("main")).to_contain_text(cabinet.anna.user.email)


def test_what_a_rule_means_is_shown_while_it_is_typed(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet)
    page = visitor.page
    visitor.go(policy_path(cabinet, "/edit"))
    told = page.locator("#prospect")
    expect(told).to_contain_text(
        "5,000 people are shown as 5,000 ± 62. A large grant pays for 190 such questions."
    )
    expect(told).to_contain_text("an advantage of at most 0.52 over guessing")
    page.evaluate("window.kept = true")
    page.get_by_label("One buyer", exact=True).fill("30 000")
    expect(told).to_contain_text("5,000 ± 113")
    page.get_by_label("Everyone together").fill("nothing")
    expect(told).to_contain_text("cannot be read yet")
    # No reload: what stands elsewhere on the page stays.
    assert page.evaluate("window.kept") is True
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert").first).to_contain_text("What you typed is kept.")
    expect(page.get_by_label("One buyer", exact=True)).to_have_value("30 000")
    expect(page.get_by_label("Everyone together")).to_have_value("nothing")
    expect(page.get_by_label("Everyone together")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("main")).to_contain_text("A whole number from 1 to 1,000,000,000,000.")
    assert in_force(cabinet).document.name == STANDARD.name


def test_the_text_says_what_is_wrong_at_its_line_and_keeps_every_word(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet)
    page = visitor.page
    visitor.go(policy_path(cabinet, "/edit"))
    page.get_by_role("button", name="As text").click()
    text = page.get_by_label("Policy file (YAML)")
    before = text.input_value()
    assert policy_from_yaml(before) == policy_from_yaml(before)
    broken = "# mine\n" + before.replace("min: 100\n", "min: many\n")
    line = next(number for number, one in enumerate(broken.split("\n"), 1) if "many" in one)
    text.fill(broken)
    page.get_by_role("button", name="Go on").click()
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text(f"Line {line}")
    expect(alert).to_contain_text("Minimum audience")
    expect(text).to_have_value(broken)
    text.fill(broken.replace("many", "150"))
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("h1")).to_contain_text("Publish")
    expect(page.locator("main")).to_contain_text("Nothing becomes looser.")
    assert visitor.faults() == []


def test_somebody_else_was_quicker_and_nothing_is_lost(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet)
    page = visitor.page
    visitor.go(policy_path(cabinet, "/edit"))
    page.get_by_label("People at least").first.fill("2000")
    page.get_by_role("button", name="Go on").click()
    cabinet.stage.rule(load_preset("strict", purposes=[PURPOSE]))
    page.get_by_role("button", name="Publish:").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "Somebody else has published another version meanwhile."
    )
    assert in_force(cabinet).document.name == "strict"
    # The change is compared with what is in force now.
    expect(page.get_by_role("table").first).to_contain_text("ρ 0.03")
    page.get_by_role("button", name="Publish:").click()
    expect(page.get_by_role("status").first).to_contain_text("Published.")
    current = in_force(cabinet).document
    assert current.name == STANDARD.name
    assert [rule.min for rule in current.rules if rule.tag == "base_floor"] == [2000]


@pytest.mark.slow
def test_what_is_wider_than_every_preset_waits_for_the_red_team(cabinet: Cabinet, visit: Visit) -> None:
    visitor = entered(visit, cabinet)
    page, room = visitor.page, cabinet.room
    visitor.go(policy_path(cabinet, "/edit"))
    page.get_by_label("People at least").first.fill("1")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("main")).to_contain_text("It permits more than every preset.")
    expect(page.get_by_role("button", name="Publish:")).to_have_count(0)
    page.get_by_role("button", name="Let the red team try it").click()
    expect(page.locator("main")).to_contain_text("Fourteen attacks run against this policy")
    with room.db.transaction() as tx:
        trial, runner = room.trials.take(tx)
        room.trials.beat(tx, trial.id, runner, percent=42)
    # The page looks again by itself.
    expect(page.locator("#trial")).to_contain_text("42%")
    with room.db.transaction() as tx:
        room.trials.finish(tx, trial.id, runner, report(trial.document))
    expect(page.locator("#trial")).to_contain_text("stayed within what the policy promises")
    expect(page.locator("#trial")).to_contain_text("Pad a base around one person")
    assert visitor.faults() == []
    page.get_by_role("button", name="Go on to publishing").click()
    page.get_by_role("button", name="Publish:").click()
    expect(page.get_by_role("status").first).to_contain_text("Published.")
    expect(page.locator("main")).to_contain_text("Resists")
    assert in_force(cabinet).report_sha256 is not None


@pytest.mark.parametrize("language", ["en", pytest.param("ru", marks=pytest.mark.slow)])
def test_the_kill_switch_counts_from_the_next_question_on(
    cabinet: Cabinet, visit: Visit, language: str
) -> None:
    words = {
        "en": ("Stop the dataset", "Stop", "is stopped", "Release the dataset", "Release"),
        "ru": ("Остановить набор", "Остановить", "остановлен", "Запустить набор", "Запустить"),
    }[language]
    age = {"en": 61, "ru": 71}[language]
    visitor = entered(visit, cabinet, language)
    page = visitor.page
    visitor.go(policy_path(cabinet))
    page.get_by_role("link", name=words[0]).click()
    assert reasons(ask(cabinet, age)) == []
    page.get_by_role("button", name=words[1], exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".note-bad")).to_contain_text(cabinet.anna.user.email)
    assert reasons(ask(cabinet, age + 1)) == ["kill_switch"]
    assert visitor.faults() == []
    visitor.go("/")
    expect(page.locator(".todo")).to_contain_text(words[2])
    visitor.go(policy_path(cabinet))
    page.get_by_role("link", name=words[3]).click()
    page.get_by_role("button", name=words[4], exact=True).click()
    expect(page.locator(".note-bad")).to_have_count(0)
    assert reasons(ask(cabinet, age + 2)) == []


@pytest.mark.parametrize("language", ["en", pytest.param("ru", marks=pytest.mark.slow)])
def test_a_question_is_approved_and_the_ruling_changed(cabinet: Cabinet, visit: Visit, language: str) -> None:
    words = {
        "en": (
            re.compile("questions? waits? for your approval"),
            "age is at least {age}",
            "Approve",
            "Reject",
            "Approved",
        ),
        "ru": (
            re.compile("ж(дёт|дут) вашего одобрения"),
            "age не меньше {age}",
            "Одобрить",
            "Отклонить",
            "Одобрено",
        ),
    }[language]
    age = {"en": 33, "ru": 34}[language]
    cabinet.stage.rule(PolicyDocument("asks first", (*STANDARD.rules, Approval("question"))))
    # In a second of its own, so that it is the newest.
    cabinet.stage.clock.move(seconds=1)
    assert reasons(ask(cabinet, age)) == ["approval"]
    visitor = entered(visit, cabinet, language)
    page = visitor.page
    visitor.go("/")
    page.get_by_role("link", name=words[0]).click()
    # The newest one stands first.
    page.locator("tbody a").first.click()
    expect(page.locator("main")).to_contain_text(words[1].format(age=age))
    page.get_by_role("button", name=words[2], exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(words[4])
    assert reasons(ask(cabinet, age)) == []
    page.locator("#reason").fill("Too close <b>to another</b>.")
    page.get_by_role("button", name=words[3], exact=True).click()
    expect(page.locator("main")).to_contain_text("Too close <b>to another</b>.")
    refused = ask(cabinet, age)
    assert reasons(refused) == ["approval"]
    assert "Too close" in refused.reasons[0].message


@pytest.mark.slow
def test_a_wrong_reason_keeps_what_was_typed(cabinet: Cabinet, visit: Visit) -> None:
    cabinet.stage.rule(PolicyDocument("asks first", (*STANDARD.rules, Approval("question"))))
    ask(cabinet, 35)
    visitor = entered(visit, cabinet, viewport=PHONE)
    page = visitor.page
    visitor.go("/requests/questions?state=pending&q=advert&sort=asked&order=desc")
    page.locator("tbody a").first.click()
    assert visitor.sideways() == 0
    page.locator("#reason").evaluate("it => { it.required = false; it.removeAttribute('maxlength'); }")
    page.locator("#reason").fill("x" * 501)
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert")).to_contain_text("1 to 500 characters")
    expect(page.locator("#reason")).to_have_value("x" * 501)


@pytest.mark.slow
def test_a_dataset_without_a_rule_starts_from_a_preset(cabinet: Cabinet, visit: Visit) -> None:
    stage = cabinet.stage
    schema = "match_keys: {email: {column: e}}\nlawful_basis: contract\n"
    dataset_id = stage.register("dataset", schema)
    visitor = entered(visit, cabinet)
    page = visitor.page
    visitor.go(f"/datasets/{dataset_id}/policy")
    assert visitor.faults() == []
    page.get_by_role("link", name="Strict").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("main")).to_contain_text("This is the first rule of the dataset")
    page.get_by_role("button", name="Publish:").click()
    with cabinet.room.db.reading() as tx:
        version = cabinet.room.rules.current(tx, dataset_id)
    assert version is not None
    assert (version.number, version.preset) == (1, "strict")
    event = json.loads(json.dumps(stage.events("rules.policy_set")[-1]))
    assert event["body"]["document"] == policy_to_data(version.document)
    assert event["body"]["by"] == cabinet.anna.user.id
