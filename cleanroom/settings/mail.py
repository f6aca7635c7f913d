"""How the room sends mail: one relay, its name and the way to prove who is there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cleanroom.settings.secret_files import secret
from cleanroom.settings.values import SettingsError, count, is_loopback, one_of, variable

FIELDS = ("mail_host", "mail_port", "mail_security", "mail_user", "mail_password_file", "mail_from")
SECURITY = ("starttls", "tls", "none")
"""TLS begun in the open, TLS from the first byte, or none, which is for loopback alone."""
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_ADDRESS = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}")


@dataclass(frozen=True)
class MailSettings:
    """The relay that takes the room's mail.

    Attributes:
        host: its name; the certificate must be made out to it.
        port: where it listens.
        security: one of `SECURITY`.
        user: by which the room proves who it is; None when the relay does not ask.
        password: of the user.
        sender: the address that mail comes from.
    """

    host: str
    port: int
    security: str
    user: str | None
    password: str | None = field(repr=False)
    sender: str


def mail_settings(
    values: Mapping[str, object], environ: Mapping[str, str], *, home: Path
) -> MailSettings | None:
    """Read the settings of mail; None when no host is named, and the room sends none.

    Args:
        values: by field.
        environ: may hold the password, as CLEANROOM_MAIL_PASSWORD.
        home: the room's.

    Raises:
        SettingsError: a value cannot be used.
    """
    host = str(values.get("mail_host") or "")
    if not host:
        given = next((name for name in FIELDS if values.get(name)), None)
        if given is not None:
            raise SettingsError(
                f"{variable(given)} is set, and CLEANROOM_MAIL_HOST is not.",
                remedy="Name the relay, or remove the other settings of mail.",
            )
        return None
    if not _HOST.fullmatch(host):
        raise SettingsError("CLEANROOM_MAIL_HOST is no host name.", remedy="Write such as smtp.example.org.")
    security = one_of("mail_security", values.get("mail_security", "starttls"), SECURITY)
    if security == "none" and not (host == "localhost" or is_loopback(host)):
        raise SettingsError(
            "CLEANROOM_MAIL_SECURITY is none, and CLEANROOM_MAIL_HOST is not this machine.",
            remedy="Use starttls or tls: mail carries links that let people in.",
        )
    sender = str(values.get("mail_from") or "")
    if not _ADDRESS.fullmatch(sender):
        raise SettingsError(
            "CLEANROOM_MAIL_FROM is not an e-mail address.", remedy="Write such as room@example.org."
        )
    user = str(values["mail_user"]) if values.get("mail_user") else None
    password = secret(environ, "CLEANROOM_MAIL_PASSWORD", values.get("mail_password_file"), home=home)
    if (user is None) != (password is None):
        raise SettingsError(
            "Of CLEANROOM_MAIL_USER and its password only one is given.",
            remedy="Give both, or neither; the password as CLEANROOM_MAIL_PASSWORD or in CLEANROOM_MAIL_PASSWORD_FILE.",
        )
    port = count("mail_port", values.get("mail_port", _PORTS[security]), most=65_535, example=587)
    return MailSettings(host, port, security, user, password, sender)
