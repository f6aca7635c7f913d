import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cleanroom.client.errors import (
    ColumnTypeError,
    DamagedFileError,
    EmptyFileError,
    FileError,
    LineTooLongError,
    MissingColumnError,
    NulBytesError,
    RaggedFileError,
    UnclosedQuoteError,
    WrongEncodingError,
)
from cleanroom.client.readers import read_rows

SECRET = "ivanov@example.ru"


def rows_of(
    path: Path, *required: str, **options: Any
) -> tuple[list[tuple[Any, ...]], list[int], list[tuple[int, str]]]:
    values, numbers, rejected = [], [], []
    for batch in read_rows(path, required=required, **options):
        values += batch.frame.rows()
        numbers += batch.rows.tolist()
        rejected += batch.rejected
    return values, numbers, rejected


def csv_file(tmp_path: Path, content: bytes | str, name: str = "f.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_spelling_of_a_csv_reads_the_same(
    tmp_path: Path, separator: str, line_end: str, packed: bool, mark: bytes
) -> None:
    lines = [separator.join(row) for row in (["имя", "extra", "b"], [" Иван ", "x", ""], ["Пётр", "y", "2"])]
    content = mark + line_end.join(lines).encode()
    path = csv_file(tmp_path, gzip.compress(content) if packed else content)
    assert rows_of(path, "b", "имя") == ([(None, "Иван"), ("2", "Пётр")], [1, 2], [])


def test_cp1251_is_read_as_russian(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "город;x\nМосква;1\nСанкт-Петербург;2\n".encode("cp1251"))
    assert rows_of(path, "город")[0] == [("Москва",), ("Санкт-Петербург",)]


def test_cp1251_is_recognised_after_ascii_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", 64)
    content = b"a,b\n" + b"ascii,1\n" * 40 + "Нижний Новгород,2\n".encode("cp1251") * 3
    values, numbers, _ = rows_of(csv_file(tmp_path, content), "a")
    assert values[-1] == ("Нижний Новгород",)
    assert numbers == list(range(1, 44))


@pytest.mark.parametrize("block", [1, 2, 5, 7])
def test_utf8_characters_may_be_split_between_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", block)
    path = csv_file(tmp_path, "имя,b\n" + "Ёж€\U0001f994,1\n" * 20)
    assert rows_of(path, "имя")[0] == [("Ёж€\U0001f994",)] * 20


@pytest.mark.parametrize(
    "content",
    [
        "имя,b\nИван Петров,1\n".encode("koi8-r"),
        "имя,b\nИван Петров,1\n".encode("cp866"),
        "name,b\nJosé Muñoz Façade,1\n".encode("latin-1"),
        "имя,b\nИван,1\n".encode("utf-16"),
        "имя,b\nИван,".encode() + b"\xd0",
        "имя,b\nИван,1\n".encode() + b"\xff\xfe\n",
        "Привет,Москва\n".encode("cp1251") + b"\x98\n",
    ],
)
def test_another_encoding_is_refused_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(WrongEncodingError, match="UTF-8") as caught:
        rows_of(csv_file(tmp_path, content), "имя")
    assert "Иван" not in str(caught.value)


def test_utf8_followed_by_cp1251_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", 16)
    path = csv_file(tmp_path, "имя,b\n".encode() * 3 + "Москва,1\n".encode("cp1251") * 5)
    with pytest.raises(WrongEncodingError):
        rows_of(path, "имя")


