"""Showing published heads to the witnesses, and keeping what they say: their lines, or that one refuses."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import httpx
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from cleanroom.audit.published_models import AuditCosignature, AuditPublished, AuditWitness
from cleanroom.audit.publishing import publish
from cleanroom.audit.reader import AuditReader, log_size
from cleanroom.clock import Clock, rfc3339
from cleanroom.db.database import Database, Transaction
from cleanroom.settings.witnesses import PublishingSettings, WitnessSettings
from crypto.checkpoint import CheckpointError
from crypto.cosignature import cosigned_at
from crypto.limits import MAX_NOTE_BYTES

_SECONDS = 10.0
"""For a whole answer: one that comes a byte at a time would hold up all other witnesses."""
_CLOCKS_APART = timedelta(days=1)
"""A line of a time further from the room's is none: it would say nothing of when the head was seen."""
AGAIN_AFTER = timedelta(seconds=60)
"""After a failure; a witness that vouched is asked again when there is another head."""
AWAY_AFTER = timedelta(hours=24)
"""A witness that cannot be reached for so long makes an event, once until it answers."""
AWAY = "audit.witness_away"
_SIZE_TYPE = "text/x.tlog.size"


class WitnessState(StrEnum):
    """How it stands with a witness."""

    NEW = "new"
    VOUCHES = "vouches"
    UNREACHABLE = "unreachable"
    REFUSES = "refuses"


@dataclass(frozen=True)
class WitnessStanding:
    """What is known of one witness.

    Attributes:
        name: of the witness.
        state: how it stands.
        size: of the largest log that it vouched for.
        detail: why not, as a short code; empty while it vouches.
        since: since when the state is this one; None before it was asked.
    """

    name: str
    state: WitnessState
    size: int
    detail: str
    since: datetime | None


@dataclass(frozen=True)
class _Answer:
    state: WitnessState
    detail: str
    size: int
    line: str = ""
    seconds: int = 0


def standings(tx: Transaction, settings: PublishingSettings) -> tuple[WitnessStanding, ...]:
    """Return how it stands with each witness of the settings, in their order."""
    rows = {row.name: row for row in tx.session.scalars(select(AuditWitness))}
    return tuple(
        WitnessStanding(name, WitnessState.NEW, 0, "", None)
        if (row := rows.get(name)) is None
        else WitnessStanding(name, WitnessState(row.state), row.size, row.detail, row.since)
        for name in (one.key.name for one in settings.witnesses)
    )


def vouched_for(tx: Transaction, settings: PublishingSettings) -> int:
    """Return the size of the largest log that a quorum of the witnesses vouched for; 0 when none was."""
    sizes = sorted((one.size for one in standings(tx, settings)), reverse=True)
    return sizes[settings.quorum - 1] if settings.quorum and len(sizes) >= settings.quorum else 0


