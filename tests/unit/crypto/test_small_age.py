"""A small message opens for each of its recipients, and for nobody else."""

import pytest

from crypto.package import generate_identity
from crypto.small_age import SmallAgeError, open_small, seal_small


def test_each_recipient_opens_it_and_nobody_else() -> None:
    (anna, to_anna), (boris, to_boris), (stranger, _) = (generate_identity() for _ in range(3))
    sealed = seal_small(b"keys", [to_anna, to_boris])
    assert open_small(sealed, anna) == open_small(sealed, boris) == b"keys"
    assert b"keys" not in sealed
    with pytest.raises(SmallAgeError):
        open_small(sealed, stranger)


def test_what_is_changed_or_malformed_is_refused() -> None:
    identity, recipient = generate_identity()
    sealed = bytearray(seal_small(b"keys", [recipient]))
    sealed[-1] ^= 1
    for data, opener in ((bytes(sealed), identity), (b"", identity), (bytes(sealed), "AGE-SECRET-KEY-1")):
        with pytest.raises(SmallAgeError):
            open_small(data, opener)
    for recipients in ([], ["age1nobody"], [recipient, "x"]):
        with pytest.raises(SmallAgeError):
            seal_small(b"keys", recipients)
