"""Withdrawals as they come in, and what is answered."""

from dataclasses import dataclass

ALL_PURPOSES = "*"


@dataclass(frozen=True)
class Withdrawal:
    """People who take their consent back, named by one identifier each.

    Attributes:
        key: the match key and hash profile, such as `email/room`.
        digests: n x 32 bytes.
        purpose: one of the schema's purposes, or `*` for all.
    """

    key: str
    digests: bytes
    purpose: str = ALL_PURPOSES


@dataclass(frozen=True)
class WithdrawalOutcome:
    """The answer to a batch; it never tells who was found.

    Attributes:
        applied: keys in which the dataset can find people.
        not_applied: keys that the dataset lacks; those people have to be named in another one.
        submitted: identifiers taken.
        epoch: the dataset's consent epoch now.
    """

    applied: tuple[str, ...]
    not_applied: tuple[str, ...]
    submitted: int
    epoch: int
