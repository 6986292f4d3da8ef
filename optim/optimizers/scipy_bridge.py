"""A blocking SciPy call that can be suspended: it is asked for points and resumed with their losses.

The call runs, unmodified, in a greenlet of its own. Whenever it evaluates its objective it is suspended, and
whoever resumed it gets the points. Nothing runs at the same time: a greenlet is not a thread, and it stays
in the thread that first resumed it.

What belongs to the call is kept apart from the rest of the process, also where several are interleaved:

* numpy's error state, a context variable: a greenlet has its own.
* the warning filters, which are global to the process, and which SciPy itself changes for a while around
  evaluations (`warnings.catch_warnings` in its line searches). They are swapped at each switch.
* COBYQA's lock, which a suspended call would hold for as long as it lives.
"""

from __future__ import annotations

import importlib
import math
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context, ContextVar
from typing import Any, Generic, TypeVar

import numpy as np
from greenlet import GreenletExit, getcurrent, greenlet
from numpy.typing import ArrayLike

from optim.ask_tell import Batch, Point

Result = TypeVar("Result")
Item = TypeVar("Item")
Value = TypeVar("Value")

MOST_UNANSWERABLE = 1000
"""So many points in a row that are not finite end a call; the longest line searches ask for a few hundred."""

MOST_IDLE = 50
"""So many iterations in a row without an evaluation end a call; a healthy one evaluates in each."""

_is_inside: ContextVar[bool] = ContextVar("_is_inside", default=False)
"""Whether the code that asks runs inside a suspendable call; a greenlet has context variables of its own."""


class StuckError(Exception):
    """The call goes on without asking for anything that can be evaluated."""


class Objective:
    """What the call evaluates: `objective(x)` for one point, `objective.map` as its `workers` for many.

    A point outside the unit cube has the loss of its mirror image inside. One that is not finite (a line
    search between infinite losses asks for such) has a loss of inf, like any other that cannot be evaluated;
    it is not handed over, as there is nothing to evaluate, and so not counted.

    Args:
        maps_probes: Whether what comes through `map` are finite differences.
    """

    def __init__(self, maps_probes: bool) -> None:
        self._maps_probes = maps_probes
        self._known: deque[float] = deque()
        self._unanswerable = 0
        self._idle = 0

    def __call__(self, x: ArrayLike) -> float:
        """The loss at `x`, shape (dimension,)."""
        if self._known:
            return self._known.popleft()
        point = _into_cube(x)
        if point is None:
            return self._no_losses(1)[0]
        return self._hand_over(Batch((point,)))[0]

    def map(self, function: Callable[[Item], Value], items: Iterable[Item]) -> list[Value]:
        """`function` of each item, where `function` wraps this objective and evaluates it once, at the item.

        All points are evaluated first, as one batch. Then SciPy's wrapper runs, and is given what is known.
        """
        items = list(items)
        points = [_into_cube(item) for item in items]
        finite = [point for point in points if point is not None]
        if finite:
            losses = iter(self._hand_over(Batch(finite, self._maps_probes)))
            self._known.extend(math.inf if point is None else next(losses) for point in points)
        else:
            self._known.extend(self._no_losses(len(points)))
        return [function(item) for item in items]

    def count_iteration(self, _x: Point, _state: object) -> None:
        """As trust-constr's `callback`: between losses that are infinite it may iterate for seconds, on nothing."""
        self._idle += 1
        if self._idle > MOST_IDLE:
            raise StuckError(f"iterated {self._idle} times without an evaluation")

    def _hand_over(self, batch: Batch) -> Sequence[float]:
        self._unanswerable = self._idle = 0
        driver = getcurrent().parent
        if driver is None:
            raise RuntimeError("an objective was called outside its suspendable call")
        losses: Sequence[float] = driver.switch(batch)
        return losses

    def _no_losses(self, count: int) -> list[float]:
        self._unanswerable += count
        if self._unanswerable > MOST_UNANSWERABLE:
            raise StuckError(f"asked for {self._unanswerable} points in a row that are not finite")
        return [math.inf] * count


