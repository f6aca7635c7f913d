"""`cleanroom statement`: the same bytes as the service's, and clear errors."""

from pathlib import Path

import pytest

from cleanroom.cli.main import main
from cleanroom.marketplace.months import Month
from cleanroom.marketplace.statement_files.types import Format
from cleanroom.papers.text import Language
from tests.market import Market
from tests.rooms import make_room, sqlite_template

__all__ = ["make_room", "sqlite_template"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = 0
    try:
        main(["statement", *map(str, arguments)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, capsys.readouterr().err


def test_a_statement_is_written_to_a_file(make_room, tmp_path: Path, capsys) -> None:
    market = Market(make_room())
    market.question(market.bought())
    home, out = market.stage.home, tmp_path / "november.csv"
    options = ("--home", home, "--month", "2026-11", "--format", "csv", "--lang", "ru")

    code, said = run(capsys, *options, "--organisation", market.advertiser, "-o", out)

    assert code == 0
    assert str(out) in said
    with market.room.db.reading() as tx:
        # The command made the usage records that were due.
        document = market.services.statement_files.document(tx, market.advertiser, Month(2026, 11))
    written = market.services.statement_files.write(document, Format.CSV, Language.RU)
    assert out.read_bytes() == written.content
    assert "Ответы на вопросы" in written.content.decode()

    code, said = run(capsys, *options, "--organisation", "org_" + "0" * 32, "-o", out)
    assert (code, "[accounts.unknown_organisation]" in said) == (3, True)
    code, said = run(capsys, "--home", home, "--month", "11", "--organisation", market.advertiser, "-o", out)
    assert (code, "[marketplace.bad_month]" in said) == (3, True)
