"""Deciding whether to vouch for a checkpoint, by the rules of C2SP tlog-witness."""

import base64
import binascii
import re
from dataclasses import dataclass

from cleanroom.clock import Clock
from cleanroom.witness.home import KnownLog, WitnessHome
from crypto.checkpoint import Checkpoint, CheckpointError, open_note, signed_alone
from crypto.cosignature import cosign
from crypto.limits import DIGEST_BYTES, MAX_NOTE_BYTES
from crypto.merkle import ProofError, verify_consistency

MAX_PROOF_LINES = 63
MAX_BODY_BYTES = MAX_NOTE_BYTES + 8192
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_TEXT, _SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"


@dataclass(frozen=True)
class Reply:
    """What the witness answers.

    Attributes:
        status: of HTTP.
        body: cosignature lines, the size of the last cosigned checkpoint, or why not.
        media_type: of the body.
    """

    status: int
    body: str
    media_type: str = _TEXT


class Witness:
    """Vouches for the logs that its home knows."""

    def __init__(self, home: WitnessHome, clock: Clock) -> None:
        self.home = home
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Reply:
        """Cosign a checkpoint if it continues the last one that was cosigned.

        Args:
            body: the old size, a consistency proof, an empty line, the signed checkpoint.

        Returns:
            200 with the cosignature; 400 for what is malformed, 403 for a signature that is not the log's, 404 for a
            log that is not known, 409 with the last size when the old size is another one, or for another root of
            the same size, 422 when the proof does not verify.

        Source: C2SP tlog-witness.
        """
        parsed = _parse(body)
        if isinstance(parsed, Reply):
            return parsed
        old_size, proof, note = parsed
        log = self.home.logs().get(note.partition("\n")[0])
        if log is None:
            return Reply(404, "the log is not known\n")
        try:
            checkpoint = open_note(note, log.verifier_key)
            # Anyone may ask, with any lines of others on it; none of them is kept, or shown.
            note = signed_alone(note, log.verifier_key)
        except CheckpointError:
            return Reply(403, "no signature of the log's key verifies\n")
        if old_size > checkpoint.size:
            return Reply(400, "the old size is larger than the checkpoint's\n")
        with self.home.holding(log):
            return self._add(log, old_size, proof, checkpoint, note)

    def _add(
        self, log: KnownLog, old_size: int, proof: list[bytes], checkpoint: Checkpoint, note: str
    ) -> Reply:
        kept = self.home.last(log)
        last_size = kept[0].size if kept else 0
        if kept and kept[0].size == checkpoint.size and kept[0].root != checkpoint.root:
            # Both are signed: whoever shows them proves that the log was forked.
            self.home.keep_fork(log, kept[1], note)
        if old_size != last_size:
            return Reply(409, f"{last_size}\n", _SIZE)
        if kept and last_size == checkpoint.size:
            if kept[0].root != checkpoint.root:
                return Reply(409, f"{last_size}\n", _SIZE)
            if proof:
                return Reply(422, "a proof between equal sizes is empty\n")
        elif kept and last_size:
            try:
                verify_consistency(last_size, kept[0].root, checkpoint.size, checkpoint.root, proof)
            except ProofError:
                return Reply(422, "the consistency proof does not verify\n")
        elif proof:
            return Reply(422, "a proof from an empty log is empty\n")
        # Kept before it is vouched for: a crash in between loses a cosignature, and never vouches for two logs.
        if kept is None or kept[1] != note:
            self.home.keep(log, note)
        seconds = int(self._clock.now().timestamp())
        return Reply(200, cosign(checkpoint.text, name=self.home.name, seed=self.home.seed, seconds=seconds))

    def cosigned(self, log: KnownLog) -> str | None:
        """Return the last checkpoint with a fresh cosignature; None when there is none."""
        with self.home.holding(log):
            kept = self.home.last(log)
            if kept is None:
                return None
            checkpoint, note = kept
            seconds = int(self._clock.now().timestamp())
            return note + cosign(checkpoint.text, name=self.home.name, seed=self.home.seed, seconds=seconds)


def _parse(body: bytes) -> tuple[int, list[bytes], str] | Reply:
    malformed = Reply(400, "the request is malformed\n")
    if len(body) > MAX_BODY_BYTES:
        return malformed
    try:
        head, blank, note = body.decode("utf-8").partition("\n\n")
        old, *lines = head.split("\n")
        matched = _OLD.fullmatch(old)
        proof = [base64.b64decode(line, validate=True) for line in lines]
    except (UnicodeDecodeError, binascii.Error, ValueError):
        return malformed
    if matched is None or not blank or not note or len(proof) > MAX_PROOF_LINES:
        return malformed
    if any(len(node) != DIGEST_BYTES for node in proof):
        return malformed
    return int(matched[1]), proof, note