class SuspendableCall(Generic[Result]):
    """One call of a function that evaluates an `Objective`, suspended at each evaluation.

    Attributes:
        result: What the function returned, once `resume` has returned None.
    """

    result: Result

    def __init__(self, function: Callable[[], Result]) -> None:
        self._thread = threading.get_ident()
        self._greenlet = greenlet(_without_floating_point_errors(function))
        self._greenlet.gr_context = _context_inside()
        self._filters: Sequence[Any] = [("ignore", None, Warning, _InsideCall(), 0), *warnings.filters]

    def resume(self, losses: Sequence[float] | None) -> Batch | None:
        """Go on, with the losses of the last batch (None at the start), until the next; None at the end.

        Raises:
            Exception: Whatever the function raises.
        """
        answer = self._enter(self._greenlet.switch, losses)
        if self._greenlet.dead:
            self.result = answer
            return None
        batch: Batch = answer
        return batch

    def close(self) -> None:
        """End the call at once, wherever it stands. Idempotent.

        A garbage collector may come by in another thread, where the call cannot end. It then ends in its own, soon
        after nobody refers to it any more: greenlets see to that themselves.
        """
        if self._greenlet.dead or self._thread != threading.get_ident():
            return
        if _is_inside.get():  # a garbage collector closes it in the middle of another call, which is to go on
            self._greenlet.parent = getcurrent()
        self._enter(self._greenlet.throw, GreenletExit)

    def _enter(self, enter: Callable[[Any], Any], argument: object) -> Any:
        # The filters' version is left alone on purpose: raising it would make every once-per-place warning of
        # the process show again, and what is ignored is recorded nowhere.
        outside = warnings.filters
        warnings.filters = self._filters
        try:
            return enter(argument)
        finally:
            self._filters, warnings.filters = warnings.filters, outside


class _InsideCall:
    """As the module pattern of a warning filter: matches whatever is raised inside a suspendable call.

    So the filter is harmless where it should not be: another thread's `catch_warnings` may pick up the
    swapped list at a bad moment and put it back for good.
    """

    def match(self, _module: str) -> bool:
        return _is_inside.get()


class _LockForOthers:
    """A lock that suspendable calls pass by; two of them in one thread would wait for each other for ever."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not _is_inside.get():
            self._lock.acquire()

    def __exit__(self, *_exception: object) -> None:
        if not _is_inside.get():
            self._lock.release()


def pass_by_cobyqa_lock() -> None:
    """Let several suspended COBYQA calls live in one thread. Idempotent.

    The lock guards a cache that is never used across evaluations; SciPy has dropped it since (scipy#24466).
    """
    module = importlib.import_module("scipy.optimize._cobyqa_py")  # private: the lock is nowhere else
    lock = getattr(module, "COBYQA_LOCK", None)
    if lock is not None and not isinstance(lock, _LockForOthers):
        vars(module)["COBYQA_LOCK"] = _LockForOthers(lock)


def _context_inside() -> Context:
    """Made outside, so that it holds from the first moment: a garbage collector may come before the first line runs."""
    context = Context()
    context.run(_is_inside.set, True)
    return context


def _without_floating_point_errors(function: Callable[[], Result]) -> Callable[[object], Result]:
    def run(_losses: object) -> Result:
        with np.errstate(all="ignore"):
            return function()

    return run


def _into_cube(x: Any) -> Point | None:
    """A read-only copy, mirrored at the faces of the unit cube until inside; None if it is not finite."""
    point = np.array(x, dtype=np.float64)
    for coordinate in point.tolist():
        if not 0.0 <= coordinate <= 1.0:
            break
    else:
        point.setflags(write=False)
        return point
    if not np.isfinite(point).all():
        return None
    point = np.mod(point, 2.0)
    point = np.where(point > 1.0, 2.0 - point, point)
    point.setflags(write=False)
    return point
