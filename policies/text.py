"""Reading YAML and JSON that others wrote: bounded in size and depth before anything is built from it."""

import unicodedata
from typing import Any

import yaml

from policies.errors import NestingError, PolicyError

MAX_TEXT_BYTES = 16 * 1024 * 1024
MAX_TEXT_DEPTH = 256


class DocumentError(PolicyError):
    """A text is not YAML or JSON that can be read.

    Attributes:
        line: near which the reader stopped, 1 for the first; None when it does not say.
    """

    code = "policies.document"

    def __init__(self, message: str, *, remedy: str = "", line: int | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.line = line


def nfc(text: str) -> str:
    """Return text in the one form that is compared, hashed and signed: Unicode NFC.

    Raises:
        DocumentError: it holds half a surrogate pair, which no encoding can write.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise DocumentError(
            "A text holds half a surrogate pair.", remedy="Write the character itself."
        ) from None
    return unicodedata.normalize("NFC", text)


def load_yaml(text: str) -> Any:
    """Read YAML, of which JSON is a part.

    The nesting is counted on the stream of events first: building the tree would recurse. Anchors are
    refused, because a few lines of them unfold into gigabytes.

    Args:
        text: at most `MAX_TEXT_BYTES` long and `MAX_TEXT_DEPTH` levels deep.

    Raises:
        NestingError: it is nested too deep.
        DocumentError: it is too long, uses anchors, or is not YAML.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise DocumentError(f"The document is longer than {MAX_TEXT_BYTES} characters.", remedy="Split it.")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise DocumentError(
                    "Anchors and aliases are not read.",
                    remedy="Write the repeated part out.",
                    line=event.start_mark.line + 1 if event.start_mark else None,
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_TEXT_DEPTH:
                raise NestingError(
                    f"A document may be nested {MAX_TEXT_DEPTH} levels deep.",
                    remedy="Flatten its conditions.",
                )
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" near line {mark.line + 1}" if mark is not None else ""
        raise DocumentError(
            f"The document is not valid YAML{place}.",
            remedy="Correct its indentation, quotes or brackets.",
            line=mark.line + 1 if mark is not None else None,
        ) from None
    except ValueError:
        raise DocumentError(
            "The document holds a date or a number that does not exist.",
            remedy="Correct it, or put it in quotes to make it text.",
        ) from None