class Witnessing:
    """Publishes heads and takes them to the witnesses; no transaction is open while one is waited for."""

    def __init__(self, db: Database, clock: Clock, settings: PublishingSettings) -> None:
        self._db = db
        self._clock = clock
        self.settings = settings

    def run_due(self) -> bool:
        """Publish what is due and ask the witnesses that have not vouched for it; returns whether one was asked."""
        every = timedelta(seconds=self.settings.every_seconds)
        with self._db.transaction() as tx:
            publish(tx, self._clock, every=every)
        asked = False
        for witness in self.settings.witnesses:
            with self._db.reading() as tx:
                due = self._due(tx, witness.key.name)
            if due is not None:
                size, note, old = due
                self._keep(witness.key.name, size, self._asked(witness, size, note, old))
                asked = True
        return asked

    def _due(self, tx: Transaction, name: str) -> tuple[int, str, int] | None:
        newest = tx.session.execute(
            select(AuditPublished.size, AuditPublished.note).order_by(AuditPublished.size.desc()).limit(1)
        ).one_or_none()
        row = tx.session.get(AuditWitness, name)
        if newest is None:
            return None
        if row is not None and row.state == WitnessState.VOUCHES.value and row.size >= newest.size:
            return None
        failed = row is not None and row.state != WitnessState.VOUCHES.value
        if failed and row is not None and row.tried_at + AGAIN_AFTER > self._clock.now():
            return None
        return newest.size, newest.note, row.size if row is not None else 0

    def _asked(self, witness: WitnessSettings, size: int, note: str, old: int) -> _Answer:
        try:
            return self._ask(witness, size, note, old)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one witness answers, the others are asked
            return _Answer(WitnessState.UNREACHABLE, type(error).__name__, 0)

    def _ask(self, witness: WitnessSettings, size: int, note: str, old: int) -> _Answer:
        answer = self._send(witness, note, old, size)
        # What it vouched for last is its to know: another room's home may have been restored, or the witness's.
        if isinstance(answer, int):
            if answer > size:
                return _Answer(WitnessState.REFUSES, "it saw a larger log", 0)
            if answer == old:
                return _Answer(WitnessState.REFUSES, "it saw another log of this size", 0)
            answer = self._send(witness, note, answer, size)
            if isinstance(answer, int):
                detail = "it saw another log of this size" if answer == size else "it contradicts itself"
                return _Answer(WitnessState.REFUSES, detail, 0)
        return answer

    def _send(self, witness: WitnessSettings, note: str, old: int, size: int) -> _Answer | int:
        """Send one request; returns the size that the witness names instead of the one given."""
        proof: Sequence[bytes] = ()
        if 0 < old < size:
            with self._db.reading() as tx:
                if old > log_size(tx.connection):
                    return old
                proof = AuditReader().consistency(tx, old, size)
        lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof), "", note]
        status, media_type, text = asyncio.run(
            _post(f"{witness.url}/add-checkpoint", "\n".join(lines).encode())
        )
        named = text.strip()
        told_size = status == 409 and media_type.startswith(_SIZE_TYPE)
        if told_size and named.isascii() and named.isdecimal() and len(named) < 19:
            return int(named)
        if status != 200:
            state = WitnessState.UNREACHABLE if status >= 500 else WitnessState.REFUSES
            return _Answer(state, f"it answers {status}", 0)
        return _vouched(witness, size, note, text, self._clock.now())

    def _keep(self, name: str, size: int, answer: _Answer) -> None:
        now = self._clock.now()
        with self._db.transaction() as tx:
            row = tx.session.get(AuditWitness, name, with_for_update=True)
            before = WitnessState(row.state) if row is not None else WitnessState.NEW
            if row is None:
                row = AuditWitness(name=name, size=0, state="", detail="", since=now, tried_at=now)
                tx.session.add(row)
            # What was tried before lies on the other side of that instant: so it is told once.
            away = before is answer.state is WitnessState.UNREACHABLE and (
                row.tried_at < row.since + AWAY_AFTER <= now
            )
            row.tried_at = now
            if before is not answer.state:
                row.state, row.since = answer.state.value, now
            row.detail = answer.detail[:100]
            row.size = max(row.size, answer.size)
            if answer.line:
                dialect = postgresql if tx.session.get_bind().dialect.name == "postgresql" else sqlite
                line = dialect.insert(AuditCosignature).values(
                    size=size,
                    witness=name,
                    line=answer.line,
                    cosigned_at=datetime.fromtimestamp(answer.seconds, UTC),
                )
                tx.session.execute(line.on_conflict_do_nothing())
            tx.session.flush()
            # When it turns, not at every head: the log would grow by what was said of its last growth.
            if before is not answer.state:
                body = {"witness": name, "size": size, "detail": answer.detail}
                tx.audit(f"audit.witness_{answer.state.value}", subject_id=name[:100], body=body)
            elif away:
                body = {"witness": name, "since": rfc3339(row.since), "detail": answer.detail}
                tx.audit(AWAY, subject_id=name[:100], body=body)


async def _post(url: str, content: bytes) -> tuple[int, str, str]:
    """Send a request; returns status, media type and body, empty when there is too much of it."""
    # Whatever is compressed could grow beyond any limit in one step.
    headers = {
        "User-Agent": "Cleanroom-Log/1",
        "Content-Type": "text/plain; charset=utf-8",
        "Accept-Encoding": "identity",
    }
    async with (
        asyncio.timeout(_SECONDS),
        httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False) as client,
        client.stream("POST", url, content=content, headers=headers) as answer,
    ):
        data = b""
        async for part in answer.aiter_raw():
            data += part
            if len(data) > MAX_NOTE_BYTES:
                data = b""
                break
        media_type = answer.headers.get("content-type", "")
        return answer.status_code, media_type, data.decode("utf-8", "replace")


def _vouched(witness: WitnessSettings, size: int, note: str, text: str, now: datetime) -> _Answer:
    """Take the lines of the witness's own key out of what it answered, if they are good."""
    name = witness.key.name
    lines = [line + "\n" for line in text.split("\n") if line.startswith(f"\u2014 {name} ")]
    for line in lines:
        try:
            seconds = cosigned_at(note + line, witness.key)
        except CheckpointError:
            continue
        if seconds is not None and abs(seconds - now.timestamp()) > _CLOCKS_APART.total_seconds():
            return _Answer(WitnessState.REFUSES, "its line is of another time", 0)
        if seconds is not None:
            return _Answer(WitnessState.VOUCHES, "", size, line, seconds)
    return _Answer(WitnessState.REFUSES, "its line does not verify", 0)
