"""Values of open categories as a payload carries them: UTF-8 in a fixed width, filled up with zeros."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cleanroom.schema.categories import is_special_value
from cleanroom.schema.errors import SpecialCategoryError
from cleanroom.schema.model import UNKNOWN

# Control characters, separators of lines and paragraphs, and marks of direction: all of them can make a report
# show something else than it says.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def to_fixed(values: Sequence[bytes], width: int) -> NDArray[np.uint8]:
    """Lay values out side by side.

    Args:
        values: none longer than the width, none with a NUL byte; empty means no value.
        width: bytes of each.

    Returns:
        (n, width).
    """
    return np.array(values, dtype=f"S{width}").view(np.uint8).reshape(len(values), width)


def refuse_special(attribute: str, values: Iterable[bytes]) -> None:
    """Refuse values that name a belief, an origin or an illness, as they are refused when they are declared.

    Raises:
        SpecialCategoryError: there is one; the message does not say which.
    """
    if any(is_special_value(value.decode()) for value in values):
        raise SpecialCategoryError(
            f"The open category {attribute} holds values that name a special category of personal data (health,"
            " ethnicity, religion, politics, sexual life), which is refused.",
            remedy="Leave the attribute out of the schema, or clear such values from its column.",
        )


def is_open_value(value: bytes) -> bool:
    """Tell whether bytes can be a value: NFC text of visible characters, and not the name of "no value"."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return (
        bool(text)
        and text != UNKNOWN
        and text == text.strip()
        and not _INVISIBLE.search(text)
        and unicodedata.is_normalized("NFC", text)
    )
