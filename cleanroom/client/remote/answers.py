"""What an estimate and a result say, without the room: for people, and as tables for other libraries."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanroom.client.remote.cards import card, chart, table
from cleanroom.client.remote.problems import ConfigurationError, Refused, StillRunning, refusal_of
from cleanroom.client.remote.values import Figure, Receipt, figures_of, money_of, shown
from cleanroom.money import Money, format_money

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_COLUMNS = ("name", "value", "low", "high", "suppressed")


class EstimateValue:
    """What asking a question would bring now; nothing was spent to know it.

    Attributes:
        question: the question, as it goes to the room.
        answer: everything that the room said.
    """

    def __init__(self, question: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        self.question = dict(question)
        self.answer = dict(answer)

    @property
    def permitted(self) -> bool:
        """Whether it would be answered."""
        return self.answer.get("outcome") != "refused"

    @property
    def refusal(self) -> Refused | None:
        """What asking would raise; None when it is permitted."""
        return None if self.permitted else refusal_of(self.answer)

    @property
    def stored(self) -> bool:
        """Whether it was answered before: the same figures come again, for no money and no budget."""
        return self.answer.get("outcome") == "stored"

    @property
    def price(self) -> Money | None:
        """What it costs, if that is known beforehand; for a price by the released count see `price_at_most`."""
        if self.stored and self.price_at_most is not None:
            return Money(0, self.price_at_most.currency)
        tariff = (self.answer.get("quote") or {}).get("tariff") or {}
        return self.price_at_most if tariff.get("cpm_minor") == 0 else None

    @property
    def price_at_most(self) -> Money | None:
        """The most that it can cost; None when the room names no price."""
        return money_of((self.answer.get("quote") or {}).get("maximum"))

    @property
    def half_width(self) -> int | None:
        """People either side of a count that its 95% interval reaches; None when it would be refused."""
        found = (self.answer.get("mechanism") or {}).get("half_width")
        return None if found is None else int(found)

    @property
    def questions_left(self) -> int | None:
        """How many such questions the privacy budget pays for, this one included."""
        found = self.answer.get("questions_left")
        return None if found is None else int(found)

    def __repr__(self) -> str:
        """Show it at a prompt."""
        facts = "; ".join(f"{name}: {text}" for name, text in self.facts())
        return f"<Estimate {self.question.get('kind')}: {facts}>"

    def _repr_html_(self) -> str:
        return card(f"Estimate: {self.question.get('kind')}", self.facts())

    def facts(self) -> list[tuple[str, str]]:
        """Tell it for people: names and texts."""
        if not self.permitted:
            return [("refused", str(refusal_of(self.answer)))]
        facts = [("outcome", "answered before: the same figures again, for nothing")] if self.stored else []
        if self.price is not None:
            facts.append(("price", format_money(self.price)))
        elif self.price_at_most is not None:
            facts.append(("price", f"at most {format_money(self.price_at_most)}"))
        if self.half_width is not None:
            facts.append(("error", f"± {shown(self.half_width)} people (95%)"))
        if self.questions_left is not None:
            facts.append(("left", f"about {self.questions_left} such questions"))
        return facts


class ResultValue:
    """A released answer. What it says is there once it is complete."""

    def __init__(self, analysis_id: str, *, asked: Mapping[str, Any]) -> None:
        """Name the analysis.

        Args:
            analysis_id: `an_...`.
            asked: the question, where it is known.
        """
        self.analysis_id = analysis_id
        self._asked = dict(asked)
        self._answer: dict[str, Any] | None = None
        self._receipt: Receipt | None = None

    @property
    def complete(self) -> bool:
        """Whether it is here."""
        return self._answer is not None

    @property
    def answer(self) -> dict[str, Any]:
        """Everything that the room said; raises StillRunning before it is complete."""
        self._ensure()
        if self._answer is None:
            raise StillRunning("The result is not here yet.", remedy="Call `wait()` first.")
        return self._answer

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures and ratios with their intervals."""
        return figures_of(self.answer)

    @property
    def receipt(self) -> Receipt:
        """The proof, verified and kept."""
        self._ensure()
        if self._receipt is None:
            raise StillRunning("The result is not here yet.", remedy="Call `wait()` first.")
        return self._receipt

    def figure(self, name: str) -> Figure:
        """Return one figure by its name; raises KeyError."""
        return {one.name: one for one in self.figures}[name]

    def to_polars(self) -> "pl.DataFrame":
        """Return the figures as a polars frame: name, value, low, high, suppressed."""
        import polars  # noqa: PLC0415 - heavy

        columns = {name: [_plain(getattr(one, name)) for one in self.figures] for name in _COLUMNS}
        types = {"name": polars.String, "suppressed": polars.Boolean}
        return polars.DataFrame(columns, schema={name: types.get(name, polars.Float64) for name in _COLUMNS})

    def to_pandas(self) -> "pd.DataFrame":
        """Return the figures as a pandas frame, likewise; raises ConfigurationError without pandas."""
        try:
            import pandas  # noqa: PLC0415 - heavy, and not everybody's
        except ModuleNotFoundError:
            raise ConfigurationError(
                "pandas is not installed.", remedy="pip install pandas, or use `to_polars()`."
            ) from None

        return pandas.DataFrame([asdict(one) for one in self.figures], columns=list(_COLUMNS))

    def to_xlsx(self, path: str | Path) -> Path:
        """Write the figures as a workbook, and return its path."""
        import openpyxl  # noqa: PLC0415 - heavy
        from openpyxl.styles import Font  # noqa: PLC0415 - as above

        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("figures")
        # Widths are written before the rows.
        widths = (max([len(one.name) for one in self.figures] + [12]) + 2, 16, 16, 16, 12)
        for letter, width in zip("ABCDE", widths, strict=True):
            sheet.column_dimensions[letter].width = width
        sheet.freeze_panes = "A2"
        head = [openpyxl.cell.WriteOnlyCell(sheet, value=name) for name in _COLUMNS]
        for cell in head:
            cell.font = Font(bold=True)
        sheet.append(head)
        for one in self.figures:
            row = []
            for name in _COLUMNS:
                cell = openpyxl.cell.WriteOnlyCell(sheet, value=getattr(one, name))
                # A name that begins with `=` is text all the same.
                cell.data_type = "s" if name == "name" else cell.data_type
                if name in ("value", "low", "high"):
                    cell.number_format = _number_format(one)
                row.append(cell)
            sheet.append(row)
        book.save(path)
        return Path(path)

    def __repr__(self) -> str:
        """Show it at a prompt; asks the room for nothing."""
        if self._answer is None:
            return f"<Result {self.analysis_id}: not complete>"
        return f"<Result {self.analysis_id}: {len(self.figures)} figures>"

    def _repr_html_(self) -> str:
        if self._answer is None:
            return card(f"Analysis {self.analysis_id}", [("state", "not complete; call wait()")])
        figures = self.figures
        facts = [(one.name, str(one)) for one in figures[:1]]
        if self._answer.get("as_of"):
            facts.append(("as of", str(self._answer["as_of"])))
        return card(f"Analysis {self.analysis_id}", facts, chart(figures) + table(figures))

    def _ensure(self) -> None:
        """Make it complete, where that can be done without awaiting."""


def _number_format(figure: Figure) -> str:
    if figure.is_rate:
        return "0.0%"
    return "#,##0" if isinstance(figure.value, int) else "#,##0.00"


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
