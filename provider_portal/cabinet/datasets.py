"""Datasets: the list, one of them with its versions, and the quality report of a version."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import BUDGETS_READ, CATALOGUE_READ, DATASETS_READ, DATASETS_WRITE
from cleanroom.datasets.shelf import SORTS, shelf
from cleanroom.datasets.types import WITHOUT_FILES, DatasetKind
from provider_portal.i18n import N_
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/datasets")
Reading = Annotated[Visit, Depends(needs(DATASETS_READ, kinds=PROVIDERS))]
_FEW_REJECTS = 50
# As many fields as one form may carry, and more than anybody decides one by one.
_FEW_SHARED = 100
_NOTICES = {
    "published": N_("The version is published: questions are answered from it."),
    "decided": N_("These values are on the junk list: matching ignores them."),
    "nothing": N_("Nothing was ticked."),
    "retired": N_("The version is retired: nothing is answered until another one is published."),
    "removed": N_("The version's files are deleted."),
    "deleted": N_("The dataset is deleted: its files are gone, receipts and the log stay."),
}


@router.get("")
def list_datasets(visit: Reading) -> Response:
    """Show the organisation's datasets."""
    wanted = asked(visit, SORTS, default="name")
    waiting = visit.asked("show") == "waiting"
    with visit.room.db.reading() as tx:
        found, total = shelf(
            tx,
            visit.who.organisation_id,
            name=wanted.text,
            waiting=waiting,
            sort=wanted.sort,
            descending=wanted.descending,
            offset=wanted.offset,
            limit=PER_PAGE,
        )
    return page(
        visit,
        "cabinet/datasets.html",
        found=found,
        total=total,
        wanted=wanted,
        waiting=waiting,
        may_write=visit.who.may(DATASETS_WRITE),
        notice=_NOTICES.get(visit.asked("done")),
    )


@router.get("/{dataset_id}")
def show_dataset(visit: Reading, dataset_id: str) -> Response:
    """Show a dataset: what it declares, which rule it is asked by, its versions."""
    return dataset_page(visit, dataset_id, "cabinet/dataset.html", notice=_NOTICES.get(visit.asked("done")))


@router.get("/{dataset_id}/versions/{version_id}")
def show_report(visit: Reading, dataset_id: str, version_id: str) -> Response:
    """Show the quality report of a version: exact figures on the owner's own file, for nobody else."""
    return report_page(visit, dataset_id, version_id, notice=_NOTICES.get(visit.asked("done")))


def dataset_page(
    visit: Visit, dataset_id: str, template: str, *, status: int = 200, **values: Any
) -> Response:
    """Show a page about a dataset with its versions; raises DatasetNotFoundError for others' datasets too."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        dataset = room.datasets.owned(
            tx, dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET
        )
        versions = room.datasets.versions(tx, dataset_id)
        policy = room.rules.current(tx, dataset_id)
        stopped = room.rules.stopped(tx, dataset_id)
        under_way = room.uploads.under_way(tx, dataset_id, organisation_id=organisation_id)
    return page(
        visit,
        template,
        status=status,
        dataset=dataset,
        versions=versions[::-1],
        policy=policy,
        stopped=stopped,
        under_way=under_way,
        without_files=WITHOUT_FILES,
        may_write=visit.who.may(DATASETS_WRITE),
        may_see_budget=policy is not None and visit.who.may(BUDGETS_READ),
        may_see_listings=visit.who.may(CATALOGUE_READ),
        **values,
    )


def report_page(
    visit: Visit,
    dataset_id: str,
    version_id: str,
    *,
    notice: str | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    """Show a version's report, with what its owner has to decide."""
    room = visit.room
    with room.db.reading() as tx:
        dataset = room.datasets.owned(
            tx, dataset_id, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
        )
        version = room.datasets.owned_version(tx, dataset_id, version_id)
        report = room.datasets.report(tx, version_id) if version.status not in WITHOUT_FILES else None
    return page(
        visit,
        "cabinet/report.html",
        status=status,
        dataset=dataset,
        version=version,
        report=report,
        few_rejects=_FEW_REJECTS,
        few_shared=_FEW_SHARED,
        may_write=visit.who.may(DATASETS_WRITE),
        notice=notice,
        error=error,
    )
