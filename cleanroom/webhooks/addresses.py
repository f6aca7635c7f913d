"""Which addresses the room calls: those of the public internet, and networks that its operator has named.

Whoever registers a webhook chooses where the room sends requests, and must not reach with it what only the room can
reach (OWASP: server-side request forgery). A name is resolved for each attempt, every address it has is checked, and
the connection goes to one that was checked: what the name becomes a moment later changes nothing.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from cleanroom.webhooks.errors import AddressError

MAX_URL = 2000
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

_PRINTED = re.compile(r"[!-~]+")
_NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?"
)
# What resolvers take for a number: the last part decides (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_LOCAL = ("localhost", "local", "internal", "home.arpa")
# Networks in which an address of version 4 hides: it is the one that is reached in the end.
_EMBEDDING = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
# Special to IANA's registries, and to newer versions of Python only.
_SPECIAL: tuple[Network, ...] = (
    *(IPv4Network(network) for network in ("192.0.0.0/24", "192.88.99.0/24")),
    *(IPv6Network(network) for network in ("64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")),
)


@dataclass(frozen=True)
class Target:
    """Where one attempt goes.

    Attributes:
        host: of the URL, which the certificate must be made out to.
        addresses: to connect to, all checked.
    """

    host: str
    addresses: tuple[Address, ...]


def resolved(host: str, port: int) -> list[str]:
    """Ask the machine's resolver for the addresses of a host; raises OSError when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except UnicodeError as error:
        raise OSError("no host name") from error
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True)
class Guard:
    """Decides which addresses are called.

    Attributes:
        networks: that may be called besides the public internet; loopback among them permits plain http there.
        resolve: gives the addresses of a host.
    """

    networks: tuple[Network, ...] = ()
    resolve: Resolve = resolved

    def check(self, url: str) -> str:
        """Check what the text of an address tells, without asking any resolver.

        Args:
            url: as an organisation wrote it.

        Returns:
            The URL.

        Raises:
            AddressError: the room will never call it.
        """
        if not 0 < len(url) <= MAX_URL or not _PRINTED.fullmatch(url):
            raise AddressError(
                f"An address has 1 to {MAX_URL} printed ASCII characters.",
                remedy="Percent-encode others, and write international names as xn--...",
            )
        scheme, host, _ = _parts(url)
        literal = _literal(host)
        if literal is None and (_NUMBER.fullmatch(host) or not _NAME.fullmatch(host)):
            raise AddressError(
                "The address has no host name that is understood.",
                remedy="Write a name, or an IP address in its usual form.",
            )
        loopback = host == "localhost" if literal is None else _real(literal).is_loopback
        if scheme != "https" and not (loopback and self._allows_loopback):
            raise AddressError(
                "A webhook is called over https.",
                remedy="Use https; plain http is for loopback, where the room's CLEANROOM_WEBHOOK_NETWORKS names it.",
            )
        forbidden = _is_local(host) and not self.networks if literal is None else not self.allows(literal)
        if forbidden:
            raise AddressError(
                "The room calls no address of a private, local or reserved network.",
                remedy="Use a public one, or ask the operator to name the network in CLEANROOM_WEBHOOK_NETWORKS.",
            )
        return url

    def allows(self, address: Address) -> bool:
        """Tell whether an address may be called."""
        real = _real(address)
        if _within(real, self.networks):
            return True
        special = real.is_multicast or real.is_reserved or real.is_unspecified or _within(real, _SPECIAL)
        return real.is_global and not special

    def target(self, url: str) -> Target:
        """Resolve where a URL leads now.

        Raises:
            AddressError: it has no address, or one that the room does not call: nobody is told which.
        """
        scheme, host, port = _parts(self.check(url))
        try:
            found = [ip_address(text.partition("%")[0]) for text in self.resolve(host, port)]
        except (OSError, ValueError):
            found = []
        loopback = all(_real(address).is_loopback for address in found)
        # One forbidden address among several is enough: the next answer of the name could hold it alone.
        if not found or not all(map(self.allows, found)) or (scheme != "https" and not loopback):
            raise AddressError(
                "The host has no address that the room calls.", remedy="Check its DNS entries."
            )
        return Target(host.rstrip("."), tuple(dict.fromkeys(found)))

    @property
    def _allows_loopback(self) -> bool:
        return any(self.allows(each) for each in (IPv4Address("127.0.0.1"), IPv6Address("::1")))


def _parts(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError(
            "The address is no URL.", remedy="Write it like https://hooks.example.org/x."
        ) from None
    odd = parts.username is not None or parts.password is not None or "#" in url or "\\" in url or port == 0
    if parts.scheme not in ("http", "https") or not parts.hostname or odd:
        raise AddressError(
            "The address is not one of https with a host, without a user, a password and a fragment.",
            remedy="Write it like https://hooks.example.org/x.",
        )
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    name = host.rstrip(".")
    return "." not in name or any(name == local or name.endswith(f".{local}") for local in _LOCAL)


def _real(address: Address) -> Address:
    """Return the address of version 4 that one of version 6 stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    low = int(address) & 0xFFFFFFFF
    return IPv4Address(low) if low > 0xFFFF and _within(address, _EMBEDDING) else address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
