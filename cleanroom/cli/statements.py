"""`cleanroom statements`: what months came to."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cleanroom.cli.remote import AsJson, OptionError, Profile, calling, echo

if TYPE_CHECKING:
    from cleanroom.client.remote.market import StatementFormat

app = typer.Typer(add_completion=False)
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@app.command()
def statements(
    month: Annotated[str | None, typer.Argument(help="Such as 2026-11; all months when not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the statement here: .csv, .xlsx or .pdf.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List monthly statements, show one, or write it to a file."""
    if month is not None and not _MONTH.fullmatch(month):
        raise OptionError("The month is not understood.", remedy="Write it like 2026-11.")
    if out is not None and (month is None or out.suffix not in (".csv", ".xlsx", ".pdf")):
        raise OptionError(
            "A file needs a month and a kind.", remedy="cleanroom statements 2026-11 --out S.pdf"
        )
    with calling(profile) as room:
        if month is None:
            found = room.statements()
            echo(found, as_json=as_json, lines=[_month(one) for one in found] or ["There is none yet."])
            return
        if out is not None:
            room.save_statement(month, out, cast("StatementFormat", out.suffix[1:]))
        shown = room.statement(month)
    lines = [
        f"{line['title']['en']}\t{line['position']}\t{_amount(line['amount'])}" for line in shown["lines"]
    ] or ["There are no charges in this month."]
    lines += [f"TOTAL with tax\t{_amount(one['gross'])}" for one in shown["totals"]]
    lines += [] if shown["complete"] else ["preliminary: the month is not over, or not every answer is in it"]
    echo(shown, as_json=as_json, lines=lines + ([f"written\t{out}"] if out is not None else []))


def _month(one: dict[str, Any]) -> str:
    return f"{one['id']}\t{'over' if one['over'] else 'not over yet'}"


def _amount(plain: dict[str, Any]) -> str:
    from cleanroom.client.remote.values import money_of
    from cleanroom.money import format_money

    money = money_of(plain)
    return "-" if money is None else format_money(money)
