"""The eight steps in order, told by a report as they happen."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cleanroom.accounts.types import OrganisationKind
from cleanroom.demo import parties, proof, scenario, withdrawals
from cleanroom.demo.chart import Bar, draw
from cleanroom.demo.population import BASE_SHARE_KNOWN, write_population
from cleanroom.demo.report import Report
from cleanroom.demo.results import Asked, Loaded, Proven
from cleanroom.demo.truth import Truth, true_counts
from cleanroom.matching.views import info_of
from cleanroom.room import Room
from cleanroom.schema.codec import schema_from_yaml
from cleanroom.schema.model import Schema
from policies.text import DocumentError, load_yaml

BLOCKED = "churn_score"
_SMALL_BASE_ROWS = 150


@dataclass(frozen=True)
class Inputs:
    """Both parties' files, and what is known about them.

    Attributes:
        provider: the provider's plain file.
        base: the advertiser's plain file.
        provider_schema: of the provider's file.
        base_schema: of the base.
        question: in the form of the segments file.
        blocked: an attribute that the owner blocks; None when every one is needed.
        truth: exact counts, where the demo made the data.
    """

    provider: Path
    base: Path
    provider_schema: Schema
    base_schema: Schema
    question: Mapping[str, Any]
    blocked: str | None
    truth: Truth | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Exact counts by the names of the figures; empty when nobody knows them."""
        return self.truth.counts if self.truth else {}


@dataclass(frozen=True)
class Played:
    """What a run found.

    Attributes:
        base: the advertiser's version.
        dataset: the provider's version.
        overlap: the first overlap.
        profile: the profile.
        refused: the attempts that had to fail.
        proven: the state of the log.
        receipts: files, in the order of the questions.
    """

    base: Loaded
    dataset: Loaded
    overlap: Asked
    profile: Asked
    refused: tuple[Asked, ...]
    proven: Proven
    receipts: tuple[Path, ...]


def make_up(directory: Path, report: Report, *, people: int, base_size: int) -> Inputs:
    """Step one: make up a population, and count in it what only its maker can know."""
    report.step(
        1,
        "Two parties, two files",
        "A telecom knows its customers; a shop has a contact list. About "
        f"{BASE_SHARE_KNOWN:.0%} of the list are also the telecom's customers, written differently on each side: "
        "case, spaces, dots, 8 or +7.",
    )
    with report.working("making up people") as progress:
        files = write_population(directory, population=people, base_size=base_size, progress=progress)
    question = read_question(files.segments)
    with report.working("counting the truth in the plain files"):
        truth = true_counts(
            files.provider, files.base, segments=question["segments"], breakdowns=question["breakdowns"]
        )
    report.files(files)
    return Inputs(
        provider=files.provider,
        base=files.base,
        provider_schema=schema_from_yaml(files.provider_schema),
        base_schema=schema_from_yaml(files.base_schema),
        question=question,
        blocked=BLOCKED,
        truth=truth,
    )


def take_given(
    report: Report,
    *,
    provider: Path,
    provider_schema: Path,
    base: Path,
    base_schema: Path,
    segments: Path | None,
) -> Inputs:
    """Step one with a user's own files."""
    described = schema_from_yaml(provider_schema)
    report.step(
        1, "Two parties, two files", "Your own files. Nobody knows the true counts, so none are shown."
    )
    report.own_files(provider, base)
    question: dict[str, Any] = read_question(segments) if segments else {"precision": "fine"}
    infos = {attribute.name: info_of(attribute) for attribute in described.attributes}
    groupable = [name for name, info in infos.items() if info.groupable]
    if "purpose" not in question:
        question["purpose"] = described.consents[0].purpose if described.consents else "advertising"
    if "breakdowns" not in question and groupable:
        question["breakdowns"] = [groupable[:1]]
    used = str([question.get(key) for key in ("segments", "breakdowns", "sums")])
    unused = [name for name in groupable if f"'{name}'" not in used]
    return Inputs(
        provider=provider,
        base=base,
        provider_schema=described,
        base_schema=schema_from_yaml(base_schema),
        question=question,
        blocked=unused[-1] if unused else None,
    )


