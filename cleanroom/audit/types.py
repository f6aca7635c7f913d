"""What a verification says."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that is damaged.

    Attributes:
        what: `event`, `node`, `head`, `checkpoint`, `against`, `database`, `file`, `files`, `dataset`, `grant`,
            `account` or `ledger`.
        place: which one: an index, a range of indices, a size, an object key, or an id.
        reason: what is wrong with it.
    """

    what: str
    place: str
    reason: str

    def __str__(self) -> str:
        """Write the problem as one line."""
        return f"{self.what} {self.place}: {self.reason}"


@dataclass(frozen=True)
class VerifyReport:
    """The result of recomputing a log.

    Attributes:
        events: how many events the log holds.
        root: the recomputed root, hex; empty when missing events leave it unknown.
        problems: the damage found, in the order of the log; at most MAX_PROBLEMS.
        file_roots: for each subject that the log says has sealed files, the newest hash over their list.
    """

    events: int
    root: str
    problems: tuple[Problem, ...]
    file_roots: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Tell whether nothing is damaged."""
        return not self.problems
