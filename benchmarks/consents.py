"""What later changes of consents cost an analysis; `python -m benchmarks.consents`.

The same question about the same version in turns: as of all changes, and as of before the first of them.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import (
    OURS,
    RUNS,
    CountsDifferError,
    Side,
    arguments,
    compared,
    in_turns,
    kept_room,
    new_room,
    peak_of,
    show,
)
from benchmarks.match import BYTES_PER_PERSON
from benchmarks.questions import ATTRIBUTES, question, twelve
from benchmarks.synthetic import PURPOSE, fits, key_digests, make_deal, mixed
from cleanroom.consent.changes import ChangeState
from cleanroom.consent.models import ConsentFileRow
from cleanroom.consent.types import Change
from cleanroom.datasets.types import Role
from cleanroom.matching.service import Match
from cleanroom.matching.types import ExactCounts, Plan
from cleanroom.room import Room
from policies.canonical_question import canonical_question

BATCHES = 10
BEFORE = "without changes"


def fill(home: str, directory: Path, *, people: int, base: int, changes: int) -> dict[str, Any]:
    """Make a room with a dataset, a base and later changes: half consents of those who denied, half withdrawals.

    So about as many may be counted after the changes as before.

    Returns:
        What `timed_in` asks about, and how long batches took to be accepted.
    """
    with kept_room(home) as room:
        deal = make_deal(room, provider_rows=people, base_rows=base, directory=directory)
        numbers = np.arange(people, dtype=np.uint64)
        # As `synthetic.people` decides it.
        denied = mixed(numbers, 99) >> np.uint64(32) >= np.uint64(int(0.85 * 2**32))
        agree = numbers[denied][: changes // 2]
        withdraw = numbers[~denied][:: max(1, people // changes)][: changes - agree.size]
        seconds = []
        for number in range(BATCHES):
            batch = [
                _change(each[number::BATCHES], state)
                for each, state in ((agree, ChangeState.GRANTED), (withdraw, ChangeState.WITHDRAWN))
            ]
            started = time.perf_counter()
            room.consents.change(deal.dataset.id, batch)
            seconds.append(time.perf_counter() - started)
        # Of somebody who is not there: as long as for anybody else.
        one = _change(np.array([people + base + 1], np.uint64), ChangeState.WITHDRAWN)
        started = time.perf_counter()
        room.consents.change(deal.dataset.id, [one])
        return {
            "asking": deal.asking,
            "versions": [deal.dataset.version_id, deal.base.version_id],
            "batch_s": seconds,
            "single_s": time.perf_counter() - started,
        }


def _change(numbers: Any, state: ChangeState) -> Change:
    return Change("email/room", key_digests(numbers, "email", provider=True).tobytes(), state, PURPOSE)


def timed_in(
    home: str, asking: Mapping[str, str], versions: tuple[str, str], *, runs: int = RUNS
) -> dict[str, Any]:
    """Time the question in a filled room, with everything decrypted already and with nothing."""
    with kept_room(home) as room:
        matches = {OURS: _match(room, asking, versions), BEFORE: _match(room, asking, versions, epoch=0)}

        def ask(side: str, run: int, *, cold: bool) -> ExactCounts:
            if cold:
                room.matching.cache.drop()
            # Opened anew, as every question does: which changes there are is looked up in SQL.
            match = _match(room, asking, versions, epoch=matches[side].consents.epoch)
            return match.count(_plan(match, asking, run), at=room.clock.now())

        def sides(*, cold: bool) -> list[Side]:
            left_out = ("deciding, noise, receipt: the same on both sides",)
            return [Side(side, partial(ask, side, cold=cold), left_out) for side in matches]

        _check(room, matches[OURS])
        warm, cold = (in_turns(sides(cold=cold), runs=runs) for cold in (False, True))
        room.matching.cache.drop()
        memory = peak_of(lambda: ask(OURS, 0, cold=True))
        with room.db.reading() as tx:
            overlays = tx.session.query(ConsentFileRow).filter_by(role=int(Role.OVERLAY)).all()
            stored = sum(row.bytes for row in overlays)
        in_cold = compared("consents", sides(cold=True), cold)
        return compared(
            "consents",
            sides(cold=False),
            warm,
            cold={key: in_cold[key] for key in ("ours_s", "baseline_s", "ratio", "ratio_range", "spread")},
            overlay_bytes=stored,
            question_mb=memory["peak_mb"] - memory["before_mb"],
        )


def _match(
    room: Room, asking: Mapping[str, str], versions: tuple[str, str], *, epoch: int | None = None
) -> Match:
    with room.db.reading() as tx:
        newest = room.consents.epoch(tx, asking["dataset_id"])
        return room.matching.open(
            tx,
            dataset_version_id=versions[0],
            base_version_id=versions[1],
            purpose=PURPOSE,
            epoch=newest if epoch is None else epoch,
        )


def _plan(match: Match, asking: Mapping[str, str], run: int) -> Plan:
    asked = canonical_question(question(asking, twelve(run)), ATTRIBUTES)
    return Plan(PURPOSE, match.keys, asked.segments, asked.breakdowns)


def _check(room: Room, match: Match) -> None:
    """See that the overlay names whom a search by all tokens names; raises CountsDifferError."""
    at = room.clock.now()
    found = match.consents.mask(at)
    searched = replace(match.consents, overlays=None).mask(at)
    if match.consents.overlays is None or not np.array_equal(found, searched):
        raise CountsDifferError("The overlay and a search for everybody differ.")


def measure(people: int, base: int, changes: int, *, runs: int = RUNS) -> dict[str, Any]:
    """Fill a room and time it."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        fits(directory, (people + base) * BYTES_PER_PERSON)
        with new_room(directory) as room:
            home = str(room.settings.home)
        filled = fill(home, directory, people=people, base=base, changes=changes)
        found = timed_in(home, filled["asking"], tuple(filled["versions"]), runs=runs)
    accepted = {key: filled[key] for key in ("batch_s", "single_s")}
    return found | accepted | {"people": people, "base": base, "changes": changes}


def main() -> None:
    """Run from the command line."""
    parser = arguments(
        "consents",
        __doc__,
        people=(10_000_000, "people in the dataset"),
        base=(1_000_000, "people in the base"),
        changes=(1_000_000, "changes since the version was loaded"),
        runs=(RUNS, "runs that are kept"),
    )
    options = parser.parse_args()
    found = measure(options.people, options.base, options.changes, runs=options.runs)
    show(found, as_json=options.json)
    if not options.json:
        low, high = found["cold"]["ratio_range"]
        print(f"cold         {found['cold']['ratio']:.3g} (run by run {low:.3g} to {high:.3g})")
        print(f"a batch      {max(found['batch_s']):.2f} s at most, one change {found['single_s']:.2f} s")
        print(f"overlay      {found['overlay_bytes']:,} bytes, {found['question_mb']:.0f} MB for a question")


if __name__ == "__main__":
    main()