def read_question(path: Path) -> dict[str, Any]:
    """Read a segments file; what it means is checked when the question is asked.

    Raises:
        DocumentError: it is not UTF-8, not YAML, or holds something else than keys with values.
    """
    try:
        question = load_yaml(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise DocumentError("The segments file is not UTF-8.", remedy="Save it as UTF-8.") from None
    if not isinstance(question, dict):
        raise DocumentError(
            "The segments file holds no keys such as purpose and segments.",
            remedy="See docs/reference/segments.md.",
        )
    return question


@dataclass(frozen=True)
class _Stage:
    """What all later steps stand on."""

    room: Room
    report: Report
    inputs: Inputs
    work_dir: Path


def play(room: Room, report: Report, inputs: Inputs, *, preset: str, work_dir: Path, chart: Path) -> Played:
    """Play steps two to eight.

    Args:
        room: fresh or used before; the parties are new in any case.
        report: that tells the story.
        inputs: of step one.
        preset: of the analysis rule.
        work_dir: the parties' own machines: plain files and packages, outside the room.
        chart: where the picture goes.

    Returns:
        What was found.
    """
    stage = _Stage(room, report, inputs, work_dir)
    provider_package, base_package, small = _prepare(stage)
    dataset, base, small_id = _load(stage, provider_package, base_package, small)
    report.step(
        4,
        "Set the rule, give a grant, ask",
        "The provider decides what may be asked; the advertiser gets a budget, and figures with their error. What a "
        "question will cost and how exact it will be is told before, for nothing.",
    )
    deal, terms = scenario.agree(
        room,
        provider=provider_package.party,
        advertiser=base_package.party,
        dataset_id=dataset.dataset_id,
        base_id=base.dataset_id,
        preset=preset,
        purpose=inputs.question["purpose"],
        blocked=[inputs.blocked] if inputs.blocked else [],
    )
    report.terms(terms)
    asked = _ask(stage, deal)
    overlap, profile = asked[1:]
    if not overlap.refusals:
        chart.parent.mkdir(parents=True, exist_ok=True)
        chart.write_text(picture(overlap), encoding="utf-8")
        report.chart(chart)
    refused, spent = _refused(stage, deal, small_id)
    later = () if overlap.refusals else _later(stage, deal, overlap, base)
    report.step(
        8,
        "Prove it",
        "Every step left a record in a log that can only grow. Anyone with the verifier key can check it.",
    )
    receipts = tuple(dict.fromkeys(item.answer.receipt for item in (*asked, *refused, spent, *later)))
    with report.working("verifying"):
        proven = proof.prove(room, receipts, work_dir=work_dir)
    return Played(base, dataset, overlap, profile, refused, proven, receipts)


def picture(overlap: Asked) -> str:
    """Draw the overlap and its segments."""
    mechanism = overlap.answer.mechanism
    bars = [
        Bar(
            figure.name.removeprefix("segment:").replace("_", " "),
            figure.value,
            figure.interval95,
            overlap.truth.get(figure.name),
        )
        for figure in overlap.answer.figures
        if figure.name == "overlap" or figure.name.startswith("segment:")
    ]
    made = f"noise of standard deviation {mechanism.sigma:.0f} people; " if mechanism else ""
    return draw(
        bars,
        title="People in both files, and who they are",
        subtitle=f"{made}the whole question cost {overlap.answer.charged_micro:,} micro-rho",
    )


def _prepare(stage: _Stage) -> tuple[parties.Package, parties.Package, parties.Package | None]:
    stage.report.step(
        2,
        "Prepare locally",
        "Each party normalises, hashes, encrypts and signs on its own machine. Names stay there, and so does "
        "whatever the schema does not mention. Hashes are still personal data: they travel encrypted.",
    )
    inputs, room = stage.inputs, stage.room
    provider = parties.sign_up(room, OrganisationKind.PROVIDER, "Telecom (demo)")
    advertiser = parties.sign_up(room, OrganisationKind.ADVERTISER, "Shop (demo)")
    packages = []
    for party, source, schema, name in (
        (provider, inputs.provider, inputs.provider_schema, "customers"),
        (advertiser, inputs.base, inputs.base_schema, "contacts"),
    ):
        with stage.report.working(f"preparing {source.name}") as progress:
            packages.append(
                parties.prepare(
                    room, party, source, schema, name=name, out_dir=stage.work_dir, progress=progress
                )
            )
    stage.report.prepared([package.summary for package in packages])
    small = None
    if inputs.truth is not None:
        head = stage.work_dir / "few_contacts.csv"
        with inputs.base.open(encoding="utf-8") as lines:
            head.write_text("".join(islice(lines, _SMALL_BASE_ROWS)), encoding="utf-8")
        small = parties.prepare(
            room, advertiser, head, inputs.base_schema, name="a few contacts", out_dir=stage.work_dir
        )
    return packages[0], packages[1], small


def _load(
    stage: _Stage, provider: parties.Package, base: parties.Package, small: parties.Package | None
) -> tuple[Loaded, Loaded, str | None]:
    stage.report.step(
        3,
        "Take in, check, publish",
        "The room verifies the signature, decrypts in memory, keys the hashes again with the workspace's own "
        "secret, and seals every column. The report is for the owner alone.",
    )
    loaded = []
    for package in (provider, base):
        with stage.report.working(f"taking in {package.summary.source}") as progress:
            loaded.append(parties.hand_in(stage.room, package, progress=progress))
    stage.report.loaded(loaded)
    small_id = parties.hand_in(stage.room, small).dataset_id if small else None
    return loaded[0], loaded[1], small_id


def _ask(stage: _Stage, deal: scenario.Deal) -> tuple[Asked, Asked, Asked]:
    plain, counts = stage.inputs.question, stage.inputs.counts
    test = {"kind": "match_test", "purpose": plain["purpose"]}
    # The table is asked for in a question of its own, with the dataset's own mix beside it for affinity indices, and
    # so are sums; a half-width is meant for the overlap.
    level = {
        "precision": plain.get("precision", "normal"),
        "half_width": None,
        "percent": None,
        "expected": None,
    }
    questions = [
        ("match test: is it worth it?", scenario.question_of(deal, test)),
        ("overlap", scenario.question_of(deal, plain, kind="overlap", breakdowns=None, sums=None)),
        (
            "profile against the provider's own mix",
            scenario.question_of(
                deal, plain, kind="profile", affinity=True, labels=False, per_key=False, sums=None, **level
            ),
        ),
    ]
    if plain.get("sums"):
        sums = scenario.question_of(deal, plain, kind="statistics", labels=False, per_key=False, **level)
        questions.append(("sums and means", sums))
    answers = []
    for title, question in questions:
        with stage.report.working("counting"):
            answers.append(scenario.ask(stage.room, deal, question, title=title, truth=counts))
        stage.report.asked(answers[-1])
    return answers[0], answers[1], answers[2]


def _refused(stage: _Stage, deal: scenario.Deal, small_id: str | None) -> tuple[tuple[Asked, ...], Asked]:
    stage.report.step(
        5,
        "Ask for what must not be had",
        "A refusal names the rule, and the nearest question that the rule would permit. It costs nothing.",
    )
    with stage.report.working("asking"):
        attempts, spent = scenario.try_refused(
            stage.room, deal, stage.inputs.question, blocked=stage.inputs.blocked, small_base_id=small_id
        )
    for attempt in attempts:
        stage.report.asked(attempt)
    return attempts, spent


def _later(stage: _Stage, deal: scenario.Deal, overlap: Asked, base: Loaded) -> tuple[Asked, ...]:
    stage.report.step(
        6,
        "Ask the same again, in other words",
        "Segments reversed, `between` as two comparisons, double negations: one meaning has one form, and its "
        "stored answer is free.",
    )
    stage.report.respelled(scenario.ask_respelled(stage.room, deal, overlap))
    inputs = stage.inputs
    if inputs.truth is not None:
        requests, who = withdrawals.made_up(inputs.truth.matched), "matched people"
    else:
        requests = withdrawals.from_base(inputs.base, inputs.base_schema, persons=base.report.persons)
        who = "identifiers of the base's first rows"
    count = sum(len(request.digests) // 32 for request in requests)
    stage.report.step(
        7,
        f"Withdraw consent: {count:,} {who}",
        "It counts from the next analysis on. The stored answer stays what it was, with its date.",
    )
    after = None if inputs.truth is None else inputs.truth.counts["overlap"] - count
    with stage.report.working("withdrawing and asking again"):
        withdrawn, fresh = scenario.withdraw(stage.room, deal, overlap, requests, true_after=after)
    if withdrawn is None:
        stage.report.asked(fresh)
    else:
        stage.report.withdrawn(withdrawn)
    return (fresh,)
