"""One load: from the encrypted payload to the sealed files of a version; no SQL."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from cleanroom.canonical import canonical_json
from cleanroom.clock import Clock
from cleanroom.consent.changes import microseconds
from cleanroom.datasets.dictionary import read_dictionary
from cleanroom.datasets.files import Place, PlaceReader, PlaceWriter
from cleanroom.datasets.junk import JUNK_DTYPE
from cleanroom.datasets.tokens import PERSON_KEY, token_key
from cleanroom.datasets.types import Dataset, DatasetKind, OverShared, OwnerFigure, Role, SealedFile
from cleanroom.ingestion.assembly import Arranged, Assembly, Tally
from cleanroom.ingestion.errors import PayloadError
from cleanroom.ingestion.frames import Converted, FrameReader, Quarantine
from cleanroom.ingestion.junk_list import ref_of, without_known
from cleanroom.ingestion.previous import PreviousRows
from cleanroom.ingestion.records import RecordLayout, expected_columns
from cleanroom.ingestion.spill import SealedSpill
from cleanroom.ingestion.spool import Records
from cleanroom.ingestion.value_codes import OpenCategories
from cleanroom.parallel import WORKERS, in_order
from cleanroom.schema.batch import BatchReader, BatchTrailer, PreparedBatch
from cleanroom.schema.model import ConsentState
from cleanroom.storage import ObjectStore
from cleanroom.workspaces.types import WorkspaceKeys
from crypto.package import Manifest, open_payload

MAX_LISTED_OVER_SHARED = 10_000
_PART_ROWS = 65_536
"""Rows converted at a time: few enough for the processor's cache, and many against the cost of a call."""
_READING_SHARE = 0.5
"""How much of a load's time reading takes, about."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Earlier:
    """The published version that a load builds on.

    Attributes:
        reader: of its files.
        persons: how many it has.
        rows: whether a delta takes over its rows; its junk list is always taken over.
    """

    reader: PlaceReader
    persons: int
    rows: bool


@dataclass(frozen=True)
class Loaded:
    """What a load wrote.

    Attributes:
        files: of the version.
        report: for the owner.
        fingerprint: of a base.
    """

    files: tuple[SealedFile, ...]
    report: OwnerFigure
    fingerprint: bytes | None


@dataclass(frozen=True)
class Load:
    """Everything that one load needs.

    Attributes:
        dataset: what is loaded.
        place: where its files belong.
        keys: of the workspace.
        manifest: verified.
        payload: the encrypted file, whose hash was checked.
        earlier: the published version, if there is one.
        memory_bytes: how much memory rows in flight may take.
    """

    dataset: Dataset
    place: Place
    keys: WorkspaceKeys
    manifest: Manifest
    payload: Path
    earlier: Earlier | None
    memory_bytes: int

    def run(self, store: ObjectStore, clock: Clock, progress: Progress) -> Loaded:
        """Read, validate, tokenise, merge, sort and seal.

        Args:
            store: where the files go.
            clock: names the files.
            progress: called with rows done and rows in all.

        Returns:
            What was written.

        Raises:
            PayloadError: the payload is not what manifest and schema say.
            CryptoError: the payload cannot be decrypted.
        """
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="ingestion") as pool:
            return self._run(store, clock, progress, pool)

    def _run(self, store: ObjectStore, clock: Clock, progress: Progress, pool: Executor) -> Loaded:
        layout = RecordLayout.of(self.dataset.schema)
        earlier_rows = self.earlier.persons if self.earlier and self.earlier.rows else 0
        spill = SealedSpill(store, self.place, kek=self.keys.kek, clock=clock)
        open_categories = OpenCategories(layout.attributes, self._earlier_values(layout))
        assembly = Assembly(
            layout,
            # A person with many values of a key takes several rows of the earlier version.
            rows=self.manifest.rows + 2 * earlier_rows,
            # The earlier version is turned into rows in a fifth of the memory.
            memory_bytes=self.memory_bytes * 4 // 5 if earlier_rows else self.memory_bytes,
            spill=spill,
            open_categories=open_categories,
            pool=pool,
        )
        try:
            if self.earlier and self.earlier.rows:
                previous = PreviousRows(
                    layout, self.earlier.reader, self.earlier.persons, self.memory_bytes, spill
                )
                for rows in previous:
                    assembly.add(rows)
            # A day for clocks and time zones; a later instant cannot be true.
            latest_consent = microseconds(clock.now() + timedelta(days=1))
            frames = FrameReader(
                layout,
                keys={name: self._token_key(name) for name in layout.key_names},
                person_key=self._token_key(PERSON_KEY) if layout.person else None,
                latest_consent=latest_consent,
                open_categories=open_categories,
            )
            trailer = self._read(frames, assembly, progress, pool)
            base = self.dataset.kind is DatasetKind.BASE
            fingerprint = self._fingerprint(layout) if base else None
            with PlaceWriter(store, self.place, kek=self.keys.kek, clock=clock) as writer:
                tally = assembly.write(
                    writer, fingerprint=fingerprint, progress=partial(self._tell_written, progress)
                )
                waiting = self._write_junk(writer, tally, base=base)
                report = self._report(layout, tally, frames.quarantine, trailer, waiting)
                writer.write(Role.REPORT, 0, canonical_json(report.to_dict()))
        finally:
            assembly.close()
        return Loaded(tuple(writer.files), report, fingerprint.digest() if fingerprint else None)

    def _tell_written(self, progress: Progress, share: float) -> None:
        """Rows that were read count for a part only: sorting and writing them takes about as long."""
        rows = self.manifest.rows
        progress(int(rows * (_READING_SHARE + (1 - _READING_SHARE) * share)), rows)

    def _earlier_values(self, layout: RecordLayout) -> dict[str, list[bytes]]:
        """Return what open categories held before, so that the codes of the earlier rows stay good."""
        if self.earlier is None or not self.earlier.rows:
            return {}
        return {
            attribute.name: read_dictionary(self.earlier.reader, index)
            for index, attribute in enumerate(layout.attributes)
            if attribute.open
        }

    def _read(
        self, frames: FrameReader, assembly: Assembly, progress: Progress, pool: Executor
    ) -> BatchTrailer:
        manifest, taken = self.manifest, 0

        def work(part: PreparedBatch) -> tuple[int, Converted, Arranged]:
            converted = frames.convert(part)
            return part.rows, converted, assembly.arrange(converted.rows)

        # The file may have been exchanged since its hash was checked; what is decrypted is hashed once more.
        with open_payload(
            self.payload, self.keys.age_identity, sha256=self.manifest.ciphertext_sha256
        ) as stream:
            batches = BatchReader(stream)
            header = batches.header
            if header.schema_sha256 != manifest.schema_sha256 or header.mode != manifest.mode:
                raise PayloadError(
                    "The payload was prepared for another schema or mode.", remedy="Prepare it again."
                )
            if header.columns != expected_columns(self.dataset.schema, manifest.mode):
                raise PayloadError(
                    "The payload's columns are not those of the schema.", remedy="Prepare it again."
                )
            for rows, converted, arranged in in_order(pool, work, self._parts(batches, frames)):
                frames.note(converted)
                assembly.take(arranged)
                taken += rows
                progress(int(taken * _READING_SHARE), manifest.rows)
            trailer = batches.trailer
        if trailer is None or taken != manifest.rows:
            raise PayloadError(
                "The payload has another number of rows than its manifest.", remedy="Prepare it again."
            )
        if trailer.rows_read != taken + sum(trailer.rejected.values()):
            raise PayloadError("The payload's counts do not add up.", remedy="Prepare it again.")
        return trailer

    def _parts(self, batches: BatchReader, frames: FrameReader) -> Iterator[PreparedBatch]:
        """Yield frames in parts, as far as the manifest says that there are rows."""
        done = 0
        for batch in batches:
            done += batch.rows
            if done > self.manifest.rows:
                return
            frames.check(batch)
            yield from batch.parts(_PART_ROWS)

    def _token_key(self, name: str) -> bytes:
        return token_key(
            self.keys.token_secret,
            workspace_id=self.place.workspace_id,
            version=self.keys.token_version,
            key=name,
        )

    def _fingerprint(self, layout: RecordLayout) -> hmac.HMAC:
        label = self.dataset.schema.label
        values = list(label.values) if label else []
        mac = hmac.new(self.keys.fingerprint_key, b"cleanroom/base/v1\n", hashlib.sha256)
        mac.update(canonical_json({"keys": list(layout.key_names), "labels": values}) + b"\n")
        return mac

    def _write_junk(self, writer: PlaceWriter, tally: Tally, *, base: bool) -> Records:
        """Take over the dataset's junk list, and return what is not on it yet, the most shared first."""
        known = np.empty(0, JUNK_DTYPE)
        if self.earlier and self.earlier.reader.has(Role.JUNK, 0):
            known = self.earlier.reader.read(Role.JUNK, 0, JUNK_DTYPE)
        writer.write(Role.JUNK, 0, known)
        # However many rows of a base hold a value, a hit counts the dataset's person once.
        found = [] if base else tally.over_shared
        waiting = without_known(np.concatenate([np.empty(0, JUNK_DTYPE), *found]), known)
        waiting = waiting[np.argsort(-waiting["holders"].astype(np.int64), kind="stable")]
        writer.write(Role.JUNK, 1, waiting)
        return waiting

    def _report(
        self,
        layout: RecordLayout,
        tally: Tally,
        quarantine: Quarantine,
        trailer: BatchTrailer,
        waiting: Records,
    ) -> OwnerFigure:
        rejected = dict(trailer.rejected)
        for reason, count in quarantine.counts.items():
            rejected[reason] = rejected.get(reason, 0) + count
        listed = waiting[:MAX_LISTED_OVER_SHARED]
        return OwnerFigure(
            rows=trailer.rows_read,
            rows_accepted=trailer.rows_written - quarantine.counts.total(),
            persons=tally.persons,
            rejected=rejected,
            rejected_rows=tuple(sorted([*trailer.rejects, *quarantine.rows])[:MAX_LISTED_OVER_SHARED]),
            invalid=dict(trailer.invalid),
            known_junk=dict(trailer.junk),
            fill=dict(tally.fill),
            distinct=dict(tally.distinct),
            over_shared=tuple(
                OverShared(ref_of(index), layout.key_names[item["key"]], int(item["holders"]))
                for index, item in enumerate(listed)
            ),
            over_shared_total=int(waiting.size),
            consent={
                purpose: {state.name.lower(): int(counts[state]) for state in ConsentState}
                for purpose, counts in tally.consent.items()
            },
            distinct_values=dict(tally.distinct_values),
        )
