"""People's rights over their data: erasure, retention, acts of destruction, the record of processing."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import quote

from cleanroom.client.remote.connection import Connection
from cleanroom.client.remote.effects import Flow
from cleanroom.client.remote.problems import ConfigurationError

Tables = Literal["datasets", "bases"]
Reason = Literal["consent_withdrawn", "objection", "no_longer_needed", "unlawful", "legal_obligation"]
SALT_BYTES = 32


class RightsFlows:
    """Conversations about the rights of people."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def erase(
        self,
        table_id: str,
        identifiers: Iterable[tuple[str, str]],
        *,
        reason: Reason,
        reference: str,
        salt: bytes | None,
        tables: Tables,
    ) -> Flow[dict[str, Any]]:
        """Have one person erased; identifiers are hashed here, as the table's schema says."""
        found = yield from self._connection.get(_path(tables, table_id))
        named = [
            {"key": key, "sha256": hashed_as_declared(found["schema"], key, text).hex()}
            for key, text in identifiers
        ]
        kept = salt or secrets.token_bytes(SALT_BYTES)
        body = {"identifiers": named, "reason": reason, "reference": reference, "salt": kept.hex()}
        made = yield from self._connection.post(f"{_path(tables, table_id)}/erasures", body)
        return {**made, "salt": kept.hex(), "identifiers": named}

    def erasures(self, table_id: str, *, tables: Tables) -> Flow[list[dict[str, Any]]]:
        """List the requests over a table."""
        return self._connection.pages(f"{_path(tables, table_id)}/erasures")

    def certificate(self, table_id: str, erasure_id: str, *, tables: Tables) -> Flow[bytes]:
        """Get the certificate of a request that is done."""
        path = f"{_path(tables, table_id)}/erasures/{quote(erasure_id, safe='')}/certificate"
        return self._connection.get_bytes(path)

    def retention(self, table_id: str, *, tables: Tables) -> Flow[dict[str, Any]]:
        """Read how long a table's data are kept."""
        return self._connection.get(f"{_path(tables, table_id)}/retention")

    def keep(self, table_id: str, rule: Mapping[str, Any], *, tables: Tables) -> Flow[dict[str, Any]]:
        """Set how long a table's data are kept."""
        return self._connection.put(f"{_path(tables, table_id)}/retention", rule)

    def acts(self) -> Flow[list[dict[str, Any]]]:
        """List acts of destruction."""
        return self._connection.pages("/v1/acts")

    def act(self, act_id: str, lang: str) -> Flow[bytes]:
        """Get an act as PDF."""
        return self._connection.get_bytes(f"/v1/acts/{quote(act_id, safe='')}.pdf", lang=lang)

    def processing(self) -> Flow[dict[str, Any]]:
        """Read the record of processing."""
        return self._connection.get("/v1/processing-record")

    def processing_file(self, form: str) -> Flow[bytes]:
        """Get the record of processing as a file."""
        return self._connection.get_bytes(f"/v1/processing-record.{quote(form, safe='')}")


def _path(tables: Tables, table_id: str) -> str:
    return f"/v1/{tables}/{quote(table_id, safe='')}"


def hashed_as_declared(declared: Mapping[str, Any], key: str, text: str) -> bytes:
    """Hash an identifier as the table's key declares it."""
    # Heavy; only whoever has somebody erased needs them.
    from cleanroom.schema.codec import schema_from_dict  # noqa: PLC0415 - brings yaml
    from crypto.hash_profiles import (  # noqa: PLC0415 - brings phonenumbers
        digest,
        hash_profile,
        parse_hashed,
        person_digest,
    )

    if key == "person_id/sha256":
        return person_digest(text)
    name, _, profile = key.partition("/")
    for one in schema_from_dict(declared).match_keys:
        if one.name == name and profile in one.profiles:
            known = hash_profile(profile)
            if one.form == "hashed":
                return parse_hashed(known, text)
            made = digest(known, one.identifier, text, default_region=one.default_region)
            if made is None:
                raise ConfigurationError("The text is no such identifier.", remedy="Check how it is written.")
            return made
    raise ConfigurationError(
        "The table has no such key.", remedy="Name a key with its hash profile, such as email/room."
    )
