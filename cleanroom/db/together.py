"""Group commit: what several callers want written at the same time becomes durable with one commit.

A commit waits for the disk, and SQLite lets one writer in at a time. So callers that come while a commit is under way
gather; the first of them that may, does the work of all, one after the other, each behind a savepoint of its own.
Nobody is told anything before the commit, and a failure of one piece undoes that piece and no other. What is left to
do between the commit and telling them goes on beside the next one's commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

Work = TypeVar("Work")
MOST_PIECES = 64


@dataclass
class Piece(Generic[Work]):
    """What one caller wants done.

    Attributes:
        work: does it.
        made: what the work has made, once it is done.
        error: why it was not done.
        done: whether its caller may be told.
        turn: held until there is something to do for its caller: to go back, or to lead.
    """

    work: Work
    made: Any = None
    error: BaseException | None = None
    done: bool = False
    turn: Lock = field(default_factory=Lock)


class Gathering(Generic[Work]):
    """Lets one of the callers that wait do the work of all of them."""

    def __init__(self, do: Callable[[Callable[[], Sequence[Piece[Work]]]], Callable[[], None]]) -> None:
        """Take what does the work.

        Args:
            do: calls its argument for the pieces, once it need not wait any more: whoever comes until then is among
                them. It does them in order and sets what each has made, or its error; when it raises, none was done.
                It returns what is left to do before anybody is told.
        """
        self._do = do
        self._guard = Lock()
        self._waiting: list[Piece[Work]] = []
        self._led = False

    def __call__(self, work: Work) -> Any:
        """Have some work done, together with that of others; returns what it made, and raises what it raised."""
        piece = Piece(work)
        piece.turn.acquire()
        with self._guard:
            self._waiting.append(piece)
            leads, self._led = not self._led, True
        if not leads:
            # Woken once, and nobody else with it: whoever leads next is told so by the one before.
            piece.turn.acquire()
        if not piece.done:
            self._lead()
        if piece.error is not None:
            raise piece.error
        return piece.made

    def _lead(self) -> None:
        pieces: list[Piece[Work]] = []

        def take() -> Sequence[Piece[Work]]:
            with self._guard:
                pieces[:], self._waiting = self._waiting[:MOST_PIECES], self._waiting[MOST_PIECES:]
            return pieces

        try:
            try:
                finish = self._do(take)
            finally:
                if not pieces:
                    # It did not come so far: whoever waits is told why.
                    take()
                self._hand_over()
            finish()
        except BaseException as error:
            for each in pieces:
                each.error = error
            raise
        finally:
            for each in pieces:
                each.done = True
                each.turn.release()

    def _hand_over(self) -> None:
        with self._guard:
            following = self._waiting[:1]
            self._led = bool(following)
        for each in following:
            each.turn.release()
