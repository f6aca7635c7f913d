"""Making the files of statements."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from cleanroom.accounts.service import Accounts
from cleanroom.accounts.types import OrganisationKind
from cleanroom.db.database import Transaction
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.types import MEDIA_TYPES, Document, Format, StatementFile
from cleanroom.marketplace.statements import Statements
from cleanroom.papers.text import Language


def _writer(form: Format) -> Callable[[Document, Language], bytes]:
    """Return what writes a format. It is loaded when it is needed: libraries of spreadsheets and pages are large."""
    module = import_module(f"cleanroom.marketplace.statement_files.as_{form}")
    writer: Callable[[Document, Language], bytes] = getattr(module, f"write_{form}")
    return writer


@dataclass(frozen=True)
class StatementFiles:
    """The service of statements as files."""

    accounts: Accounts
    statements: Statements

    def document(
        self, tx: Transaction, organisation_id: str, month: Month, *, advertiser_id: str | None = None
    ) -> Document:
        """Return an organisation's statement with the names that stand in it.

        Args:
            tx: any transaction.
            organisation_id, month, advertiser_id: as for `Statements.statement_lines`.
        """
        statement = self.statements.statement_lines(tx, organisation_id, month, advertiser_id=advertiser_id)
        known = self.accounts.organisations(tx)
        operators = [
            one.id for one in known if one.kind is OrganisationKind.OPERATOR and one.offboarded_at is None
        ]
        named = {organisation_id, *operators}
        for line in statement.lines:
            named |= {line.provider_id, line.advertiser_id} | ({line.agency_id} if line.agency_id else set())
        return Document(
            statement=statement,
            names={one.id: one.name for one in known if one.id in named},
            operator_id=operators[0] if len(operators) == 1 else None,
            zone=self.statements.usage.zone.key,
        )

    def write(self, document: Document, form: Format, language: Language) -> StatementFile:
        """Write a file; of a complete month it is the same bytes every time. It needs no transaction."""
        statement = document.statement
        return StatementFile(
            name=f"statement-{statement.month}-{statement.organisation_id}-{language}.{form}",
            media_type=MEDIA_TYPES[form],
            content=_writer(form)(document, language),
        )
