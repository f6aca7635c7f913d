"""The cells of a question: from exact counts to the gate under canonical names, and back to the asker's own names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from cleanroom.matching.types import ExactCounts, ExactSums, Plan, SideCounts
from cleanroom.release.types import Cell
from cleanroom.schema.model import Schema, cell_labels
from policies.canonical_question import CanonicalQuestion

OVERLAP = "overlap"
DATASET = "dataset"
SUM = "sum"


@dataclass(frozen=True)
class Layout:
    """What a question's cells are called by its asker.

    Attributes:
        question: the canonical question.
        keys: names of the match keys, when shares per key are asked for; else empty.
        labels: the base's labels, when they are asked for; else empty.
        cell_labels: for each attribute of a breakdown, the labels of its cells, in stored order.
    """

    question: CanonicalQuestion
    keys: tuple[str, ...]
    labels: tuple[str, ...]
    cell_labels: Mapping[str, Sequence[str]]

    def asked_names(self) -> Mapping[str, tuple[str, ...]]:
        """Map each canonical name to the names its asker gave, in the asker's order; equal conditions share a cell."""
        return self._asked_names

    @cached_property
    def _asked_names(self) -> Mapping[str, tuple[str, ...]]:
        names: dict[str, list[str]] = {OVERLAP: [OVERLAP]}
        for key in self.keys:
            names[f"key:{key}"] = [f"key:{key}"]
        for label in self.labels:
            names[f"label:{label}"] = [f"label:{label}"]
        parts = dict[str, list[str]]()
        for name, index in self.question.segment_of.items():
            parts.setdefault(f"segment:{index}", []).append(f"segment:{name}")
        for canonical, asked in self._breakdown_names():
            parts.setdefault(canonical, []).append(asked)
        names |= parts
        if self.question.affinity:
            names[DATASET] = [DATASET]
            names |= _prefixed(DATASET, parts)
        for attribute in self.question.sums:
            names[f"{SUM}:{attribute}"] = [f"{SUM}:{attribute}"]
            names |= _prefixed(f"{SUM}:{attribute}", parts)
        return {name: tuple(all_) for name, all_ in names.items()}

    def _breakdown_names(self) -> Iterator[tuple[str, str]]:
        for breakdown in self.question.asked_breakdowns:
            stored = self.question.breakdowns[breakdown.index]
            sizes = [len(self.cell_labels[name]) for name in stored]
            step_of = {name: prod(sizes[at + 1 :]) for at, name in enumerate(stored)}
            cells = [(0, "breakdown:")]
            for name in breakdown.attributes:
                separator = "" if name == breakdown.attributes[0] else ","
                step = step_of[name]
                parts = [
                    (step * at, f"{separator}{name}={label}")
                    for at, label in enumerate(self.cell_labels[name])
                ]
                cells = [(flat + more, text + part) for flat, text in cells for more, part in parts]
            for flat, text in cells:
                yield f"breakdown:{breakdown.index}:{flat}", text


def layout_of(
    question: CanonicalQuestion, *, keys: Sequence[str], labels: Sequence[str], schema: Schema
) -> Layout:
    """Lay a question's cells out; everything but the question follows from the two schemas.

    Args:
        question: in canonical form.
        keys: on which both sides can meet, in the dataset's order.
        labels: that the base declares.
        schema: of the dataset.
    """
    grouped = {name for group in question.breakdowns for name in group}
    return Layout(
        question=question,
        # With a single key its share is the overlap itself, which is not counted twice.
        keys=tuple(keys) if question.per_key and len(keys) > 1 else (),
        labels=tuple(labels) if question.labels else (),
        cell_labels={
            attribute.name: cell_labels(attribute)
            for attribute in schema.attributes
            if attribute.name in grouped
        },
    )


def plan_of(layout: Layout, *, keys: Sequence[str], purpose: str) -> Plan:
    """Say what the engine has to count for a layout; `keys` are all on which both sides can meet."""
    question = layout.question
    return Plan(
        purpose=purpose,
        keys=tuple(keys),
        segments=question.segments,
        breakdowns=question.breakdowns,
        labels=bool(layout.labels),
        per_key=bool(layout.keys),
        dataset_side=question.affinity,
        sums=question.sums,
        open_breakdown=question.open_breakdown,
    )


def _prefixed(prefix: str, names: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {
        f"{prefix}:{canonical}": [f"{prefix}:{asked}" for asked in all_] for canonical, all_ in names.items()
    }


def exact_cells(layout: Layout, counts: ExactCounts) -> list[Cell]:
    """Lay exact counts and sums out for the gate, containing cells first, and counts before sums.

    Args:
        layout: of the question that was counted.
        counts: straight from the engine.
    """
    cells = [Cell(OVERLAP, counts.overlap, None)]
    cells += [Cell(f"key:{key}", counts.keys[key], OVERLAP) for key in layout.keys]
    cells += [
        Cell(f"label:{label}", count, OVERLAP)
        for label, count in zip(layout.labels, counts.labels, strict=True)
    ]
    cells += _parts(counts, "", OVERLAP)
    if counts.dataset is not None:
        cells.append(Cell(DATASET, counts.dataset.persons, None))
        cells += _parts(counts.dataset, f"{DATASET}:", DATASET)
    cells += [
        Cell(f"breakdown:{layout.question.open_breakdown}={value}", count, OVERLAP, open=True)
        for value, count in counts.open_breakdown.items()
    ]
    for sums in counts.sums:
        name, attribute = f"{SUM}:{sums.attribute}", sums.attribute
        cells.append(Cell(name, sums.overlap, OVERLAP, attribute))
        cells += [Cell(f"{name}:{part}", total, part, attribute) for part, total in _numbered(sums)]
    return cells


def _parts(counts: ExactCounts | SideCounts, prefix: str, within: str) -> list[Cell]:
    return [Cell(f"{prefix}{name}", count, within) for name, count in _numbered(counts)]


def _numbered(parts: ExactCounts | SideCounts | ExactSums) -> Iterator[tuple[str, int]]:
    for i, segment in enumerate(parts.segments):
        yield f"segment:{i}", segment
    for i, table in enumerate(parts.breakdowns):
        for j, cell in enumerate(table.tolist()):
            yield f"breakdown:{i}:{j}", cell
