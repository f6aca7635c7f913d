"""A letter as it travels: plain text and simple HTML, with nothing that its reader's program would fetch."""

from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape

import idna

from cleanroom.mail.types import Letter
from cleanroom.mail.wording import sent_by

_STYLE = "font:16px/1.5 sans-serif;color:#1f2933;max-width:34em"
_BUTTON = "display:inline-block;padding:.6em 1.1em;background:#1d5c63;color:#fff;text-decoration:none;border-radius:6px"


class AddressRefused(Exception):  # noqa: N818 - not an error of the domain: it never leaves the slice
    """An address cannot stand in a header."""


def travelling(address: str) -> str:
    """Return an address with its domain as mail servers look it up; raises AddressRefused."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        raise AddressRefused from None


def message(letter: Letter, *, id_: str, to: str, sender: str, room: str, at: datetime) -> EmailMessage:
    """Write a letter as a message.

    Args:
        letter: what it says.
        id_: of the letter; it makes the Message-ID, so that a letter that is sent twice is known by it.
        to: whom.
        sender: the room's address.
        room: the room's host, which people know it by.
        at: when it was written.

    Raises:
        AddressRefused: the address cannot stand in a header.
    """
    made = EmailMessage(policy=SMTP)
    made["From"] = Address("Cleanroom", addr_spec=sender)
    try:
        made["To"] = Address(addr_spec=to)
    except (MessageError, ValueError, IndexError, AttributeError):
        # The library's parser stumbles over what it cannot read in more ways than one.
        raise AddressRefused from None
    made["Subject"] = letter.subject
    made["Date"] = at
    made["Message-ID"] = f"<{id_}@{sender.partition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made["Content-Language"] = letter.language
    last = sent_by(letter.language, room)
    first = "\n\n".join(letter.paragraphs)
    made.set_content(f"{first}\n\n{letter.button}:\n{letter.link}\n\n--\n{last}\n")
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in letter.paragraphs)
    made.add_alternative(
        f'<!doctype html><html lang="{letter.language}"><body><div style="{_STYLE}">{paragraphs}'
        f'<p><a style="{_BUTTON}" href="{escape(letter.link)}">{escape(letter.button)}</a></p>'
        f"<p><small>{escape(last)}</small></p></div></body></html>",
        subtype="html",
    )
    return made
