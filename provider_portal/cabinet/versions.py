"""The life of a version: a decision on its junk, publishing, what changed, what was left out; retiring and deleting."""

import csv
import io
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import DATASETS_READ, DATASETS_WRITE
from cleanroom.datasets.changes import changes_between
from cleanroom.datasets.types import WITHOUT_FILES, Dataset, DatasetKind, DatasetVersion, VersionStatus
from cleanroom.db.database import Transaction
from cleanroom.errors import CleanroomError
from provider_portal.cabinet.datasets import dataset_page, report_page
from provider_portal.cabinet.describing import attachment
from provider_portal.error_words import error_words
from provider_portal.ui import PROVIDERS, go, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/datasets/{dataset_id}")
Reading = Annotated[Visit, Depends(needs(DATASETS_READ, kinds=PROVIDERS))]
Writing = Annotated[Visit, Depends(needs(DATASETS_WRITE, kinds=PROVIDERS))]
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@router.get("/versions/{version_id}/left-out.csv")
def left_out(visit: Reading, dataset_id: str, version_id: str) -> Response:
    """Send the rows that were left out, as numbers and reasons: the room has no values of them."""
    with visit.room.db.reading() as tx:
        _, version = _owned(visit, tx, dataset_id, version_id)
        report = visit.room.datasets.report(tx, version_id)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(("row", "reason"))
    # Reasons name columns, whose names are the owner's own; a spreadsheet must not run them all the same.
    writer.writerows(
        (row, f"'{reason}" if reason.startswith(_FORMULAS) else reason)
        for row, reason in report.rejected_rows
    )
    return attachment(text.getvalue(), f"left-out-version-{version.number}.csv", "text/csv")


@router.get("/versions/{version_id}/changes")
def changes(visit: Reading, dataset_id: str, version_id: str) -> Response:
    """Show a version beside the one that was published before it."""
    room = visit.room
    with room.db.reading() as tx:
        dataset, version = _owned(visit, tx, dataset_id, version_id)
        found = None
        if version.previous_version_id and version.status not in WITHOUT_FILES:
            before = room.datasets.version(tx, version.previous_version_id)
            if before.status not in WITHOUT_FILES:
                found = changes_between(
                    before,
                    room.datasets.report(tx, before.id),
                    version,
                    room.datasets.report(tx, version_id),
                )
    return page(visit, "cabinet/changes.html", dataset=dataset, version=version, found=found)


@router.post("/versions/{version_id}/junk")
def decide_junk(visit: Writing, dataset_id: str, version_id: str) -> Response:
    """Put key values with too many holders on the dataset's junk list: those that are ticked, or all."""
    refs = [name.removeprefix("ref-") for name in visit.form if name.startswith("ref-")]
    everything = visit.typed("all") == "yes"
    try:
        with visit.room.db.transaction() as tx:
            _owned(visit, tx, dataset_id, version_id)
            if refs or everything:
                visit.room.junk_lists.resolve_junk(tx, version_id, None if everything else refs)
    except CleanroomError as error:
        return _again(visit, error, dataset_id, version_id)
    done = "decided" if refs or everything else "nothing"
    return go(visit, f"/datasets/{dataset_id}/versions/{version_id}?done={done}")


@router.post("/versions/{version_id}/publish")
def publish(visit: Writing, dataset_id: str, version_id: str) -> Response:
    """Make a version the current one."""
    try:
        with visit.room.db.transaction() as tx:
            _owned(visit, tx, dataset_id, version_id)
            visit.room.ingestion.publish(tx, version_id)
    except CleanroomError as error:
        return _again(visit, error, dataset_id, version_id)
    return go(visit, f"/datasets/{dataset_id}/versions/{version_id}?done=published")


@router.get("/versions/{version_id}/remove")
def ask_to_remove(visit: Writing, dataset_id: str, version_id: str) -> Response:
    """Ask before a version is retired or deleted."""
    return _removal(visit, dataset_id, version_id)


@router.post("/versions/{version_id}/remove")
def remove(visit: Writing, dataset_id: str, version_id: str) -> Response:
    """Retire the published version, or delete the files of another one."""
    room = visit.room
    try:
        with room.db.transaction() as tx:
            _, version = _owned(visit, tx, dataset_id, version_id)
            if version.status is VersionStatus.PUBLISHED:
                room.removing.retire(tx, dataset_id)
            else:
                room.removing.delete_version(tx, dataset_id, version_id)
    except CleanroomError as error:
        _raise_if_unknown(error)
        return _removal(visit, dataset_id, version_id, error=error_words(error), status=409)
    done = "retired" if version.status is VersionStatus.PUBLISHED else "removed"
    return go(visit, f"/datasets/{dataset_id}?done={done}")


@router.get("/delete")
def ask_to_delete(visit: Writing, dataset_id: str) -> Response:
    """Ask before a dataset is deleted."""
    return _deletion(visit, dataset_id)


@router.post("/delete")
def delete(visit: Writing, dataset_id: str) -> Response:
    """Delete a dataset for good, once its name was typed."""
    room, organisation_id = visit.room, visit.who.organisation_id
    try:
        with room.db.transaction() as tx:
            dataset = room.datasets.owned(
                tx, dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET
            )
            same = visit.typed("name").strip() == dataset.name
            if same:
                room.removing.delete(tx, dataset_id, organisation_id=organisation_id)
    except CleanroomError as error:
        _raise_if_unknown(error)
        return _deletion(visit, dataset_id, error=error_words(error), status=409)
    if not same:
        return _deletion(visit, dataset_id, mistyped=True, status=409)
    return go(visit, "/datasets?done=deleted")


def _owned(visit: Visit, tx: Transaction, dataset_id: str, version_id: str) -> tuple[Dataset, DatasetVersion]:
    datasets = visit.room.datasets
    dataset = datasets.owned(
        tx, dataset_id, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
    )
    return dataset, datasets.owned_version(tx, dataset_id, version_id)


def _raise_if_unknown(error: CleanroomError) -> None:
    if error.code in ("datasets.not_found", "datasets.version_not_found"):
        raise error


def _again(visit: Visit, error: CleanroomError, dataset_id: str, version_id: str) -> Response:
    _raise_if_unknown(error)
    return report_page(visit, dataset_id, version_id, error=error_words(error), status=409)


def _removal(
    visit: Visit, dataset_id: str, version_id: str, *, error: str | None = None, status: int = 200
) -> Response:
    with visit.room.db.reading() as tx:
        dataset, version = _owned(visit, tx, dataset_id, version_id)
    return page(visit, "cabinet/remove.html", dataset=dataset, version=version, error=error, status=status)


def _deletion(
    visit: Visit, dataset_id: str, *, mistyped: bool = False, error: str | None = None, status: int = 200
) -> Response:
    return dataset_page(
        visit, dataset_id, "cabinet/delete.html", mistyped=mistyped, error=error, status=status
    )