def test_quoted_fields_hold_separators_line_feeds_and_quotes(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a,b\n"x, y","1\n2"\n"say ""hi""",3\n"",4\n')
    assert rows_of(path, "a", "b") == ([("x, y", "1\n2"), ('say "hi"', "3"), (None, "4")], [1, 2, 3], [])


def test_quoted_line_feeds_survive_any_block_border(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", 5)
    path = csv_file(tmp_path, "a,b\n" + '"x\ny, z",1\n' * 9)
    assert rows_of(path, "a")[0] == [("x\ny, z",)] * 9


def test_ragged_rows_are_rejected_by_number_and_the_others_stay(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b\n1,2\n3\n4,5,6\n\n7,8\n")
    assert rows_of(path, "b") == ([("2",), ("8",)], [1, 4], [(2, "ragged_row"), (3, "ragged_row")])


def test_as_many_missing_as_surplus_fields_do_not_hide_each_other(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b\n1,2,3\n4\n5,6\n")
    assert rows_of(path, "b") == ([("6",)], [3], [(1, "ragged_row"), (2, "ragged_row")])


def test_quotes_inside_a_bare_field_reject_the_row(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'a,b\nsay "hi",1\n"x"y,2\nok,3\n')
    assert rows_of(path, "a") == ([("ok",)], [3], [(1, "broken_quotes"), (2, "broken_quotes")])


def test_a_stray_quote_costs_its_row_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", 9)
    path = csv_file(tmp_path, 'a,b\n5" nail,1\n"x ""y""\n,z",2\n"say "hi" there",3\n"ok",4\n"",5\n')
    assert rows_of(path, "a", "b") == (
        [('x "y"\n,z', "2"), ("ok", "4"), (None, "5")],
        [2, 4, 5],
        [(1, "broken_quotes"), (3, "broken_quotes")],
    )


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert rows_of(csv_file(tmp_path, "a\r\n1\r\n\r\n\n2\r\n"), "a") == ([("1",), ("2",)], [1, 2], [])


def test_an_unclosed_quote_is_refused_naming_its_row(tmp_path: Path) -> None:
    with pytest.raises(UnclosedQuoteError, match=r"data row 2 .*Close it") as caught:
        rows_of(csv_file(tmp_path, f'a,b\n1,2\n"{SECRET},4\n5,6\n'), "a")
    assert SECRET not in str(caught.value)


def test_a_header_that_fits_no_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RaggedFileError, match=r"3 columns.*header"):
        rows_of(csv_file(tmp_path, f"a,b,c\n{SECRET},2\n3,4\n"), "a")


def test_a_missing_column_is_named_but_not_what_the_file_has(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match=r"2 of the schema's columns: phone, city.*header") as caught:
        rows_of(csv_file(tmp_path, f"{SECRET},email\n1,2\n"), "email", "phone", "city")
    assert SECRET not in str(caught.value)


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match=r"twice: a\..*Rename"):
        rows_of(csv_file(tmp_path, "a,a\n1,2\n"), "a")


def test_an_optional_column_is_read_when_it_is_there(tmp_path: Path) -> None:
    assert rows_of(csv_file(tmp_path, "a,_op\n1,add\n"), "a", optional=("_op",))[0] == [("1", "add")]
    assert rows_of(csv_file(tmp_path, "a\n1\n", "g.csv"), "a", optional=("_op",))[0] == [("1",)]


@pytest.mark.parametrize(
    "content", [b"", b"\xef\xbb\xbf", b"a,b\n", b"a,b", b"a,b\n\n\n", gzip.compress(b"", mtime=0)]
)
def test_a_file_without_a_data_row_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(EmptyFileError, match="at least one data row"):
        rows_of(csv_file(tmp_path, content), "a")


def test_nul_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NulBytesError, match=r"NUL bytes.*UTF-8"):
        rows_of(csv_file(tmp_path, b"a,b\n1,\x00\n"), "a")


def test_a_workbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"workbook.*CSV"):
        rows_of(csv_file(tmp_path, b"PK\x03\x04 rest"), "a")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot be opened.*path"):
        rows_of(tmp_path / "none.csv", "a")


@pytest.mark.parametrize("cut", [-10, 12])
def test_a_truncated_gzip_is_refused(tmp_path: Path, cut: int) -> None:
    path = csv_file(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 5000)[:cut])
    with pytest.raises(DamagedFileError, match=r"gzip.*again"):
        rows_of(path, "a")


@pytest.mark.parametrize("header", [b"a,b\n", b""])
def test_a_line_over_the_limit_is_refused_with_its_row(tmp_path: Path, header: bytes) -> None:
    path = csv_file(tmp_path, header + b"x" * (2**20 + 1) + b",2\n")
    with pytest.raises(
        LineTooLongError, match=r"(Data row 1|The header) is longer than the limit of 1048576 bytes"
    ):
        rows_of(path, "a")


def test_a_long_line_without_an_end_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleanroom.client.text_source.BLOCK_BYTES", 2**20)
    path = csv_file(tmp_path, b"a,b\n1,2\n" + b"x" * (3 * 2**20))
    batches = read_rows(path, required=["a"])
    with pytest.raises(LineTooLongError, match=r"Data row 2 .*line feeds"):
        list(batches)


def test_a_header_with_an_enormous_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="header"):
        rows_of(csv_file(tmp_path, b"a," + b"x" * 200_000 + b"\n1,2\n"), "a")
    with pytest.raises(FileError, match="16384 columns"):
        rows_of(csv_file(tmp_path, b"a," * 16_384 + b"b\n1,2\n"), "b")


def test_parquet_columns_become_text(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "phone": [79123456789.0, None],
            "n": [1, 2],
            "f": [1.5, 2.0],
            "t": [True, False],
            "d": pl.Series(["2026-01-31", None]).str.to_date(),
            "at": pl.Series(["2026-01-31T12:00:00+03:00", None]).str.to_datetime(time_zone="Europe/Moscow"),
            "tags": [["a", "b"], []],
            "unread": [{"x": 1}, None],
        }
    )
    path = tmp_path / "f.parquet"
    frame.write_parquet(path)
    names = ("phone", "n", "f", "t", "d", "at", "tags")
    values, numbers, _ = rows_of(path, *names, list_separators={"tags": "|"})
    assert values[0] == ("79123456789", "1", "1.5", "true", "2026-01-31", "2026-01-31T09:00:00.000000", "a|b")
    assert values[1] == (None, "2", "2", "false", None, None, None)
    assert numbers == [1, 2]


@pytest.mark.parametrize("column", ["s", "tags"])
def test_parquet_columns_that_are_no_plain_values_are_refused(tmp_path: Path, column: str) -> None:
    path = tmp_path / "f.parquet"
    pl.DataFrame({"s": [{"x": 1}], "tags": [["a"]]}).write_parquet(path)
    with pytest.raises(ColumnTypeError, match=rf"Column {column} .*Convert"):
        rows_of(path, column)


def test_a_damaged_or_empty_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pl.DataFrame({"a": [1] * 1000}).write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(DamagedFileError, match=r"Parquet.*again"):
        rows_of(path, "a")
    pl.DataFrame({"a": pl.Series([], dtype=pl.String)}).write_parquet(path)
    with pytest.raises(EmptyFileError):
        rows_of(path, "a")
