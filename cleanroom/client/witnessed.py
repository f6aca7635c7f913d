"""What a witness shows of a log: believed when the witness itself vouched for it just now."""

from datetime import datetime, timedelta

from cleanroom.client.gossip import GossipError, Seen, see
from crypto.checkpoint import CheckpointError
from crypto.cosignature import WitnessKey, cosigned_at

MAX_AGE = timedelta(minutes=10)
"""A witness cosigns anew whenever it is asked: an older line was kept by somebody, and may hide a rollback."""


def vouched_now(source: str, data: bytes, verifier_key: str, witness: WitnessKey, now: datetime) -> Seen:
    """Read the checkpoint that a witness shows.

    Args:
        source: where it comes from.
        data: a signed note with the witness's line.
        verifier_key: the room's.
        witness: whose line has to be on it.
        now: the time by which the line is younger than `MAX_AGE`.

    Raises:
        GossipError: the room did not sign it, the witness did not vouch for it, or at another time.
    """
    seen = see(source, data, verifier_key)
    try:
        seconds = cosigned_at(seen.note, witness)
    except CheckpointError as error:
        raise GossipError(f"{source}: {error.message}", remedy="Check the witness's key.") from None
    if seconds is None:
        raise GossipError(
            f"{source}: {witness.name} did not vouch for the checkpoint that is shown there.",
            remedy="Check the address and the witness's key.",
        )
    if abs(now.timestamp() - seconds) >= MAX_AGE.total_seconds():
        minutes = int(MAX_AGE.total_seconds() // 60)
        raise GossipError(
            f"{source}: {witness.name} did not vouch within the last {minutes} minutes.",
            remedy="Ask the witness itself, without anything in between; and set this machine's clock.",
        )
    return seen
