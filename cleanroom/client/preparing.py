"""Prepares a file on its owner's machine: normalise, hash, encrypt, sign. Raw identifiers go no further."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from cleanroom.client.encoder import OP_COLUMN, EncodedBatch, RowEncoder
from cleanroom.client.errors import PrepareError
from cleanroom.client.lazy_rows import RowBatch, read_frame
from cleanroom.client.parties import Recipient, Signer
from cleanroom.client.progress import Progress
from cleanroom.client.readers import read_rows
from cleanroom.clock import Clock, SystemClock, rfc3339
from cleanroom.ids import new_id
from cleanroom.parallel import WORKERS, in_order
from cleanroom.schema.batch import MAX_REJECTS, BatchHeader, BatchTrailer, BatchWriter
from cleanroom.schema.layout import Mode, layout, reasons
from cleanroom.schema.model import AttributeType, Schema
from crypto.package import Manifest, PackageWriter, recipient_key_id, sign_manifest

VALID_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Prepared:
    """A package on disk, and what its owner should look at before uploading it.

    Attributes:
        package_path: the encrypted payload.
        manifest_path: the signed manifest.
        rows: rows in the payload.
        rows_read: data rows in the file.
        rejected: rows left out, by reason.
        rejects: row number and reason of the first 10,000 of them.
        invalid: identifiers left out of rows that stayed, by key.
        junk: well-known junk identifiers found, by key.
        manifest: what was signed.
    """

    package_path: Path
    manifest_path: Path
    rows: int
    rows_read: int
    rejected: dict[str, int]
    rejects: list[tuple[int, str]]
    invalid: dict[str, int]
    junk: dict[str, int]
    manifest: Manifest


def prepare(
    source: Path | pl.DataFrame,
    *,
    schema: Schema,
    recipient: Recipient,
    signer: Signer,
    out_dir: Path,
    mode: Mode = "full",
    expected_version_id: str | None = None,
    clock: Clock | None = None,
    valid_for: timedelta = VALID_FOR,
    progress: Progress | None = None,
) -> Prepared:
    """Make an upload package of a file; it streams, so the file may be larger than memory.

    Args:
        source: CSV (comma, semicolon or tab; UTF-8 or Windows-1251; gzip or not) or Parquet; or a data frame,
            whose rows never touch a disk in clear.
        schema: of the file.
        recipient: whom it is for.
        signer: an enrolled key.
        out_dir: where payload and manifest are written.
        mode: `delta` for additions, replacements and deletions by person_id (column `_op`).
        expected_version_id: the version that a delta changes.
        clock: tells the time; the machine's when absent.
        valid_for: how long the room may accept the package.
        progress: called with rows read so far, and their total: that of a text file is estimated from the
            bytes read, and is right at the end. `Pace` makes a rate and the time left of it.

    Returns:
        The package and the counts of what was left out; no file remains when an error is raised.

    Raises:
        FileError: the file is refused; subclasses say why.
        PrepareError: the request does not fit, or no row could be prepared.
        MalformedDigestError: a hashed key has another form than its profile writes.
    """
    _check(schema, recipient, mode)
    now = (clock or SystemClock()).now()
    package_id = new_id("pk", now)
    package_path = out_dir / f"{package_id}.age"
    manifest_path = out_dir / f"{package_id}.manifest.json"
    rows = rows_of(source, schema, mode)
    with PackageWriter(package_path, recipient.recipient) as package:
        header = BatchHeader(schema.sha256(), mode, layout(schema, mode), reasons(schema))
        trailer = _write(rows, RowEncoder(schema, mode), BatchWriter(package, header), progress)
    manifest = Manifest(
        package_id=package_id,
        workspace_id=recipient.workspace_id,
        dataset_id=recipient.dataset_id,
        mode=mode,
        expected_version_id=expected_version_id,
        schema_sha256=header.schema_sha256,
        recipient_key_id=recipient_key_id(recipient.recipient),
        rows=trailer.rows_written,
        ciphertext_sha256=package.result.sha256,
        ciphertext_bytes=package.result.size,
        signer_key_id=signer.key_id,
        created_at=rfc3339(now),
        expires_at=rfc3339(now + valid_for),
    )
    manifest_path.write_bytes(sign_manifest(manifest, signer.seed))
    return Prepared(
        package_path=package_path,
        manifest_path=manifest_path,
        rows=trailer.rows_written,
        rows_read=trailer.rows_read,
        rejected=dict(trailer.rejected),
        rejects=list(trailer.rejects),
        invalid=dict(trailer.invalid),
        junk=dict(trailer.junk),
        manifest=manifest,
    )


def rows_of(source: Path | pl.DataFrame, schema: Schema, mode: Mode = "full") -> Iterator[RowBatch]:
    """Read what a schema names of a file or a data frame; raises FileError while it is read."""
    separators = {a.column: a.separator for a in schema.attributes if a.type is AttributeType.SET}
    optional = (OP_COLUMN,) if mode == "delta" else ()
    if isinstance(source, Path):
        return read_rows(source, required=schema.columns(), optional=optional, list_separators=separators)
    return read_frame(source, required=schema.columns(), optional=optional, list_separators=separators)


def _check(schema: Schema, recipient: Recipient, mode: Mode) -> None:
    if mode == "delta" and not schema.person_id:
        raise PrepareError(
            "A delta changes persons by person_id.", remedy="Declare it, or prepare a full load."
        )
    if recipient.accepted_profiles:
        used = {profile for key in schema.match_keys for profile in key.profiles}
        if refused := sorted(used - set(recipient.accepted_profiles)):
            raise PrepareError(
                f"The room does not accept the hash profiles {', '.join(refused)}.",
                remedy=f"It accepts {', '.join(recipient.accepted_profiles)}.",
            )


def _write(
    batches: Iterator[RowBatch], encoder: RowEncoder, writer: BatchWriter, progress: Progress | None
) -> BatchTrailer:
    rows_read = rows_written = 0
    rejected: Counter[str] = Counter()
    invalid: Counter[str] = Counter()
    junk: Counter[str] = Counter()
    rejects: list[tuple[int, str]] = []
    for encoded, share in _encoded(batches, encoder):
        writer.write(encoded.columns)
        rows_written += len(encoded.columns["row"])
        rows_read += len(encoded.columns["row"]) + len(encoded.rejected)
        rejected.update(reason for _, reason in encoded.rejected)
        invalid.update(encoded.invalid)
        junk.update(encoded.junk)
        rejects += encoded.rejected[: MAX_REJECTS - len(rejects)]
        if progress:
            progress(rows_read, round(rows_read / share))
    if not rows_written:
        listed = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common(5))
        raise PrepareError(
            f"None of the {rows_read} rows can be prepared: {listed}.",
            remedy="Correct the schema or the file: phones without a country need a region (default_region, "
            "--region RU), hashes their `form` and `hash_profile`.",
        )
    trailer = BatchTrailer(rows_read, rows_written, rejected, invalid, junk, rejects)
    writer.finish(trailer)
    return trailer


def _encoded(batches: Iterable[RowBatch], encoder: RowEncoder) -> Iterator[tuple[EncodedBatch, float]]:
    """Encode batches while others are read and written, and give each with the share of the file read by then."""
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="prepare") as pool:
        yield from in_order(pool, lambda batch: (encoder.encode(batch), batch.share), batches)
