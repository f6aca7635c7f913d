"""What can be wrong with a file that is being prepared; messages name the schema's columns, never content."""

from cleanroom.errors import CleanroomError


class FileError(CleanroomError):
    """The file cannot be read as what it should be."""

    code = "client.unreadable_file"


class EmptyFileError(FileError):
    """The file has no data row."""

    code = "client.empty_file"


class MissingColumnError(FileError):
    """The file lacks a column that the schema names, or has it twice."""

    code = "client.missing_column"


class WrongEncodingError(FileError):
    """The file is neither UTF-8 nor Windows-1251."""

    code = "client.wrong_encoding"


class NulBytesError(FileError):
    """The file holds NUL bytes, so it is not text."""

    code = "client.nul_bytes"


class LineTooLongError(FileError):
    """One record passes the limit; the file is refused before the record is read to its end."""

    code = "client.line_too_long"


class RaggedFileError(FileError):
    """No row has as many fields as the header."""

    code = "client.ragged_file"


class UnclosedQuoteError(FileError):
    """A quoted field has no end."""

    code = "client.unclosed_quote"


class DamagedFileError(FileError):
    """A compressed or Parquet file is truncated or damaged."""

    code = "client.damaged_file"


class ColumnTypeError(FileError):
    """A Parquet column has a type that is not a plain value."""

    code = "client.column_type"


class PrepareError(CleanroomError):
    """The request to prepare does not fit the schema or the recipient."""

    code = "client.prepare"
