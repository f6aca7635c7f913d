"""What each step of the demo found out; the report shows it, `--json` prints it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cleanroom.analyses.estimate_types import Estimate
from cleanroom.analyses.types import Answer
from cleanroom.datasets.types import OwnerFigure
from cleanroom.release.types import ReleasedFigure
from policies.question import Question


@dataclass(frozen=True)
class Prepared:
    """A file made ready on its owner's machine.

    Attributes:
        party: provider or advertiser.
        source: the file's name.
        rows: data rows read.
        rejected: rows left out, by reason.
        rejects: the first of them, as (row number, reason).
        package_bytes: size of the encrypted payload.
        seconds: how long it took.
    """

    party: str
    source: str
    rows: int
    rejected: Mapping[str, int]
    rejects: tuple[tuple[int, str], ...]
    package_bytes: int
    seconds: float


@dataclass(frozen=True)
class Loaded:
    """A version that was taken in and published.

    Attributes:
        party: provider or advertiser.
        dataset_id: of the dataset or base.
        version_id: the published version.
        report: the owner's quality report.
        junk: how many over-shared key values went on the junk list.
        seconds: how long it took.
    """

    party: str
    dataset_id: str
    version_id: str
    report: OwnerFigure
    junk: int
    seconds: float


@dataclass(frozen=True)
class Terms:
    """What the advertiser was given.

    Attributes:
        preset: the analysis rule.
        blocked: attributes the owner does not let anybody use.
        size: of the grant.
        rho_micro: budget of the grant.
        cap_rho_micro: the advertiser's cap under the rule.
        advantage: of the best attack on one person with the whole cap spent.
    """

    preset: str
    blocked: tuple[str, ...]
    size: str
    rho_micro: int
    cap_rho_micro: int
    advantage: float


@dataclass(frozen=True)
class Refused:
    """One reason why a question was refused.

    Attributes:
        attempt: what was tried, in words.
        rule: the rule that failed.
        message: what it says.
        nearest: the nearest permitted question as plain data; None when there is none.
        change: how that differs from what was asked, in words.
    """

    attempt: str
    rule: str
    message: str
    nearest: Mapping[str, Any] | None
    change: str


@dataclass(frozen=True)
class Asked:
    """One question with its answer.

    Attributes:
        title: what was asked, in words.
        question: as asked.
        estimate: what was said before it was asked, for nothing.
        answer: figures or a refusal.
        seconds: how long it took.
        truth: exact counts by name, where the demo made the data.
        refusals: why there are no figures.
    """

    title: str
    question: Question
    estimate: Estimate
    answer: Answer
    seconds: float
    truth: Mapping[str, int]
    refusals: tuple[Refused, ...] = ()

    def figure(self, name: str) -> ReleasedFigure:
        """Return a figure of the answer by its name."""
        return next(figure for figure in self.answer.figures if figure.name == name)


@dataclass(frozen=True)
class Respelled:
    """The same question in other words.

    Attributes:
        stored: whether the stored answer came back.
        same_figures: whether every figure is the same.
        left_before_micro: what the grant held before.
        left_after_micro: and after.
    """

    stored: bool
    same_figures: bool
    left_before_micro: int
    left_after_micro: int


@dataclass(frozen=True)
class Withdrawn:
    """What the withdrawal of consents did.

    Attributes:
        requests: identifiers handed in.
        epoch: the dataset's consent epoch since.
        stored_at: the date of the stored answer.
        stored: the overlap as stored.
        fresh: the overlap of a new answer.
        true_before: the exact overlap before, where it is known.
        true_after: and after.
    """

    requests: int
    epoch: int
    stored_at: datetime
    stored: ReleasedFigure
    fresh: ReleasedFigure
    true_before: int | None
    true_after: int | None


@dataclass(frozen=True)
class Proven:
    """The state of the log.

    Attributes:
        events: records in it.
        checkpoint: the signed note over them.
        verifier_key: the public text that verifies it.
        verified: whether everything was found intact.
        receipts_verified: receipts that were verified with that key alone.
        tampering: what was changed in a copy, in words.
        found: what verification said about the copy.
    """

    events: int
    checkpoint: str
    verifier_key: str
    verified: bool
    receipts_verified: int
    tampering: str
    found: tuple[str, ...]
