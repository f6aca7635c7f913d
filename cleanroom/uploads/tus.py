"""The words of tus 1.0: its headers read and written; what they mean is the service's.

Source: tus resumable upload protocol 1.0.0, https://tus.io/protocols/resumable-upload
"""

import base64
import re
from datetime import datetime
from email.utils import format_datetime

from cleanroom.uploads.errors import ContentTypeError, TusHeaderError, TusVersionError
from cleanroom.uploads.types import CHECKSUM_BYTES, Checksum, Limits

VERSION = "1.0.0"
EXTENSIONS = ("creation", "termination", "checksum", "expiration")
CONTENT_TYPE = "application/offset+octet-stream"
_DIGITS = re.compile(r"[0-9]{1,16}")


def capabilities(limits: Limits) -> dict[str, str]:
    """Return the headers that tell a client what this server can do."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(limits.max_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUM_BYTES),
    }


def require_version(value: str | None) -> None:
    """Check `Tus-Resumable`; raises TusVersionError."""
    if value != VERSION:
        raise TusVersionError(
            "The request names no version of the tus protocol, or another than this server speaks.",
            remedy=f"Send the header Tus-Resumable: {VERSION}.",
        )


def require_content_type(value: str | None) -> None:
    """Check `Content-Type` of a PATCH; raises ContentTypeError."""
    if (value or "").strip().lower() != CONTENT_TYPE:
        raise ContentTypeError(
            "The bytes of an upload come under another content type.",
            remedy=f"Send the header Content-Type: {CONTENT_TYPE}.",
        )


def read_number(name: str, value: str | None) -> int:
    """Read a count of bytes, such as `Upload-Offset`; raises TusHeaderError."""
    if value is None or not _DIGITS.fullmatch(value):
        raise TusHeaderError(
            f"The header {name} is missing or is not a number of bytes.", remedy=f"Send {name} as digits."
        )
    return int(value)


def read_length(value: str | None, *, deferred: str | None) -> int:
    """Read `Upload-Length`; a length that would be told later is refused, as it is signed already."""
    if deferred is not None:
        raise TusHeaderError(
            "This server does not let the length be told later.", remedy="Send Upload-Length instead."
        )
    return read_number("Upload-Length", value)


def read_metadata(value: str | None) -> dict[str, bytes]:
    """Read `Upload-Metadata`: pairs of a name and a base64 value, joined by commas.

    Raises:
        TusHeaderError: a value is not base64, or a name is empty or comes twice.
    """
    metadata: dict[str, bytes] = {}
    for pair in value.split(",") if value else ():
        name, _, encoded = pair.strip().partition(" ")
        content = _decoded(encoded)
        if not name or name in metadata or content is None:
            raise TusHeaderError(
                "The header Upload-Metadata is malformed.",
                remedy="Send pairs of a name and its value in base64, separated by commas; each name once.",
            )
        metadata[name] = content
    return metadata


def read_wish(metadata: dict[str, bytes]) -> tuple[bytes, bool]:
    """Take what this room needs from the metadata; everything else, such as a file's name, is dropped here.

    Returns:
        The signed manifest file, and whether to publish at once.

    Raises:
        TusHeaderError: there is no manifest, or the wish is not known.
    """
    manifest, wish = metadata.get("manifest"), metadata.get("publish", b"manual")
    if not manifest:
        raise TusHeaderError(
            "Upload-Metadata lacks the manifest.",
            remedy="Send the signed manifest file in base64, under the name manifest.",
        )
    if wish not in (b"auto", b"manual"):
        raise TusHeaderError(
            "The value of publish in Upload-Metadata is not known.", remedy="Use auto or manual, in base64."
        )
    return manifest, wish == b"auto"


def read_checksum(value: str | None) -> Checksum | None:
    """Read `Upload-Checksum`: an algorithm and a base64 digest; None when there is none.

    Raises:
        TusHeaderError: it is malformed, or its algorithm is not supported.
    """
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    digest = _decoded(encoded)
    if digest is None or len(digest) != CHECKSUM_BYTES.get(algorithm):
        raise TusHeaderError(
            "The header Upload-Checksum is malformed, or its algorithm is not supported.",
            remedy=f"Send one of {', '.join(CHECKSUM_BYTES)}, a space and the digest in base64.",
        )
    return Checksum(algorithm, digest)


def http_date(instant: datetime) -> str:
    """Write an instant for `Upload-Expires`.

    Source: RFC 9110, section 5.6.7.
    """
    return format_datetime(instant, usegmt=True)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
