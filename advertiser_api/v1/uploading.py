"""Who uploads: a provider for itself, an advertiser for itself, an agency for the advertiser that it names."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from advertiser_api.auth import NamedAdvertiser, party_of, requires
from advertiser_api.room import OpenRoom
from cleanroom.access.scopes import BASES_WRITE
from cleanroom.access.types import Principal


@dataclass(frozen=True)
class Uploader:
    """Who calls, as far as uploads need to know.

    Attributes:
        organisation_id: whose uploads they are.
        scopes: of the access token; which one is needed depends on what is uploaded.
    """

    organisation_id: str
    scopes: frozenset[str]


def uploader(
    room: OpenRoom, caller: Annotated[Principal, Depends(requires())], advertiser: NamedAdvertiser = None
) -> Uploader:
    """Resolve for whom a caller uploads."""
    return Uploader(party_of(room, caller, advertiser, scope=BASES_WRITE), caller.scopes)
