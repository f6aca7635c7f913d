"""What `Client` has for the rights of people."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cleanroom.client.remote.rights import Reason, Tables

if TYPE_CHECKING:
    from cleanroom.client.remote.sync_parts import Run

Rows = list[dict[str, Any]]


class Rights:
    """People's rights over their data: erasure, retention, acts of destruction, the record of processing."""

    def __init__(self, run: "Run") -> None:
        self._run = run

    def erase(
        self,
        table_id: str,
        identifiers: Iterable[tuple[str, str]],
        *,
        reason: Reason,
        reference: str = "",
        salt: bytes | None = None,
        tables: Tables = "datasets",
    ) -> dict[str, Any]:
        """Have one person erased; the identifiers are hashed here, and only their digests are sent.

        Args:
            table_id: `ds_...`.
            identifiers: each a key with its hash profile, such as `email/room`, and the value as the file has it.
            reason: why.
            reference: one's own number of the case; never a name.
            salt: 32 random bytes, drawn when not given; keep the answer's `salt` to show later whose request it was.
            tables: datasets, or an advertiser's bases.
        """
        return self._run(
            self._run.session.rights.erase(
                table_id, identifiers, reason=reason, reference=reference, salt=salt, tables=tables
            )
        )

    def erasures(self, table_id: str, *, tables: Tables = "datasets") -> Rows:
        """List the requests over a table."""
        return self._run(self._run.session.rights.erasures(table_id, tables=tables))

    def certificate(self, table_id: str, erasure_id: str, *, tables: Tables = "datasets") -> bytes:
        """Get the certificate of a request that is done; `cleanroom.client.certificates` verifies it offline."""
        return self._run(self._run.session.rights.certificate(table_id, erasure_id, tables=tables))

    def retention(self, table_id: str, *, tables: Tables = "datasets") -> dict[str, Any]:
        """Read how long a table's data are kept."""
        return self._run(self._run.session.rights.retention(table_id, tables=tables))

    def keep(self, table_id: str, *, tables: Tables = "datasets", **rule: Any) -> dict[str, Any]:
        """Set how long a table's data are kept: `version_days`, `retain_until`, `collected_days`, `warn_days`."""
        return self._run(self._run.session.rights.keep(table_id, rule, tables=tables))

    def acts(self) -> Rows:
        """List acts of destruction."""
        return self._run(self._run.session.rights.acts())

    def act(self, act_id: str, *, lang: str = "en") -> bytes:
        """Get an act as PDF, in `en` or `ru`."""
        return self._run(self._run.session.rights.act(act_id, lang))

    def processing(self) -> dict[str, Any]:
        """Read the record of processing."""
        return self._run(self._run.session.rights.processing())

    def processing_file(self, form: str = "xlsx") -> bytes:
        """Get the record of processing as `csv` or `xlsx`."""
        return self._run(self._run.session.rights.processing_file(form))
