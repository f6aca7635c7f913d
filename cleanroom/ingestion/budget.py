"""The memory that several spools share: whoever has the most gives way first."""

from typing import Protocol


class Holder(Protocol):
    """What takes memory and can give some back."""

    @property
    def held_bytes(self) -> int:
        """How much it takes, apart from what it gives back at this moment."""
        ...

    @property
    def fixed(self) -> bool:
        """Whether it must keep what it has, since it is being read."""
        ...

    def give_back(self, size: int) -> None:
        """Begin to give back about so many bytes; at most one such work runs at a time."""
        ...


class Budget:
    """Keeps what its holders take together below a limit.

    An eighth of it is for what is given back but still there, so that more can come meanwhile.
    """

    def __init__(self, memory_bytes: int) -> None:
        """Prepare.

        Args:
            memory_bytes: the limit.
        """
        self._step_bytes = memory_bytes // 8
        self._most_bytes = memory_bytes - self._step_bytes
        self._holders: list[Holder] = []

    def join(self, holder: Holder) -> None:
        """Share the limit with one more."""
        self._holders.append(holder)

    def relieve(self) -> None:
        """Have memory given back if the limit is near; called when a holder has taken more."""
        if sum(holder.held_bytes for holder in self._holders) <= self._most_bytes:
            return
        free = [holder for holder in self._holders if not holder.fixed]
        largest = max(free, key=lambda holder: holder.held_bytes)
        # While the others are fixed, a small one would be asked at every turn; it may become half a step too large.
        if len(free) == len(self._holders) or largest.held_bytes > self._step_bytes // 2:
            largest.give_back(self._step_bytes)
