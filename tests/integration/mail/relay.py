"""A real SMTP server on loopback: with TLS or without, with a login or without, and moods that a test gives it."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd import smtp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

USER, PASSWORD = "room", "a password of the relay"


@dataclass
class Relay:
    """What arrived, and what the next answers are."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    recipient_says: list[str] = field(default_factory=list)
    data_says: list[str] = field(default_factory=list)
    on_data: Callable[[], None] | None = None

    async def handle_RCPT(
        self, _server: smtp.SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.recipient_says:
            return self.recipient_says.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: smtp.SMTP, _session: Session, envelope: Envelope) -> str:
        if self.data_says:
            return self.data_says.pop(0)
        made = message_from_bytes(envelope.content or b"", policy=default)
        assert isinstance(made, EmailMessage)
        self.got.append(made)
        self.to += envelope.rcpt_tos
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if self.on_data is not None:
            self.on_data()
        return "250 OK"


def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def relaying(context: ssl.SSLContext | None = None, *, implicit: bool = False) -> Iterator[Relay]:
    """Run a relay; with a context it takes nothing before TLS and a login."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relay = Relay(port)
    options: dict[str, Any] = {"hostname": "127.0.0.1", "port": port, "ready_timeout": 20.0}
    if context is not None:
        options |= {"authenticator": authenticate, "auth_required": True}
        if implicit:
            # The library does not see that TLS is there from the first byte, and warns of a login without it.
            options |= {"ssl_context": context, "auth_require_tls": False}
        else:
            options |= {"tls_context": context, "require_starttls": True}
    controller = Controller(relay, **options)
    controller.start()
    try:
        yield relay
    finally:
        controller.stop()
