"""Who is behind an address."""

import pytest

from cleanroom.addresses import subscriber_of


@pytest.mark.parametrize(
    ("address", "subscriber"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.8", "192.0.2.8"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_one_subscriber_has_many_addresses(address: str, subscriber: str) -> None:
    assert subscriber_of(address) == subscriber
