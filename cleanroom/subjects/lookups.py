"""Looking up one person by a hashed identifier, inside the owner's own dataset alone; every look stands in the log."""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from cleanroom.audit.models import AuditEvent
from cleanroom.clock import Clock, rfc3339
from cleanroom.consent.changes import PERSON
from cleanroom.consent.epochs import Epochs
from cleanroom.consent.errors import OptOutError
from cleanroom.consent.optout_keys import check_named, columns_of, list_key
from cleanroom.consent.optout_types import Named
from cleanroom.consent.service import Consents
from cleanroom.datasets.files import FILES_MOVED, PlaceReader
from cleanroom.datasets.service import Datasets
from cleanroom.datasets.tokens import PERSON_KEY, token_halves, token_key
from cleanroom.datasets.types import WITHOUT_FILES, Dataset, DatasetKind, DatasetVersion
from cleanroom.db.database import Database, Transaction
from cleanroom.subjects.errors import BadLookupError, BadReferenceError, TooManyLookupsError
from cleanroom.subjects.finding import Holders, Token, find_holders, require_one
from cleanroom.subjects.history import changes_of, entries_of
from cleanroom.subjects.reading import Found, held_version
from cleanroom.subjects.types import HeldVersion, Lookup, Subject
from cleanroom.subjects.uses import uses_of
from cleanroom.workspaces.service import Workspaces
from cleanroom.workspaces.types import WorkspaceKeys
from crypto.limits import DIGEST_BYTES

LOOKED_UP, EXPORTED = "subjects.looked_up", "subjects.exported"
LOOKUPS_PER_HOUR = 300
PERSON_NAME = PERSON_KEY
"""How a lookup by person_id is named, besides identifiers and profiles."""
_REFERENCE = re.compile(r"[\w./#-]{0,64}")
_HOUR = timedelta(hours=1)
_SALT_BYTES = 32
_COMMITMENT = b"cleanroom/subject/v1\n"


@dataclass(frozen=True)
class Lookups:
    """Answers owners of data; it opens its own transactions."""

    db: Database
    clock: Clock
    workspaces: Workspaces
    datasets: Datasets
    consents: Consents
    epochs: Epochs

    def look_up(self, lookup: Lookup, *, organisation_id: str) -> Subject:
        """Tell what a dataset holds about an identifier; of somebody who is not there the answer is empty.

        That it was asked is committed to the log before anything is read: who asked, why, and a salted commitment to
        the identifier, which without the salt nobody can test a guess against.

        Args:
            lookup: whom, and why.
            organisation_id: who asks: the dataset's owner alone is answered.

        Raises:
            DatasetNotFoundError: the organisation has no such dataset.
            BadLookupError: it is not written as this room takes it.
            BadReferenceError: the reference is more than the number of a case.
            TooManyLookupsError: the organisation has looked up too many people in an hour.
        """
        return self._look(lookup, organisation_id, LOOKED_UP, with_attributes=False)

    def export(self, lookup: Lookup, *, organisation_id: str) -> Subject:
        """Tell all of it, the person's attributes too, to be handed to the person.

        Raises:
            AmbiguousSubjectError: several people hold the identifier, or held it in an earlier version: none is given
                what another's is.
            DatasetNotFoundError: see `look_up`, and the other errors there.
        """
        return self._look(lookup, organisation_id, EXPORTED, with_attributes=True)

    def _look(self, lookup: Lookup, organisation_id: str, kind: str, *, with_attributes: bool) -> Subject:
        _check(lookup)
        salt = secrets.token_bytes(_SALT_BYTES)
        commitment = commitment_of(lookup.named, salt)
        now = self.clock.now()
        with self.db.transaction() as tx:
            self.datasets.owned(
                tx, lookup.dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET
            )
            self._require_pace(tx, organisation_id)
            tx.audit(
                kind,
                subject_id=lookup.dataset_id,
                organisation_id=organisation_id,
                body={
                    "dataset_id": lookup.dataset_id,
                    "commitment": commitment,
                    "key": lookup.named.name,
                    "reason": lookup.reason.value,
                    "reference": lookup.reference,
                    "asked_by": lookup.asked_by,
                    "at": rfc3339(now),
                },
            )
        begun = partial(
            Subject,
            dataset_id=lookup.dataset_id,
            commitment=commitment,
            salt=salt.hex(),
            asked_at=now,
            key=lookup.named.name,
        )
        read = partial(self._read, lookup, begun, with_attributes=with_attributes)
        try:
            return read()
        except FILES_MOVED:
            # Keys were rotated in between: what is looked up anew is read under the new ones.
            return read()

    def _require_pace(self, tx: Transaction, organisation_id: str) -> None:
        lately = select(func.count()).where(
            AuditEvent.kind.in_((LOOKED_UP, EXPORTED)),
            AuditEvent.organisation_id == organisation_id,
            AuditEvent.recorded_at > self.clock.now() - _HOUR,
        )
        if (tx.session.scalar(lately) or 0) >= LOOKUPS_PER_HOUR:
            raise TooManyLookupsError(
                f"An organisation looks up at most {LOOKUPS_PER_HOUR} people in an hour.",
                remedy="Wait; a table of your people is in your own systems.",
            )

    def _read(self, lookup: Lookup, begun: Callable[..., Subject], *, with_attributes: bool) -> Subject:
        named = lookup.named
        with self.db.reading() as tx:
            dataset = self.datasets.living(tx, lookup.dataset_id)
            keys = self.workspaces.secrets(tx, dataset.workspace_id)
            wanted = _tokens(dataset, named, keys)
            versions, tokens = self._versions(tx, dataset, wanted, with_attributes=with_attributes)
            segments = self.epochs.segments(tx, dataset, self.consents.epoch(tx, dataset.id))
            bars = self.consents.bars
            epoch = self.consents.epoch(tx, dataset.id)
            entries = entries_of(
                tx,
                dataset.workspace_id,
                bars=bars.segments.readers(tx, dataset, epoch=epoch),
                batches=bars.files.batches(tx, dataset.workspace_id),
                listed=_listed(dataset, named, keys),
                tokens=wanted | tokens,
                dataset_id=dataset.id,
            )
            releases, in_all = uses_of(tx, dataset.id, frozenset(one.version_id for one in versions))
            names = dataset.schema.key_names
            return begun(
                keys=tuple(
                    PERSON_NAME if column == PERSON else names[column] for column, _ in sorted(wanted)
                ),
                versions=versions,
                changes=changes_of(segments, wanted, tokens, dataset.schema),
                entries=entries,
                releases=releases,
                releases_in_all=in_all,
            )

    def _versions(
        self, tx: Transaction, dataset: Dataset, wanted: frozenset[Token], *, with_attributes: bool
    ) -> tuple[tuple[HeldVersion, ...], frozenset[Token]]:
        """Look through every version that still has files, the newest first.

        Returns:
            What they hold; and by which tokens its holders are named now. A value of an earlier version may be
            somebody else's by now, so of those versions their person_id alone counts.
        """
        looked: list[tuple[DatasetVersion, PlaceReader, Holders]] = []
        for version in reversed(self.datasets.versions(tx, dataset.id)):
            if version.status in WITHOUT_FILES:
                continue
            reader = self.datasets.reader(tx, version.id)
            found = find_holders(reader, wanted, persons=version.persons)
            if found.people or found.junk:
                looked.append((version, reader, found))
        if with_attributes:
            require_one([found for _, _, found in looked])
        held: list[HeldVersion] = []
        tokens: set[Token] = set()
        for version, reader, found in looked:
            current = version.id == dataset.current_version_id
            tokens |= found.tokens if current else found.person_ids
            masks = self._masks(tx, dataset, version) if current else {}
            # Nothing tells whether a row of another version is the same person's, and an export is for one.
            tells = current or dataset.schema.person_id is not None or not with_attributes
            held.append(
                held_version(Found(reader, dataset.schema, version, found, masks, with_attributes, tells))
            )
        return tuple(held), frozenset(tokens)

    def _masks(
        self, tx: Transaction, dataset: Dataset, version: DatasetVersion
    ) -> dict[str, NDArray[np.bool_]]:
        epoch, now = self.consents.epoch(tx, dataset.id), self.clock.now()
        return {
            consent.purpose: self.consents.view(tx, version.id, purpose=consent.purpose, epoch=epoch).mask(
                now
            )
            for consent in dataset.schema.consents
        }


