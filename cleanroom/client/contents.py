"""Recognises a content that was uploaded before, on the owner's machine alone."""

import hashlib
import io
from pathlib import Path
from typing import Any

import polars as pl

from cleanroom.canonical import canonical_json
from cleanroom.client.errors import FileError
from cleanroom.client.preparing import rows_of
from cleanroom.schema.codec import schema_from_dict
from cleanroom.schema.layout import Mode

_BYTES = 20


def content_digest(source: Path | pl.DataFrame, schema: Any, *, secret: bytes, mode: Mode = "full") -> str:
    """Name a content under a schema.

    Args:
        source: a file, by its bytes; or a frame, by the columns that the schema names.
        schema: as plain data; or a list whose last item it is, when more than it counts.
        secret: 32 bytes; nobody without them can try out contents.
        mode: with `delta` a frame's column `_op` counts too.

    Returns:
        40 hex digits.

    Raises:
        FileError: the source cannot be read, or lacks columns.
    """
    digest = hashlib.blake2b(canonical_json(schema), key=secret, digest_size=_BYTES)
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                digest.update(hashlib.file_digest(file, hashlib.sha256).digest())
        except OSError:
            raise FileError("The file cannot be opened.", remedy="Check its path and permissions.") from None
        return digest.hexdigest()
    described = schema_from_dict(schema[-1] if isinstance(schema, list) else schema)
    for batch in rows_of(source, described, mode):
        text = io.BytesIO()
        batch.frame.write_csv(text, null_value="", quote_style="always")
        digest.update(text.getvalue())
    return digest.hexdigest()
