"""Datasets: the list, one of them with its versions, and the quality report of a version."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from cleanroom.access.scopes import DATASETS_READ
from cleanroom.datasets.shelf import SORTS, shelf
from cleanroom.datasets.types import WITHOUT_FILES, DatasetKind
from provider_portal.tables import PER_PAGE, asked
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/datasets")
Reading = Annotated[Visit, Depends(needs(DATASETS_READ, kinds=PROVIDERS))]
_FEW_REJECTS = 50


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
    return page(visit, "cabinet/datasets.html", found=found, total=total, wanted=wanted, waiting=waiting)


@router.get("/{dataset_id}")
def show_dataset(visit: Reading, dataset_id: str) -> Response:
    """Show a dataset: what it declares, which rule it is asked by, its versions."""
    room = visit.room
    with room.db.reading() as tx:
        dataset = room.datasets.owned(
            tx, dataset_id, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
        )
        versions = room.datasets.versions(tx, dataset_id)
        policy = room.rules.current(tx, dataset_id)
        stopped = room.rules.stopped(tx, dataset_id)
    return page(
        visit,
        "cabinet/dataset.html",
        dataset=dataset,
        versions=versions[::-1],
        policy=policy,
        stopped=stopped,
        without_files=WITHOUT_FILES,
    )


@router.get("/{dataset_id}/versions/{version_id}")
def show_report(visit: Reading, dataset_id: str, version_id: str) -> Response:
    """Show the quality report of a version: exact figures on the owner's own file, for nobody else."""
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
        dataset=dataset,
        version=version,
        report=report,
        few_rejects=_FEW_REJECTS,
    )
