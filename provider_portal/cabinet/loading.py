"""Loading a file into a dataset: two ways in, the browser's signing key, and how far the room is."""

import base64
import binascii
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cleanroom.access.scopes import DATASETS_READ, DATASETS_WRITE
from cleanroom.clock import rfc3339
from cleanroom.datasets.types import DatasetKind
from cleanroom.ids import new_id
from cleanroom.schema.categories import special_value_keys
from cleanroom.schema.model import schema_to_dict
from cleanroom.schema.writing import schema_to_yaml
from cleanroom.uploads.errors import UploadNotFoundError
from cleanroom.uploads.types import OPEN
from crypto.package import recipient_key_id
from provider_portal.cabinet.describing import attachment
from provider_portal.cabinet.wizard_words import wizard_words
from provider_portal.ui import PROVIDERS, page
from provider_portal.visits import Visit, needs

router = APIRouter(prefix="/datasets/{dataset_id}")
Reading = Annotated[Visit, Depends(needs(DATASETS_READ, kinds=PROVIDERS))]
Writing = Annotated[Visit, Depends(needs(DATASETS_WRITE, kinds=PROVIDERS))]
PACKAGE_DAYS = 7
# An upload may be complete at its last moment, and is ingested after that.
_KEY_DAYS = PACKAGE_DAYS + 1


@router.get("/load")
def load(visit: Writing, dataset_id: str) -> Response:
    """Show the two ways in."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        dataset = room.datasets.owned(
            tx, dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET
        )
        recipient = room.workspaces.recipient(tx, dataset.workspace_id)
        under_way = room.uploads.under_way(tx, dataset_id, organisation_id=organisation_id)
    return page(
        visit,
        "cabinet/load.html",
        dataset=dataset,
        under_way=under_way,
        public_url=visit.request.app.state.public_url,
        data={
            "words": wizard_words(visit.writing, loading=True),
            "language": visit.writing.language,
            "dataset_id": dataset.id,
            "workspace_id": dataset.workspace_id,
            "expected_version_id": dataset.current_version_id,
            "schema": schema_to_dict(dataset.schema),
            "schema_sha256": dataset.schema_sha256,
            "recipient": recipient,
            "recipient_key_id": recipient_key_id(recipient),
            "specials": sorted(special_value_keys()),
        },
    )


@router.get("/schema.yaml")
def schema(visit: Reading, dataset_id: str) -> Response:
    """Send the description of a dataset as a file."""
    with visit.room.db.reading() as tx:
        dataset = visit.room.datasets.owned(
            tx, dataset_id, organisation_id=visit.who.organisation_id, kind=DatasetKind.DATASET
        )
    return attachment(schema_to_yaml(dataset.schema), "schema.yaml", "application/yaml")


@router.post("/load/key")
def enrol(visit: Writing, dataset_id: str) -> Response:
    """Enrol the key that a browser has made for one package, and give what its manifest needs."""
    room, who = visit.room, visit.who
    try:
        public_key = base64.b64decode(visit.typed("public_key", longest=100), validate=True)
    except (binascii.Error, ValueError):
        raise HTTPException(400) from None
    now = room.clock.now()
    with room.db.transaction() as tx:
        room.datasets.owned(tx, dataset_id, organisation_id=who.organisation_id, kind=DatasetKind.DATASET)
        key_id = room.accounts.enrol_key(
            tx,
            who.organisation_id,
            public_key,
            user_id=who.user_id,
            expires_at=now + timedelta(days=_KEY_DAYS),
        )
    return JSONResponse(
        {
            "signer_key_id": key_id,
            "package_id": new_id("pk", now),
            "created_at": rfc3339(now),
            "expires_at": rfc3339(now + timedelta(days=PACKAGE_DAYS)),
        }
    )


@router.get("/uploads/{upload_id}")
def show_upload(visit: Reading, dataset_id: str, upload_id: str) -> Response:
    """Show how far an upload is, and what became of it."""
    room, organisation_id = visit.room, visit.who.organisation_id
    with room.db.reading() as tx:
        dataset = room.datasets.owned(
            tx, dataset_id, organisation_id=organisation_id, kind=DatasetKind.DATASET
        )
        upload = room.uploads.upload(tx, upload_id, organisation_id=organisation_id)
    if upload.dataset_id != dataset_id:
        raise UploadNotFoundError("There is no upload with this id.", remedy="List your uploads.")
    return page(visit, "cabinet/upload.html", dataset=dataset, upload=upload, running=upload.status in OPEN)
