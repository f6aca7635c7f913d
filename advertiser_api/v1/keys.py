"""Keys that sign upload packages."""

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from advertiser_api.auth import NamedAdvertiser, party_of, requires
from advertiser_api.idempotency import OnlyOnce
from advertiser_api.pages import AskedPage, Listed
from advertiser_api.room import OpenRoom
from advertiser_api.schemas import Given, Id, IdInPath, Instant, Shown
from cleanroom.access.scopes import BASES_WRITE, KEYS_WRITE
from cleanroom.access.types import Principal
from cleanroom.accounts.errors import EnrolmentError
from cleanroom.accounts.types import SigningKey
from cleanroom.db.database import Transaction

router = APIRouter(prefix="/v1/keys", tags=["keys"])
Caller = Annotated[Principal, Depends(requires(KEYS_WRITE))]


class NewKey(Given):
    """A public key to enrol; the private one never leaves its owner."""

    public_key: Annotated[
        str,
        Field(
            description="32 bytes of a raw Ed25519 public key, in base64",
            max_length=100,
            examples=["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        ),
    ]


class KeyOut(Shown):
    """An enrolled key; manifests name its id."""

    id: Id
    public_key: str
    enrolled_at: Instant
    revoked_at: Instant | None


@router.post("", summary="Enrol a signing key", status_code=201, response_model=KeyOut)
def enrol_key(
    room: OpenRoom, caller: Caller, once: OnlyOnce, body: NewKey, advertiser: NamedAdvertiser = None
) -> Response:
    """Let a public key sign upload packages of the organisation; each key is enrolled once, for good."""
    organisation_id = party_of(room, caller, advertiser, scope=BASES_WRITE)

    def enrol(tx: Transaction) -> KeyOut:
        key_id = room.accounts.enrol_key(tx, organisation_id, _raw(body.public_key))
        return _key(room.accounts.signing_key(tx, key_id, organisation_id=organisation_id))

    return once(caller, enrol)


@router.get("", summary="List signing keys")
def list_keys(
    room: OpenRoom, caller: Caller, page: AskedPage, advertiser: NamedAdvertiser = None
) -> Listed[KeyOut]:
    """List the organisation's keys, those that were revoked too."""
    organisation_id = party_of(room, caller, advertiser, scope=BASES_WRITE)
    with room.db.reading() as tx:
        rows = room.accounts.signing_keys(tx, organisation_id, after=page.after, limit=page.fetch)
    return page.of(rows, _key, position=lambda key: key.id)


@router.delete("/{key_id}", summary="Revoke a signing key", status_code=204)
def revoke_key(room: OpenRoom, caller: Caller, key_id: IdInPath, advertiser: NamedAdvertiser = None) -> None:
    """Refuse packages that the key signs from now on; a second time changes nothing."""
    organisation_id = party_of(room, caller, advertiser, scope=BASES_WRITE)
    with room.db.transaction() as tx:
        room.accounts.signing_key(tx, key_id, organisation_id=organisation_id)
        room.accounts.revoke_key(tx, key_id)


def _raw(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EnrolmentError("The public key is not base64.", remedy="Encode its 32 raw bytes.") from None


def _key(key: SigningKey) -> KeyOut:
    return KeyOut(
        id=key.id,
        public_key=base64.b64encode(key.public_key).decode("ascii"),
        enrolled_at=key.enrolled_at,
        revoked_at=key.revoked_at,
    )
