"""Addresses of the internet, as far as it matters who is behind them."""

from ipaddress import IPv6Address, ip_address, ip_network

_SUBSCRIBER_BITS = 64
"""Of IPv6 one subscriber has at least so large a network, and takes a new address of it whenever it wants."""


def subscriber_of(address: str) -> str:
    """Return what stands for everybody behind an address: of IPv6 the subscriber's network, else the address.

    Args:
        address: where a request came from; a text that is no address stands for itself.

    Source: RFC 6177, section 2; RFC 4291, section 2.5.5.2 for addresses of IPv4 in those of IPv6.
    """
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    # A socket for both kinds writes addresses of IPv4 like this; as a network they would all be one.
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ip_network((int(known), _SUBSCRIBER_BITS), strict=False))
