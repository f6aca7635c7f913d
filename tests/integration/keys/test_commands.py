"""`cleanroom keys` and `four-eyes` on the server's own machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from cleanroom.cli.main import EXIT_KNOWN_ERROR, main
from policies.codec import policy_to_yaml
from tests.integration.keys.test_four_eyes import loose
from tests.people_rooms import person
from tests.rooms import MakeRoom, Stage

Run = Any


@pytest.fixture
def sqlite_stage(make_room: MakeRoom, quick_hashes: None) -> Stage:
    return make_room()


@pytest.fixture
def run(sqlite_stage: Stage, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(sqlite_stage.home)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out or captured.err

    return call


@pytest.mark.parametrize("what", ["tokens", "wrapping"])
def test_a_key_is_replaced_at_once(sqlite_stage: Stage, run: Run, what: str) -> None:
    owner, workspace_id = sqlite_stage.provider.organisation_id, sqlite_stage.provider.workspace_id
    before = json.loads(run("keys", "list", "--org", owner, "--json")[1])[0]
    code, text = run("keys", "rotate", workspace_id, "--what", what)
    assert (code, text) == (0, f"ROTATED {what} of {workspace_id}\n")
    after = json.loads(run("keys", "list", "--org", owner, "--json")[1])[0]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"token_secret_since" if what == "tokens" else "wrapping_key_since"}
    assert run("keys", "rotate", "ws_0", "--what", what)[0] == EXIT_KNOWN_ERROR


def test_wrapping_keys_are_replaced(sqlite_stage: Stage, run: Run) -> None:
    assert run("keys", "rotate-wrapping") == (0, "NOTHING is wrapped yet\n")
    person(sqlite_stage.room, sqlite_stage.provider.organisation_id).enrol()
    code, text = run("keys", "rotate-wrapping")
    assert code == 0
    assert text.startswith("ROTATED sign_ins kek_")


def test_the_operator_asks_in_somebodys_name_and_confirms_nothing(
    sqlite_stage: Stage, run: Run, tmp_path: Path
) -> None:
    owner = sqlite_stage.provider.organisation_id
    anna = person(sqlite_stage.room, owner).user.id
    policy = tmp_path / "loose.yaml"
    policy.write_text(policy_to_yaml(loose()), encoding="utf-8")
    why = ("--reason", "the pilot is over", "--by", anna)
    assert run("four-eyes", "ask-shred", sqlite_stage.provider.workspace_id, *why)[1].startswith("ASKED fe_")
    code, text = run("four-eyes", "ask-unsafe", sqlite_stage.dataset_id, str(policy), *why, "--json")
    assert (code, json.loads(text)["state"]) == (0, "waiting")
    listed = json.loads(run("four-eyes", "list", "--org", owner, "--json")[1])
    assert {one["deed"] for one in listed} == {"shred_workspace", "unsafe_policy"}
    assert run("four-eyes", "confirm", listed[0]["id"])[0] not in (0, 1)
    assert run("four-eyes", "ask-shred", "ws_0", *why)[0] == EXIT_KNOWN_ERROR
