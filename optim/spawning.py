"""Starting optimizers: which block, from where, and whether one more may start at all."""

from __future__ import annotations

from collections.abc import Mapping

from optim.ask_tell import AskTell, Point, Start
from optim.journal import EventKind
from optim.member import Member
from optim.messages import Announce
from optim.optimizers.base import Optimizer
from optim.past import Past
from optim.randomness import Streams
from optim.space import Space
from optim.strategy import Strategy
from optim.views import RunView

BY_HAND = "by hand"
"""What a store has in place of a generator's name where a person said where to start."""


class Spawner:
    """Makes a run's optimizers, by the rules of its strategy.

    Args:
        strategy: Blocks, generator, selector and limits.
        space: The parameters.
        streams: Of the run's random numbers; each optimizer gets its own.
        pasts: Of those optimizers, by number, that do not repeat themselves in a replay.
    """

    def __init__(self, strategy: Strategy, space: Space, streams: Streams, pasts: Mapping[int, Past]) -> None:
        self._pasts = pasts
        self._strategy = strategy
        self._space = space
        self._streams = streams

    def is_open(self, run: RunView) -> bool:
        """Whether the limits of the strategy allow one more."""
        limits = self._strategy.control_optimizer_spawning
        return (limits.max_evaluations is None or run.evaluations < limits.max_evaluations) and (
            limits.max_optimizers is None or run.started < limits.max_optimizers
        )

    def spawn(self, run: RunView, point: Point | None = None) -> tuple[Member, Announce]:
        """Start the next optimizer; the announcement says which, and from where.

        Args:
            run: So far.
            point: Where a person wants it, in the unit cube; None: the generator says.
        """
        strategy, space = self._strategy, self._space
        number = run.started + 1
        at = strategy.optimizer_selector.select(
            len(strategy.optimizers), run, self._streams.stream("selector", number)
        )
        block = strategy.optimizers[at]
        generator = BY_HAND
        if point is None:
            generator = strategy.generator.type_name()
            point = strategy.generator.point(space, run, self._streams.stream("generator", number))
        living = self._living(block, number, point)
        member = Member(number, block, living, space.dimension, generator, run.evaluations)
        x = space.to_physical(point)
        values = ", ".join(f"{name}={value:.6g}" for name, value in space.named(x).items())
        data = {
            "type": block.type_name(),
            "label": block.title,
            "settings": block.model_dump(mode="json"),
            "generator": generator,
            "x0": x.tolist(),
        }
        text = f"{block.title} starts at {values} ({generator})"
        return member, Announce(EventKind.SPAWN, number, text, data)

    def _living(self, block: Optimizer, number: int, point: Point) -> AskTell:
        places = self._space.places(block.parameters)
        past = self._pasts.get(number)
        if past is None:
            return block.start(Start(point, self._streams.stream("optimizer", number)), places)
        rng = self._streams.stream("restart", number, past.calls)
        return AskTell(past.steps(Start(point, rng), places, lambda start: block.start(start, places)))
