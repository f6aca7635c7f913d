"""Every public way of holding people back, each through the service that its route or page calls."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from cleanroom.consent.changes import ChangeState
from cleanroom.consent.optout_types import Named, OptOut, OptOutAction, OptOutKind, OptOutReason
from cleanroom.consent.recording import Record
from cleanroom.consent.terms import Terms
from cleanroom.consent.types import Change
from cleanroom.datasets.types import DatasetKind
from cleanroom.rights.types import ErasureReason, ErasureRequest, Identifier
from tests.rooms import PURPOSE, Stage, email, phone

Way = Callable[[Stage, Sequence[int]], None]
EMAIL, PHONE = "email/room", "phone/room"


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def digests(numbers: Sequence[int]) -> bytes:
    return b"".join(digest(email(number)) for number in numbers)


def _withdraw(stage: Stage, numbers: Sequence[int]) -> None:
    stage.withdraw(*numbers)


def changed(stage: Stage, numbers: Sequence[int], state: ChangeState) -> None:
    stage.room.consents.change(stage.dataset_id, [Change(EMAIL, digests(numbers), state, PURPOSE)])


def listed(
    stage: Stage,
    numbers: Sequence[int],
    kind: OptOutKind,
    *,
    alone: bool = False,
    action: OptOutAction = OptOutAction.ADD,
) -> None:
    """Put people on a list, or off it, by their phones."""
    named = Named("phone", "room", b"".join(digest(phone(number)) for number in numbers))
    stage.room.opt_outs.accept(
        OptOut(
            kind,
            action,
            (named,),
            OptOutReason.REQUEST,
            reference="case-1",
            dataset_id=stage.dataset_id if alone else None,
        ),
        organisation_id=stage.provider.organisation_id,
    )


def _recorded(stage: Stage, numbers: Sequence[int]) -> None:
    """Denials as an owner's system sends them."""
    room = stage.room
    records = [
        Record(EMAIL, digest(email(number)), "*", ChangeState.DENIED, terms=Terms(channel="call"))
        for number in numbers
    ]
    with room.db.reading() as tx:
        changes = room.consent_recording.changes(tx, records, organisation_id=stage.provider.organisation_id)
    prepared = room.consents.taking.prepare(stage.dataset_id, changes)
    with room.db.transaction() as tx:
        room.consents.taking.take(tx, prepared)


def _asked_anew(stage: Stage, numbers: Sequence[int]) -> None:
    """Consents that wait for a confirmation."""
    requests = stage.room.consent_requests
    changes = [
        Change(EMAIL, digest(email(number)), ChangeState.PENDING, PURPOSE, terms=(Terms(channel="site"),))
        for number in numbers
    ]
    asked = requests.prepare(stage.dataset_id, changes, within=timedelta(days=1))
    with stage.room.db.transaction() as tx:
        requests.ask(tx, asked)


def erasure(number: int) -> ErasureRequest:
    """A request that also names the person by a key that no dataset has."""
    identifiers = (Identifier(EMAIL, digest(email(number))), Identifier("email/uid2", bytes(32)))
    return ErasureRequest(identifiers, ErasureReason.OBJECTION, f"case-{number}", bytes([number % 256]) * 32)


def _erased(stage: Stage, numbers: Sequence[int]) -> None:
    for number in numbers:
        stage.room.rights.erasures.ask(
            stage.dataset_id,
            erasure(number),
            organisation_id=stage.provider.organisation_id,
            kind=DatasetKind.DATASET,
            by="us_1",
        )


WAYS: Mapping[str, Way] = {
    "withdrawal": _withdraw,
    "denial": lambda stage, numbers: changed(stage, numbers, ChangeState.DENIED),
    "expiry": lambda stage, numbers: changed(stage, numbers, ChangeState.EXPIRED),
    "record": _recorded,
    "request for consent": _asked_anew,
    "suppression": lambda stage, numbers: listed(stage, numbers, OptOutKind.SUPPRESSION),
    "suppression in one dataset": lambda stage, numbers: listed(
        stage, numbers, OptOutKind.SUPPRESSION, alone=True
    ),
    "restriction": lambda stage, numbers: listed(stage, numbers, OptOutKind.RESTRICTION),
    "withdrawal everywhere": lambda stage, numbers: listed(stage, numbers, OptOutKind.WITHDRAWAL),
    "erasure": _erased,
}


def hold_back(stage: Stage, numbers: Sequence[int]) -> None:
    """Hold people back, some in each way."""
    for position, way in enumerate(WAYS.values()):
        way(stage, numbers[position :: len(WAYS)])
