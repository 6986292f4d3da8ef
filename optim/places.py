"""Places in the budget: which points are out for evaluation, and which wait until they may go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import Point
from optim.errors import UnknownCallError


class Asked(NamedTuple):
    """A point that an optimizer asked for.

    Attributes:
        optimizer: Whose it is.
        call: The optimizer's own number of it.
        point: In the unit cube, shape (dimension,).
        x: The same in physical units.
        is_probe: A finite-difference point.
    """

    optimizer: int
    call: int
    point: Point
    x: NDArray[np.float64]
    is_probe: bool


class Places:
    """Points that are out keep their place until their result arrives or they are dropped.

    Args:
        budget: Evaluations that are never exceeded, counting what is out; None: no such limit.
    """

    def __init__(self, budget: int | None = None) -> None:
        self._budget = budget
        self._outstanding: dict[tuple[int, int], Asked] = {}
        self._waiting: deque[Asked] = deque()

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._outstanding

    def is_free(self, evaluations: int) -> bool:
        """Whether one more point may go out, when so many results were recorded."""
        return self._budget is None or evaluations + len(self._outstanding) < self._budget

    def enter(self, asked: Asked, evaluations: int) -> bool:
        """Whether the point goes out now; otherwise it waits, behind those that were asked before."""
        if self._waiting or not self.is_free(evaluations):
            self._waiting.append(asked)
            return False
        self._outstanding[asked.optimizer, asked.call] = asked
        return True

    def leave(self, optimizer: int, call: int) -> Asked:
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

    def put_back(self, asked: Iterable[Asked]) -> None:
        """Points that were dropped are wanted after all: they wait before all others."""
        self._waiting.extendleft(reversed(list(asked)))

    def limit(self, budget: int | None) -> None:
        """Another budget holds from now on."""
        self._budget = budget

    def refill(self, evaluations: int, is_wanted: Callable[[int], bool]) -> Iterator[Asked]:
        """Those that may go out now, of the optimizers that still want theirs."""
        while self._waiting and self.is_free(evaluations):
            asked = self._waiting.popleft()
            if is_wanted(asked.optimizer):
                self._outstanding[asked.optimizer, asked.call] = asked
                yield asked

    def out(self, optimizer: int | None = None) -> list[tuple[int, int]]:
        """Optimizer and call of every point that is out, in the order sent; of one optimizer, if named."""
        return [key for key in self._outstanding if optimizer in (None, key[0])]
