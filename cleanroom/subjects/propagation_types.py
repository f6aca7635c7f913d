"""How a consent epoch took effect, as values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Answered:
    """A question that was released, as the log has it.

    Attributes:
        analysis_id: names its receipt.
        index: of the event in the log.
        released_at: when.
        epoch: the consent epoch that it honours.
    """

    analysis_id: str
    index: int
    released_at: datetime
    epoch: int


@dataclass(frozen=True)
class InFlight:
    """A question that had been asked before the epoch began, and ended after it.

    Attributes:
        analysis_id: names its receipt.
        outcome: released, and then under the new epoch; or what else became of it.
        asked_at: when.
        ended_at: when; None while it is under way.
    """

    analysis_id: str
    outcome: str
    asked_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Reapplied:
    """A later version of the dataset.

    Attributes:
        version_id: which.
        number: of the version.
        published_at: when.
        epoch: that bound earlier changes to its people before it was published; None when it had none.
    """

    version_id: str
    number: int
    published_at: datetime
    epoch: int | None


@dataclass(frozen=True)
class Told:
    """A listener that was told of the epoch.

    Attributes:
        organisation_id: whose endpoint.
        state: of the delivery.
        attempts: how often it was tried.
        told_at: when it came through; None when it did not yet.
    """

    organisation_id: str
    state: str
    attempts: int
    told_at: datetime | None


@dataclass(frozen=True)
class Begun:
    """A consent epoch of a dataset.

    Attributes:
        epoch: ascending.
        kind: what began it.
        began_at: when.
        submitted: identifiers taken.
    """

    epoch: int
    kind: str
    began_at: datetime
    submitted: int


@dataclass(frozen=True)
class Propagation:
    """How one epoch of one dataset took effect; everything in it can be checked against the log.

    Attributes:
        dataset_id: which dataset.
        epoch: which epoch.
        kind: what began it.
        accepted_at: when.
        index: of the event in the log that began it.
        submitted: identifiers taken.
        first_under_it: the first answer that honours it; None while there is none.
        released_since: answers that were released after it began.
        released_against_it: those of them that do not honour it; there must be none.
        in_flight: questions asked before and ended after, the newest first.
        stale_answers: stored answers of earlier epochs; they are given as of their date only.
        versions: that were published since, and hold it too.
        told: listeners, and when.
        activations: audiences handed to somebody else: the room hands out none.
        log_size: of the log that the report was made from.
        checkpoint: the signed head of that log.
    """

    dataset_id: str
    epoch: int
    kind: str
    accepted_at: datetime
    index: int
    submitted: int
    first_under_it: Answered | None
    released_since: int
    released_against_it: tuple[Answered, ...]
    in_flight: tuple[InFlight, ...]
    stale_answers: int
    versions: tuple[Reapplied, ...]
    told: tuple[Told, ...]
    activations: int
    log_size: int
    checkpoint: str
