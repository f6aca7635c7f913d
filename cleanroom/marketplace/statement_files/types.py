"""What a statement's file is made from, and what it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cleanroom.marketplace.statements import Statement


class Format(StrEnum):
    """Of a file."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PDF: "application/pdf",
}


@dataclass(frozen=True)
class Document:
    """A statement with the names that stand in it.

    Attributes:
        statement: the figures.
        names: of every organisation in it, by id.
        operator_id: who runs the room; None when no organisation, or more than one, is registered as its operator.
        zone: the IANA name of the billing zone.
    """

    statement: Statement
    names: Mapping[str, str]
    operator_id: str | None
    zone: str

    @property
    def number(self) -> str:
        """Names the document: the month, and the end of the organisation's id."""
        return f"{self.statement.month}/{self.statement.organisation_id[-8:]}"


@dataclass(frozen=True)
class StatementFile:
    """One file.

    Attributes:
        name: that it may be saved by.
        media_type: of the content.
        content: its bytes.
    """

    name: str
    media_type: str
    content: bytes
