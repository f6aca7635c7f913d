"""The demo, run as a newcomer runs it: the whole way from two plain files to a proof, on real services."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cleanroom.cli.main import app
from cleanroom.client.receipts import verify_receipt
from cleanroom.demo.population import write_population
from cleanroom.demo.truth import true_counts

PEOPLE, BASE = 20_000, 5_000


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("somewhere"))
        found = json.loads(run("demo", "--json", "--people", PEOPLE, "--base-size", BASE))
        found["receipts"] = [Path(path).resolve() for path in found["receipts"]]
        found["chart"] = Path(found["chart"]).resolve()
    return found


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = write_population(tmp_path_factory.mktemp("made"), population=PEOPLE, base_size=BASE)
    asked = yaml.safe_load(made.segments.read_text(encoding="utf-8"))
    return true_counts(
        made.provider, made.base, segments=asked["segments"], breakdowns=asked["breakdowns"]
    ).counts


def test_every_shown_figure_is_the_true_count_plus_noise_of_the_stated_size(outcome: Any, truth: Any) -> None:
    figures = [*outcome["analysis"]["figures"], *outcome["profile"]["figures"]]
    shown = [figure for figure in figures if not figure["suppressed"]]
    assert len(shown) >= 30
    for figure in shown:
        # Six sigma: a false alarm in less than one of ten million runs.
        assert abs(figure["value"] - truth[figure["name"]]) < 6 * figure["sigma"], figure["name"]
    # Far from the threshold nothing is selected by its noise, so at least 95 of 100 intervals hold.
    far = [figure for figure in shown if truth[figure["name"]] > 600]
    inside = sum(f["interval95"][0] <= truth[f["name"]] <= f["interval95"][1] for f in far)
    assert len(far) >= 15
    assert inside >= 0.6 * len(far)


def test_segments_smaller_than_the_minimum_are_suppressed(outcome: Any, truth: Any) -> None:
    tiny = next(f for f in outcome["analysis"]["figures"] if f["name"] == "segment:petrolheads_omsk")
    assert truth["segment:petrolheads_omsk"] < 10
    assert (tiny["value"], tiny["suppressed"], tiny["interval95"]) == (None, True, None)


def test_the_first_overlap_lists_everything_that_was_asked(outcome: Any) -> None:
    analysis = outcome["analysis"]
    names = {figure["name"] for figure in analysis["figures"]}
    assert analysis["kind"] == "overlap"
    assert (analysis["rho_micro"], analysis["delta"]) == (5_000, 1e-6)
    assert 0.3 < analysis["epsilon"] < 0.6
    assert {"overlap", "label:vip", "key:email/room", "breakdown:sex=F,age=25-34"} <= names
    assert sum(name.startswith("segment:") for name in names) == 12


def test_the_estimate_was_the_bill(outcome: Any) -> None:
    for asked in (outcome["analysis"], outcome["profile"]):
        assert asked["estimate"]["rho_micro"] == asked["rho_micro"]
    # Of the 20,000 of a medium grant the match test took 200; then one question of 5,000 after the other.
    told = [outcome[name]["estimate"] for name in ("analysis", "profile")]
    assert [(one["left_micro"], one["questions_left"]) for one in told] == [(14_800, 3), (9_800, 2)]
    width = {
        figure["interval95"][1] - figure["value"]
        for figure in outcome["profile"]["figures"]
        if figure["value"]
    }
    assert told[1]["half_width"] in width


def test_both_sides_say_what_they_left_out(outcome: Any) -> None:
    base, dataset = outcome["base"], outcome["dataset"]
    assert base["rows"] == BASE
    assert base["persons"] == base["rows"] - base["rejected"]
    assert dataset["persons"] < dataset["rows"] - dataset["rejected"]
    assert set(base["rejected_by_reason"]) == {"no_valid_key", "unknown_label"}
    assert set(dataset["rejected_by_reason"]) == {"no_valid_key", "bad_value:age", "missing_person_id"}
    assert dataset["version"].startswith("dv_")


def test_what_must_not_be_had_is_refused_with_what_may_be(outcome: Any) -> None:
    refusals = {refusal["rule"]: refusal for refusal in outcome["refusals"]}
    assert {"attributes", "purposes", "base_floor", "budget_left"} <= set(refusals)
    assert refusals["purposes"]["nearest"]["question"]["purpose"] == "advertising"
    assert refusals["base_floor"]["nearest"]["base_persons"] == 1_000
    assert refusals["attributes"]["nearest"]["question"]["breakdowns"] == []
    assert all(refusal["message"] for refusal in refusals.values())


def test_the_log_is_verified_and_every_question_has_a_receipt(outcome: Any) -> None:
    audit = outcome["audit"]
    assert audit["verified"] is True
    assert audit["checkpoint"].splitlines()[1] == str(audit["events"])
    kinds = [
        verify_receipt(path.read_bytes(), verifier_key=audit["verifier_key"]).record["kind"]
        for path in outcome["receipts"]
    ]
    # Three answers and a fresh one, the spent grant; a blocked attribute, a purpose, a small base, one too many.
    assert sorted(kinds) == ["release.refused"] * 4 + ["release.released"] * 5


def test_the_chart_is_drawn(outcome: Any) -> None:
    assert "People in both files" in outcome["chart"].read_text(encoding="utf-8")


def test_the_story_fits_eighty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    told = run("demo", "--people", 8_000, "--base-size", 3_000)
    wide = [line for line in told.splitlines() if len(line) > 80]
    # The signature and the verifier key are not wrapped, or they could not be copied.
    assert all(line.startswith(("— room.local", "room.local/cleanroom+")) for line in wide)
    assert [f"{step}/8" for step in range(1, 9)] == [
        line[:3] for line in told.splitlines() if line[1:3] == "/8"
    ]
    for words in (
        "no_valid_key",
        "junk",
        "the stored one",
        "identical",
        "fresh answer",
        "intact",
        "was changed",
        "the grant pays for 3 such questions",
        "chance that a group is withheld: of 100 99%",
    ):
        assert words in told


@pytest.fixture
def own(tmp_path: Path) -> dict[str, Path]:
    made = write_population(tmp_path, population=6_000, base_size=2_000, seed=3)
    return {
        "--provider": made.provider,
        "--provider-schema": made.provider_schema,
        "--base": made.base,
        "--base-schema": made.base_schema,
    }


def flat(options: dict[str, Path]) -> list[str | Path]:
    return [part for option in options.items() for part in option]


def test_own_files_are_taken_and_the_room_stays_and_can_be_used_again(
    own: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    home, segments = tmp_path / "home", tmp_path / "ask.yaml"
    segments.write_text(
        "purpose: advertising\nhalf_width: 25\nsegments:\n  old: {attribute: age, op: '>=', value: 45}\n"
        "breakdowns: [[sex], [tariff, sex]]\n",
        encoding="utf-8",
    )
    found = json.loads(run("demo", *flat(own), "--segments", segments, "--home", home, "--json"))
    overlap = found["analysis"]["figures"][0]
    assert overlap["name"] == "overlap"
    assert overlap["interval95"][1] - overlap["interval95"][0] <= 50
    assert all(Path(path).is_relative_to(home) for path in found["receipts"])
    told = run("demo", *flat(own), "--home", home)
    assert "true" not in told.partition("4/8")[2].partition("5/8")[0]
    assert f"stay in {home}." in told
    assert "INTACT" in run("audit", "verify", "--home", home)


def test_sums_are_told_with_their_names_and_means_in_units_of_their_own(
    own: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    segments = tmp_path / "ask.yaml"
    segments.write_text(
        "purpose: advertising\npercent: 10\nexpected: 500\nsums: [spend]\nsegments:\n"
        "  women: {attribute: sex, op: ==, value: F}\nbreakdowns: [[sex]]\n",
        encoding="utf-8",
    )
    told = run("demo", *flat(own), "--segments", segments).partition("sums and means")[2].partition("5/8")[0]
    lines = told.splitlines()
    names = [line[:16].strip() for line in lines]
    figures = " ".join(lines[names.index("spend") :][:2])
    total, mean, _, most, least, greatest = [
        float(number.replace(",", "")) for number in re.findall(r"[\d,]+\.\d\d", figures)
    ]
    # A total is cut at 20,000.00, and nobody takes away from it.
    assert 0 <= total <= most
    assert 0 <= least <= mean <= greatest <= 20_000
    assert "spend women" in names
    # The sums of a cell are told exactly when its people are.
    people = {line.split()[0] for line in lines if line.startswith(("F ", "M ", "unknown "))}
    assert {name.removeprefix("spend sex=") for name in names if "sex=" in name} == people
    assert "…" not in told
    assert not any(line.startswith("sum spend") for line in lines)


def test_what_is_left_of_a_grant_still_buys_a_fresh_overlap(own: dict[str, Path], tmp_path: Path) -> None:
    segments = tmp_path / "ask.yaml"
    # Overlap, labels and keys at this width cost 14,406 of the 20,000 micro-rho: never twice.
    segments.write_text("purpose: advertising\nhalf_width: 20\nbreakdowns: [[sex]]\n", encoding="utf-8")
    told = run("demo", *flat(own), "--segments", segments, "--home", tmp_path / "home")
    assert "fresh answer" in told


def test_a_base_below_the_floor_ends_in_a_refusal_and_not_in_an_error(
    own: dict[str, Path], tmp_path: Path
) -> None:
    lines = own["--base"].read_text(encoding="utf-8").splitlines(keepends=True)
    own["--base"].write_text("".join(lines[:300]), encoding="utf-8")
    found = json.loads(run("demo", *flat(own), "--home", tmp_path / "home", "--json"))
    assert found["analysis"]["figures"] == []
    assert {refusal["rule"] for refusal in found["refusals"]} >= {"base_floor"}
    assert found["audit"]["verified"] is True
    assert found["chart"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--provider", __file__], "--base-schema"),
        (["--segments", __file__], "--segments asks about own files"),
        (["--preset", "lenient"], "strict, standard, relaxed"),
        (["--people", "1"], "--people"),
        (["--base", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_done(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["demo", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.stderr
