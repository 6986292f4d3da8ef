"""Places in the budget: which points are out for evaluation, and which wait until they may go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from optim.errors import UnknownCallError
from optim.messages import Submit


class Places:
    """Points that are out keep their place until their result arrives or they are dropped.

    Args:
        budget: Evaluations that are never exceeded, counting what is out; None: no such limit.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._budget = budget
        self._outstanding: dict[tuple[int, int], Submit] = {}
        self._waiting: deque[Submit] = deque()

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._outstanding

    def is_free(self, evaluations: int) -> bool:
        """Whether one more point may go out, when so many results were recorded."""
        return self._budget is None or evaluations + len(self._outstanding) < self._budget

    def enter(self, asked: Submit, evaluations: int) -> bool:
        """Whether the point goes out now; otherwise it waits, behind those that were asked before."""
        if self._waiting or not self.is_free(evaluations):
            self._waiting.append(asked)
            return False
        self._outstanding[asked.optimizer, asked.call] = asked
        return True

    def leave(self, optimizer: int, call: int) -> Submit:
        """A point has come back or was dropped.

        Raises:
            UnknownCallError: It was not out.
        """
        try:
            return self._outstanding.pop((optimizer, call))
        except KeyError:
            raise UnknownCallError(
                f"call {call} of optimizer {optimizer} is not outstanding:"
                " it was never submitted, or its result has already arrived"
            ) from None

    def put_back(self, asked: Iterable[Submit]) -> None:
        """Points that were dropped are wanted after all: they wait before all others."""
        self._waiting.extendleft(reversed(list(asked)))

    def limit(self, budget: int | None) -> None:
        """Another budget holds from now on."""
        self._budget = budget

    def refill(self, evaluations: int, is_wanted: Callable[[int], bool]) -> list[Submit]:
        """Those that may go out now, of the optimizers that still want theirs."""
        sent: list[Submit] = []
        while self._waiting and self.is_free(evaluations):
            asked = self._waiting.popleft()
            if is_wanted(asked.optimizer):
                self._outstanding[asked.optimizer, asked.call] = asked
                sent.append(asked)
        return sent

    def out(self) -> list[tuple[int, int]]:
        """Optimizer and call of every point that is out, in the order sent."""
        return list(self._outstanding)

    def out_of(self, optimizer: int, calls: range) -> list[tuple[int, int]]:
        """The same for some calls of one optimizer, in their order."""
        return [(optimizer, call) for call in calls if (optimizer, call) in self._outstanding]
