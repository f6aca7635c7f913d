"""What must stand nowhere in a room's files, in every spelling, and a fast search for it.

Every pattern has at least eight bytes: their first eight are looked up at every position of a file at once.
"""

import base64
import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from small_room import RARE_CITY, RARE_SPEND, RARE_TOWN, Person

from crypto.hash_profiles import digest, hash_profile

_WINDOW = 8
_URL = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True)
class Found:
    """One leak.

    Attributes:
        file: where.
        kind: the class of the pattern.
    """

    file: str
    kind: str


class Search:
    """Finds any of many patterns in files."""

    def __init__(self, patterns: dict[bytes, str]) -> None:
        """Take patterns with the class of each."""
        self.patterns = patterns
        self.files = 0
        self._by_window: dict[int, list[bytes]] = defaultdict(list)
        for pattern in patterns:
            assert len(pattern) >= _WINDOW
            self._by_window[int.from_bytes(pattern[:_WINDOW], "little")].append(pattern)
        self._windows = np.array(sorted(self._by_window), dtype=np.uint64)

    def in_bytes(self, data: bytes, *, name: str = "") -> set[Found]:
        """Return what stands in these bytes."""
        found = set()
        for shift in range(min(_WINDOW, len(data))):
            words = np.frombuffer(data, "<u8", offset=shift, count=(len(data) - shift) // _WINDOW)
            near = np.searchsorted(self._windows, words)
            for at in np.flatnonzero(self._windows.take(near, mode="clip") == words).tolist():
                start = shift + at * _WINDOW
                found |= {
                    Found(name, self.patterns[pattern])
                    for pattern in self._by_window[int(words[at])]
                    if data.startswith(pattern, start)
                }
        return found

    def in_tree(self, *roots: Path) -> set[Found]:
        """Return what stands in any file below, and in the names of files."""
        found = set()
        for root in roots:
            for path in sorted(root.rglob("*")):
                if not path.is_file():
                    continue
                name = path.relative_to(root).as_posix()
                found |= self.in_bytes(path.read_bytes(), name=name)
                found |= self.in_bytes(name.encode(), name=f"name of {name}")
                self.files += 1
        return found


def patterns_of(people: Iterable[Person]) -> dict[bytes, str]:
    """Return every spelling of what these people's rows say about them, with its class."""
    room = hash_profile("room")
    patterns: dict[bytes, str] = {}
    for person in people:
        phone = "+7" + "".join(c for c in person.phone if c.isdigit())[1:]
        plain = {
            "email": [person.email, person.email.lower()],
            "phone": [person.phone, phone, phone[1:]],
            "person_id": [person.customer_id],
            "undeclared column": [person.full_name],
            "row": [person.line],
        }
        for kind, texts in plain.items():
            for text in texts:
                patterns |= dict.fromkeys(texts_of(text), f"raw {kind}")
        hashed = {
            "email": digest(room, "email", person.email),
            "phone": digest(room, "phone", phone),
            "person_id": hashlib.sha256(person.customer_id.encode()).digest(),
        }
        for kind, value in hashed.items():
            assert value is not None
            patterns |= {spelled: f"{form} digest of {kind}" for spelled, form in digests_of(value)}
    for text in (RARE_CITY, RARE_SPEND):
        patterns |= dict.fromkeys(texts_of(text), "rare value")
    patterns |= dict.fromkeys(texts_of(RARE_TOWN), "rare value of an open category")
    # Stored units, as an unencrypted column would hold them.
    stored = int(RARE_SPEND.replace(".", ""))
    patterns |= {struct.pack(order, stored): "rare value in stored units" for order in ("<q", ">q")}
    return patterns


def texts_of(text: str) -> set[bytes]:
    """Spell a text in the encodings that a file, a database or a dump of JSON would use."""
    spelled = set()
    for form in (text, text.lower(), text.upper()):
        spelled |= {form.encode(), form.encode("cp1251"), form.encode("utf-16-le"), form.encode("utf-16-be")}
        spelled |= {json.dumps(form).strip('"').encode(), *_base64_of(form.encode())}
    return {item for item in spelled if len(item) >= _WINDOW}


def digests_of(value: bytes) -> Iterator[tuple[bytes, str]]:
    """Spell a digest, whole or truncated to the 16 bytes that tokens are made of, with the name of the form.

    The first 16 bytes of each form stand for both lengths, with padding or without.
    """
    half = value[:16]
    # Raw: whole, truncated, and as the 64-bit numbers that columns are made of.
    yield half, "raw"
    for part in (value[:8], value[8:16], value[16:24], value[24:]):
        yield part, "raw"
        yield part[::-1], "raw little-endian"
    yield half.hex().encode(), "lower-case hex"
    yield half.hex().upper().encode(), "upper-case hex"
    for spelled in _base64_of(half):
        yield spelled, "base64"


def tokens_of(hi: Iterable[int], lo: Iterable[int]) -> dict[bytes, str]:
    """Spell tokens that were read through the services; even keyed they stand in sealed files only."""
    patterns: dict[bytes, str] = {}
    for first, second in zip(hi, lo, strict=True):
        whole = struct.pack(">QQ", first, second)
        patterns |= {spelled: f"{form} token" for spelled, form in digests_of(whole + whole)}
    return patterns


def _base64_of(data: bytes) -> set[bytes]:
    """Spell bytes in base64 at each of the three alignments inside a longer value, both alphabets."""
    spelled = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + data)
        first = (0, 2, 3)[before]
        text = text[first : first + (len(data) - 3) // 3 * 4]
        spelled |= {text, text.translate(_URL)}
    return spelled
