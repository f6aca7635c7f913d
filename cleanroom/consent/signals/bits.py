"""Bits of a signal: web-safe base64, numbers of a fixed width, Fibonacci-coded ones, ranges."""

import re

from cleanroom.consent.errors import SignalError

MAX_CHARACTERS = 8192
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SIX_BITS = {letter: f"{number:06b}" for number, letter in enumerate(_ALPHABET)}
_ENCODED = re.compile(r"[A-Za-z0-9_-]+")
_MOST = 1 << 16
"""A range beyond this names nobody who exists, and would only take memory."""


class Bits:
    """Reads a segment from its first bit on; nothing is read beyond the end."""

    def __init__(self, text: str) -> None:
        """Decode web-safe base64 without padding; raises SignalError for anything else."""
        if not _ENCODED.fullmatch(text) or len(text) > MAX_CHARACTERS:
            raise SignalError(
                "A segment is not web-safe base64.", remedy="Send the string as it was written."
            )
        self._bits = "".join(map(_SIX_BITS.__getitem__, text))
        self._at = 0

    def number(self, width: int) -> int:
        """Read a number of so many bits."""
        return int(self._take(width), 2)

    def flag(self) -> bool:
        """Read one bit."""
        return self._take(1) == "1"

    def letters(self) -> str:
        """Read two letters of six bits each."""
        pair = [self.number(6) for _ in range(2)]
        if max(pair) > 25:
            raise SignalError("A code of two letters has others than A to Z.", remedy="Send it unchanged.")
        return "".join(chr(ord("A") + letter) for letter in pair)

    def members(self, width: int) -> frozenset[int]:
        """Read a bit field; gives the numbers, from 1, of the bits that are set."""
        return frozenset(at for at, bit in enumerate(self._take(width), 1) if bit == "1")

    def fibonacci(self) -> int:
        """Read a Fibonacci-coded number: places count 1, 2, 3, 5, 8, ...; two ones end it."""
        number, one, next_, last = 0, 1, 2, False
        while not ((bit := self.flag()) and last):
            number += one if bit else 0
            one, next_, last = next_, one + next_, bit
            if one > _MOST:
                raise SignalError("A number is too large.", remedy="Send the string as it was written.")
        return number

    def fibonacci_range(self) -> tuple[int, ...]:
        """Read ascending numbers, alone or as stretches, each told by its distance from the one before."""
        found: list[int] = []
        for _ in range(self.number(12)):
            stretch, first = self.flag(), (found[-1] if found else 0) + self.fibonacci()
            last = first + self.fibonacci() if stretch else first
            if last > _MOST:
                raise SignalError("A range is too long.", remedy="Send the string as it was written.")
            found.extend(range(first, last + 1))
        return tuple(found)

    def fixed_range(self) -> frozenset[int]:
        """Read numbers of 16 bits, alone or as stretches."""
        found: set[int] = set()
        for _ in range(self.number(12)):
            stretch, first = self.flag(), self.number(16)
            last = self.number(16) if stretch else first
            if not 1 <= first <= last:
                raise SignalError("A range ends before it begins.", remedy="Send the string unchanged.")
            found.update(range(first, last + 1))
        return frozenset(found)

    def _take(self, width: int) -> str:
        taken = self._bits[self._at : self._at + width]
        if len(taken) != width:
            raise SignalError("The string is cut off.", remedy="Send all of it.")
        self._at += width
        return taken
