"""What is kept of a request tells requests apart for the room, and nothing to whoever has the database alone."""

from hypothesis import given
from hypothesis import strategies as st

from cleanroom.access.idempotency import Idempotency
from tests.rooms import MovableClock

ASKED = ("POST", "/v1/consents", b"{}")
SHORT = st.text("a", max_size=2)


def keeper(secret: int = 1) -> Idempotency:
    return Idempotency(MovableClock(), bytes([secret]) * 32)


def test_a_request_is_the_same_for_all_processes_of_a_room_and_another_for_another_room() -> None:
    assert keeper().request_hash(*ASKED) == keeper().request_hash(*ASKED)
    assert keeper(1).request_hash(*ASKED) != keeper(2).request_hash(*ASKED)


@given(*[st.tuples(SHORT, SHORT, SHORT.map(str.encode), SHORT)] * 2)
def test_where_a_part_ends_counts(
    one: tuple[str, str, bytes, str], other: tuple[str, str, bytes, str]
) -> None:
    first, second = (
        keeper().request_hash(method, path, body, advertiser_id=advertiser_id)
        for method, path, body, advertiser_id in (one, other)
    )
    assert (first == second) == (one == other)