def commitment_of(named: Named, salt: bytes) -> str:
    """Commit to an identifier; whoever has the salt and the identifier can check it.

    Args:
        named: one identifier.
        salt: 32 random bytes.

    Returns:
        Hex, SHA-256 over a label, the salt, the name of the key and the digest.
    """
    content = _COMMITMENT + salt + named.name.encode() + b"\n" + named.digests
    return hashlib.sha256(content).hexdigest()


def _check(lookup: Lookup) -> None:
    # The log keeps it for good: a number has no spaces, and what people write about somebody has.
    if not _REFERENCE.fullmatch(lookup.reference):
        raise BadReferenceError(
            "A reference is the number of a case: at most 64 letters, digits and `._/#-`, without spaces.",
            remedy="Give the number alone, or nothing; name no people.",
        )
    named = lookup.named
    if len(named.digests) != DIGEST_BYTES:
        raise BadLookupError(
            "A lookup names one identifier.", remedy=f"Send one digest, {DIGEST_BYTES} bytes."
        )
    if named.name == PERSON_NAME:
        return
    try:
        check_named((named,))
    except OptOutError as refused:
        raise BadLookupError(refused.message, remedy=refused.remedy) from None


def _tokens(dataset: Dataset, named: Named, keys: WorkspaceKeys) -> frozenset[Token]:
    if named.name == PERSON_NAME:
        return frozenset({(PERSON, _first_half(dataset.workspace_id, PERSON_NAME, named, keys))})
    names = dataset.schema.key_names
    return frozenset(
        (column, _first_half(dataset.workspace_id, names[column], named, keys))
        for column in columns_of(dataset.schema, named.name)
    )


def _listed(dataset: Dataset, named: Named, keys: WorkspaceKeys) -> Mapping[str, frozenset[int]]:
    if named.name == PERSON_NAME:
        return {}
    key = list_key(named.name)
    return {key: frozenset({_first_half(dataset.workspace_id, key, named, keys)})}


def _first_half(workspace_id: str, name: str, named: Named, keys: WorkspaceKeys) -> int:
    key = token_key(keys.token_secret, workspace_id=workspace_id, version=keys.token_version, key=name)
    return int(token_halves(named.digests, key=key)[0, 0])
