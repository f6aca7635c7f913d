"""Provider flood: load many rows with the target's phone, wait for a buyer's question, and read the bill."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sqlalchemy import select

from cleanroom.audit.models import AuditEvent
from cleanroom.grants.types import Grant
from cleanroom.redteam.lab import Lab
from cleanroom.redteam.measures import measure, nothing_to_ask, result_of
from cleanroom.redteam.rooms import LabRoom, Party, base_schema, dataset_schema
from cleanroom.redteam.scenes import HOLDERS, over
from cleanroom.redteam.types import AttackResult, Metric
from cleanroom.redteam.watching import GAMES, kind_of, people, without_ids
from policies.mechanisms import narrowest_half_width

_FLOOD = 1_000
_FLOODED, _SHARED, _ABSENT = (f"{name}@target.example" for name in ("flooded", "shared", "nobody"))


@dataclass(frozen=True)
class ProviderFlood:
    """The target's e-mail stands in as many rows as may hold it, and another in a thousand.

    The provider owns a shell company, which asks over bases with and without the target; so it knows what either
    looks like in everything that it is shown.
    """

    name: ClassVar[str] = "provider_flood"
    title: ClassVar[str] = (
        "As the provider, load a thousand rows with one key and read off the bill whether it is in a buyer's base."
    )
    metric: ClassVar[Metric] = Metric.ADVANTAGE
    plants: ClassVar[tuple[str, ...]] = ("bill_by_matches",)

    def run(self, lab: Lab) -> AttackResult:
        """Let a buyer ask many questions over either base; read the log after each."""
        kind = kind_of(lab)
        if kind is None:
            return nothing_to_ask(self.name, lab.buyer_limit)
        games = min(lab.games, GAMES)
        secrets = [place % 2 == 0 for place in range(games)]
        lab.random(self.name).shuffle(secrets)
        with lab.room(document=over(lab.document, ())) as room:
            provider = room.party("provider", "provider")
            known = [f"k{number}@people.example" for number in range(lab.limits.base_floor)]
            rows = [*known, *(_FLOODED for _ in range(_FLOOD)), *(_SHARED for _ in range(HOLDERS))]
            loaded = {**people(rows), "id": [f"p{number}" for number in range(len(rows))]}
            dataset_id = room.dataset(provider, dataset_schema({}, purpose=lab.purpose), loaded)
            shell, buyer = (_Buyer(room, name, dataset_id, known, kind) for name in ("shell", "buyer"))
            inside, outside = (_shown(room, provider, shell, there) for there in (True, False))
            guesses = [
                _shown(room, provider, buyer, there) == inside and inside != outside for there in secrets
            ]
        found = measure("reading the bill", np.array(secrets), np.array(guesses), limit=lab.buyer_limit)
        return result_of(self.name, [found])


class _Buyer:
    """An organisation with a base that has the target's e-mails, and one that has a stranger's instead."""

    def __init__(self, room: LabRoom, name: str, dataset_id: str, known: list[str], kind: str) -> None:
        self.room, self.party, self.kind, self.dataset_id = room, room.party(name), kind, dataset_id
        targets = {True: [_FLOODED, _SHARED], False: [_ABSENT, f"again.{_ABSENT}"]}
        self.bases = {
            there: room.base(self.party, base_schema(), {"email": [*known, *emails]})
            for there, emails in targets.items()
        }
        self.asked = {True: 0, False: 0}
        grant = room.try_grant(dataset_id, self.party)
        assert isinstance(grant, Grant)
        self.grant = grant

    def ask(self, *, there: bool) -> None:
        """Ask a cheap question that was not asked before: spelled anew, or a hair more precise."""
        again, way = divmod(self.asked[there], 4)
        self.asked[there] += 1
        question = self.room.question(
            self.dataset_id,
            self.bases[there],
            kind=self.kind,
            half_width=narrowest_half_width(1, 1 + again),
            labels=bool(way & 1),
            per_key=bool(way & 2),
        )
        self.room.ask(self.grant, self.party, question)


def _shown(room: LabRoom, provider: Party, buyer: _Buyer, there: bool) -> str:
    """Let a buyer ask, and return all that the provider is shown of it, without ids and times."""
    with room.room.db.reading() as tx:
        start = room.room.audit.size(tx)
    buyer.ask(there=there)
    with room.room.db.reading() as tx:
        rows = select(AuditEvent.record).where(
            AuditEvent.index >= start, AuditEvent.organisation_id == provider.organisation_id
        )
        records = [json.loads(record) for record in tx.session.scalars(rows.order_by(AuditEvent.index))]
        accounts = room.room.grants.accounts(tx, provider.population_id)
        report = room.room.datasets.current(tx, buyer.dataset_id)
    shown: list[Any] = [
        {**record, "salt": "", "body": _beside_the_asked(record["body"])} for record in records
    ]
    sums = [account.kind for account in accounts]
    return without_ids(json.dumps([shown, sums, report.persons], sort_keys=True, default=str))


def _beside_the_asked(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out the wording and its price; the buyer chose them, and the base has no part in it."""
    return {key: value for key, value in body.items() if key not in ("rho_micro", "question")}
