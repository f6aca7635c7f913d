"""YAML of people: every scalar stays the text that was typed, and what could exhaust memory is refused."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from cleanroom.schema.errors import SchemaError

MAX_YAML_BYTES = 8 * 2**20
MAX_YAML_DEPTH = 16


class _TextLoader(yaml.BaseLoader):
    """Leaves `yes`, `010` and `2026-01-01` alone, and refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise SchemaError(
                    f"A key stands twice on line {key.start_mark.line + 1}.", remedy="Keep one of them."
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(source: str | Path, *, what: str = "schema", begins: str = "match_keys") -> dict[str, Any]:
    """Read a YAML mapping whose scalars are all text.

    Args:
        source: the text itself, or the path of a file.
        what: it is called in errors.
        begins: a key that one may begin with.

    Raises:
        SchemaError: not a mapping, not YAML, larger than 8 MiB, deeper than 16, with anchors or double keys.
    """
    text = _read(source, what) if isinstance(source, Path) else source
    if len(text) > MAX_YAML_BYTES:
        raise SchemaError(
            f"The {what} is larger than the limit of {MAX_YAML_BYTES} bytes.", remedy="Shorten it."
        )
    try:
        _check_events(text, what)
        plain = yaml.load(text, Loader=_TextLoader)  # noqa: S506 - a BaseLoader makes only text, lists and dicts
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SchemaError(
            f"Line {line} is not YAML.", remedy="Check indentation, quotes and colons there."
        ) from None
    except yaml.YAMLError:
        raise SchemaError(
            f"The {what} holds characters that YAML does not allow.", remedy="Remove them."
        ) from None
    if not isinstance(plain, dict):
        raise SchemaError(f"The {what} is not a mapping of keys.", remedy=f"Begin with `{begins}:`.")
    return plain


def _read(path: Path, what: str) -> str:
    if path.stat().st_size > MAX_YAML_BYTES:
        raise SchemaError(
            f"The {what} is larger than the limit of {MAX_YAML_BYTES} bytes.", remedy="Shorten it."
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SchemaError(f"The {what} file is not UTF-8.", remedy="Save it as UTF-8.") from None


def _check_events(text: str, what: str) -> None:
    # Before any tree is built: the builder recurses, and aliases can multiply.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise SchemaError(f"The {what} uses a YAML alias (*).", remedy="Write the value out.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_YAML_DEPTH:
                raise SchemaError(
                    f"The {what} nests deeper than {MAX_YAML_DEPTH} levels.", remedy="Flatten it."
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
