"""Reports: what the JSON holds, when a verdict may be used, and a page that needs nothing else."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cleanroom.redteam.errors import UnknownPlantError
from cleanroom.redteam.report import to_html, write_report
from cleanroom.redteam.run import ATTACKS, Report, attacks_for
from cleanroom.redteam.types import AttackResult, Metric, Plot, Series, Verdict
from cleanroom.rules.types import policy_sha256
from policies.codec import load_preset
from policies.combine import combine, limits_of

PLOT = Plot("seen", "share", (Series("a <b>", ((0, 1), (1, 2))), Series("c", ((0, 0), (1, 3)), "bars")))
NAMES = [
    *("differencing", "padding", "rounding_edge", "bisection", "reconstruction", "snapshots", "averaging"),
    *("account_doubling", "collusion", "key_fanout", "optout_oracle", "refusal_oracle", "provider_flood"),
    "crash_query",
]


def result(name: str, value: float = 0.1, reach: float = 0.02, plot: Plot | None = PLOT) -> AttackResult:
    return AttackResult(name, Metric.ADVANTAGE, value, (value - reach, value + reach), 0.18, 100, plot)


def report(*results: AttackResult, plant: str | None = None) -> Report:
    policy = load_preset("standard", purposes=["research"])
    return Report(
        policy=policy,
        limits=limits_of(combine([policy])),
        results=results or tuple(result(attack.name) for attack in ATTACKS),
        titles={attack.name: attack.title for attack in ATTACKS},
        seed=5,
        games=5_000,
        plant=plant,
        at=datetime(2026, 11, 22, tzinfo=UTC),
    )


def test_an_attack_succeeds_when_its_whole_interval_lies_above_the_limit():
    assert result("a", value=0.2, reach=0.021).verdict is Verdict.RESISTS
    assert result("a", value=0.2, reach=0.019).verdict is Verdict.FALLS


def test_the_json_names_every_attack_with_its_measure_interval_limit_and_verdict():
    data = json.loads(report(result("padding", 0.3), result("averaging")).to_json())

    assert data["grade"] == "falls"
    first = data["attacks"][0]
    assert {"name", "metric", "value", "interval95", "limit", "verdict"} <= set(first)
    assert (first["name"], first["metric"], first["verdict"]) == ("padding", "advantage", "falls")
    assert first["interval95"] == pytest.approx([0.28, 0.32])
    assert [attack["verdict"] for attack in data["attacks"]] == ["falls", "resists"]


def test_the_attacks_are_those_of_the_threat_model():
    assert [attack.name for attack in ATTACKS] == NAMES


def test_a_verdict_names_the_document_and_the_report():
    made = report()
    verdict = made.verdict()

    assert (verdict.resists, verdict.grade) == (True, "resists")
    assert verdict.policy_sha256 == policy_sha256(made.policy)
    assert verdict.report_sha256 == hashlib.sha256(made.to_json().encode()).hexdigest()


def test_only_a_whole_precise_report_on_a_sound_room_lets_a_policy_be_published():
    assert not report(result("padding")).verdict().resists
    assert not report(plant="noise_off").verdict().resists
    assert not report(*(result(attack.name, reach=0.04) for attack in ATTACKS)).verdict().resists
    assert not report(*(result(attack.name, value=0.9) for attack in ATTACKS)).verdict().resists


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path):
    made = report()
    named = replace(made, policy=replace(made.policy, name="<script>alert(1)</script>"))
    page = to_html(named)

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert page.count("class='card'") == 1 + len(ATTACKS)
    assert page.count('<svg class="plot"') == len(ATTACKS)
    as_json, as_html = write_report(named, tmp_path / "out")
    assert (as_json.read_text(encoding="utf-8"), as_html.read_text(encoding="utf-8")) == (
        named.to_json(),
        page,
    )


def test_the_page_says_when_its_results_say_nothing_of_the_policy():
    assert "planted on purpose" in to_html(report(plant="noise_off"))
    assert "Too few games" in to_html(report(result("padding")))
    assert "not conclusive" in to_html(report(result("padding")))
    assert "stayed within" not in to_html(report(result("padding")))
    assert "went further than the policy promises: padding" in to_html(report(result("padding", 0.9)))


def test_an_attack_that_may_not_ask_has_no_plot():
    refused = replace(result("padding", plot=None), trials=0, note="Refused by: analyses.")

    assert "not permitted" in to_html(report(refused))
    assert "Refused by: analyses." in to_html(report(refused))


def test_a_fault_runs_the_attacks_that_it_helps():
    assert [attack.name for attack in attacks_for("threshold_on_true")] == ["padding"]
    assert attacks_for(None) == ATTACKS
    with pytest.raises(UnknownPlantError, match="sabotage"):
        attacks_for("sabotage")
