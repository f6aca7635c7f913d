"""`cleanroom policy redteam`: exit codes, what is printed, and where the reports go."""

import json
from pathlib import Path

import pytest

from cleanroom.cli.main import main
from cleanroom.redteam import run as redteam_run
from cleanroom.redteam.attacks.rounding_edge import RoundingEdge
from policies.codec import load_preset, policy_to_yaml

# In this process, where the one attack is known.
FEW = ("--games", "40", "--jobs", "1")


@pytest.fixture(autouse=True)
def one_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attack stands for all of them."""
    monkeypatch.setattr(redteam_run, "ATTACKS", (RoundingEdge(),))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = 0
    try:
        main(["policy", "redteam", *map(str, arguments)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_policy_that_resists_ends_with_0_and_two_reports(tmp_path: Path, capsys) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(policy_to_yaml(load_preset("relaxed", purposes=["research"])), encoding="utf-8")

    code, out, _ = run(capsys, path, *FEW, "--seed", 4, "--out", tmp_path / "out")

    assert code == 0
    assert out.splitlines()[0].startswith("RESISTS  rounding_edge")
    assert "GRADE resists, not conclusive" in out
    written = json.loads((tmp_path / "out" / "redteam.json").read_text(encoding="utf-8"))
    assert (written["seed"], written["games"], written["plant"]) == (4, 40, None)
    assert "<!doctype html>" in (tmp_path / "out" / "redteam.html").read_text(encoding="utf-8")


def test_a_planted_fault_ends_with_1_and_json_stands_alone(tmp_path: Path, capsys) -> None:
    code, out, _ = run(capsys, "standard", "--json", "--plant", "round_before_noise", *FEW, "--out", tmp_path)

    assert code == 1
    printed = json.loads(out)
    assert (printed["grade"], printed["plant"]) == ("falls", "round_before_noise")
    assert [attack["verdict"] for attack in printed["attacks"]] == ["falls"]
    assert (tmp_path / "redteam.json").read_text(encoding="utf-8") == out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["nobody.yaml"], "standard"), (["standard", "--plant", "sabotage"], "noise_off"), ([], "POLICY")],
)
def test_wrong_usage_ends_with_2_and_names_what_is_right(arguments, named, tmp_path: Path, capsys) -> None:
    code, _, err = run(capsys, *arguments, "--out", tmp_path)

    assert code == 2
    assert named in err


def test_reports_that_cannot_be_written_are_refused_before_any_attack(tmp_path: Path, capsys) -> None:
    place = tmp_path / "taken"
    place.touch()

    code, out, err = run(capsys, "standard", *FEW, "--out", place)

    assert code == 2
    assert "--out" in err
    assert not out


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("v: 1\nname: Запад\nrules: []\n".encode("cp1251"), "cli.unreadable_file"),
        (b"v: 1\nname: x\nrules: [{rule: sorcery}]\n", "policies."),
        (b"v: 1\nname: x\nrules: []\n", "redteam.unusable"),
    ],
)
def test_a_policy_that_cannot_be_attacked_ends_with_3_and_a_remedy(
    text, code, tmp_path: Path, capsys
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(text)

    ended, out, err = run(capsys, path, "--out", tmp_path / "out")

    assert ended == 3
    assert code in err
    assert not out
