"""Private set intersection (OpenMined's, by elliptic curves) against a question; `python -m benchmarks.match --psi`."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import OURS, CountsDifferError, Side, compared, in_turns, new_room
from benchmarks.plain import chunks
from benchmarks.questions import ask, exact, question, twelve
from benchmarks.synthetic import base_numbers, make_deal

ROWS = 100_000
LEFT_OUT = {
    OURS: ("HTTP and the release tick", "taking the files in"),
    "psi": (
        "everything but the size of the overlap: no segment, no breakdown, no noise, no budget, no log",
        "the network; consent is applied beforehand",
    ),
}


def measure(rows: int = ROWS, *, runs: int = 1) -> dict[str, Any]:
    """Time both, as many people on one side as on the other.

    Args:
        rows: on each side.
        runs: how many are kept; one takes half a minute at the size of 100,000.
    """
    try:
        from private_set_intersection import python as psi  # noqa: PLC0415 - not made for every platform
    except ImportError:
        raise SystemExit("Private set intersection is missing. Run: pip install openmined-psi") from None

    offered = [
        token
        for made in chunks(range(rows), provider=True, keys=1)
        for token in _texts({name: column[made["consented"]] for name, column in made.items()})
    ]
    wanted = [
        token for made in chunks(base_numbers(rows, rows), provider=False, keys=1) for token in _texts(made)
    ]

    def intersect(_run: int) -> int:
        server, client = psi.server.CreateWithNewKey(False), psi.client.CreateWithNewKey(False)
        # The plain list of encrypted items: the other forms are smaller and count a little too much.
        setup = server.CreateSetupMessage(1e-9, len(wanted), offered, psi.DataStructure.RAW)
        response = server.ProcessRequest(client.CreateRequest(wanted))
        return int(client.GetIntersectionSize(setup, response))

    with tempfile.TemporaryDirectory() as place, new_room(Path(place)) as room:
        deal = make_deal(room, provider_rows=rows, base_rows=rows, directory=Path(place))
        asking = deal.asking

        def check(run: int, made: Mapping[str, Any]) -> None:
            if made["psi"] != exact(room, deal, question(asking, twelve(run))).overlap:
                raise CountsDifferError("The room and the private set intersection count differently.")

        ask(room, asking, question(asking, twelve(runs)))
        sides = [
            Side(OURS, lambda run: ask(room, asking, question(asking, twelve(run))), LEFT_OUT[OURS]),
            Side("psi", intersect, LEFT_OUT["psi"]),
        ]
        seconds = in_turns(sides, runs=runs, warm_up=0, check=check)
    return compared("psi", sides, seconds, rows=rows)


def _texts(made: Mapping[str, Any]) -> list[str]:
    halves = np.stack([made["email_hi"], made["email_lo"]], axis=1)
    whole = np.ascontiguousarray(halves).tobytes().hex()
    return [whole[start : start + 32] for start in range(0, len(whole), 32)]
