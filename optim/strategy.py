"""What the manager obeys: which optimizers, started where and when, stopped why, until what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AliasChoices, Field, PositiveInt, model_validator

from optim.combination import Combination
from optim.condition import Condition
from optim.errors import CombinationError, ShoalError, SpaceError
from optim.exit_conditions.base import ExitCondition
from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.generators.base import Generator
from optim.generators.single_point import SinglePoint
from optim.optimizers.base import Optimizer
from optim.optimizers.cmaes import CMAES
from optim.options import Options
from optim.registry import OneOf
from optim.selectors.base import Selector
from optim.selectors.cycle import Cycle
from optim.space import Space
from optim.stoppers.base import Stopper
from optim.surroundings import Surroundings


class Contradiction(NamedTuple):
    """A setting that does not go with another.

    Attributes:
        path: Where it is: keys in the singular, as run files have them, and places in lists, from 0.
        message: What is wrong.
    """

    path: tuple[str | int, ...]
    message: str


class ContradictionsError(ShoalError, ValueError):
    """Settings that are right one by one, but not together."""

    def __init__(self, contradictions: Iterable[Contradiction]) -> None:
        self.contradictions = list(contradictions)
        super().__init__("; ".join(message for _, message in self.contradictions))


class Spawning(Options):
    """When no more optimizers are started; what runs is left alone."""

    max_evaluations: PositiveInt | None = None
    """Nothing is started once the run has this many evaluations."""
    max_optimizers: PositiveInt | None = None
    """Nothing is started once this many optimizers were started."""


class Validation(Options):
    """A second loss, which nobody optimizes: does what was learned hold for other data?"""

    problem: str
    """Its entry point, as `module:attribute`; called with the same values as the loss."""
    every: PositiveInt = 1
    """It is evaluated at every so many new bests of each optimizer, and at the initial values."""


def _listed(singular: str, plural: str) -> AliasChoices:
    return AliasChoices(singular, plural)


class Strategy(Options):
    """The settings of a run that decide what happens in it.

    In a run file the lists are repeated blocks under their singular (`[[stopper]]`).

    Raises:
        pydantic.ValidationError: With all faults at once.
    """

    parallel_optimizers: PositiveInt = 1
    """How many optimizers may be alive at once."""
    optimizers: Annotated[
        tuple[Annotated[Optimizer, OneOf("CMAES")], ...],
        Field(strict=False, validation_alias=_listed("optimizer", "optimizers")),
    ] = (CMAES(),)
    """The optimizer blocks that new optimizers are started from."""
    optimizer_selector: Annotated[Selector, OneOf("Cycle")] = Cycle()
    """Which block a new optimizer is started from."""
    generator: Annotated[Generator, OneOf("SinglePoint")] = SinglePoint()
    """Where new optimizers start."""
    control_optimizer_spawning: Spawning = Spawning()
    """When no more optimizers are started."""
    stoppers: Annotated[
        tuple[Annotated[Stopper, OneOf()], ...],
        Field(strict=False, validation_alias=_listed("stopper", "stoppers")),
    ] = ()
    """Rules that end one optimizer."""
    stopper_boolean_combination: str | None = None
    """How the stoppers are combined, as `1 & (2 | 3)`; by default any of them is enough."""
    check_stopper_interval: PositiveInt = 1
    """Stoppers are asked at every so many calls of an optimizer."""
    apply_stoppers_to_best_optimizer: bool = False
    """Whether the owner of the best loss may be stopped too."""
    exit_conditions: Annotated[
        tuple[Annotated[ExitCondition, OneOf()], ...],
        Field(strict=False, validation_alias=_listed("exit_condition", "exit_conditions")),
    ] = (MaxOptimizersConverged(),)
    """Rules that end the run."""
    exit_condition_boolean_combination: str | None = None
    """How the exit conditions are combined; by default any of them is enough."""
    validation: Validation | None = None
    """A validation loss; its evaluations are recorded beside the others, and take nothing of their budget."""
    baseline: bool | Literal["tolerate"] = True
    """Evaluate the initial values first; unless `tolerate`, a loss there that is not finite ends the run."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        found = list(self._contradictions())
        if found:
            raise ContradictionsError(found)
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        for setting in ("optimizers", "exit_conditions"):
            if not getattr(self, setting):
                yield Contradiction((setting.removesuffix("s"),), "at least one is needed")
        for setting, count in (
            ("stopper_boolean_combination", len(self.stoppers)),
            ("exit_condition_boolean_combination", len(self.exit_conditions)),
        ):
            try:
                Combination(getattr(self, setting), count)
            except CombinationError as error:
                yield Contradiction((setting,), str(error))
        fault = self.optimizer_selector.fault(len(self.optimizers))
        if fault:
            yield Contradiction(("optimizer_selector",), fault)
        rules: Iterable[tuple[str, tuple[Condition, ...]]] = (
            ("stopper", self.stoppers),
            ("exit_condition", self.exit_conditions),
        )
        for kind, conditions in rules:
            for place, condition in enumerate(conditions):
                if fault := condition.fault(self.surroundings):
                    yield Contradiction((kind, place), f"{condition.type_name()}: {fault}")
        yield from self._never_ending()

    def _never_ending(self) -> Iterator[Contradiction]:
        impossible = self.impossible_exits
        try:
            exits = Combination(self.exit_condition_boolean_combination, len(self.exit_conditions))
        except CombinationError:
            return
        possible = frozenset(range(exits.count)) - impossible.keys()
        if impossible and not exits.holds_with(possible):
            for place in exits.rules & impossible.keys():
                message = f"{self.exit_conditions[place].printed} can never hold: {impossible[place]}"
                yield Contradiction(("exit_condition", place), message)

    @property
    def surroundings(self) -> Surroundings:
        """What its rules may have to know."""
        titles = (name for block in self.optimizers for name in (block.type_name(), block.title))
        return Surroundings(
            tuple(dict.fromkeys(titles)),
            self.control_optimizer_spawning.max_optimizers,
            bool(self.stoppers),
            self.validation is not None,
        )

    @property
    def impossible_exits(self) -> dict[int, str]:
        """The exit conditions, by their places, that can never be met, and why."""
        reasons = (condition.never_holds(self.surroundings) for condition in self.exit_conditions)
        return {place: reason for place, reason in enumerate(reasons) if reason}

    def contradictions_in(self, space: Space) -> Iterator[Contradiction]:
        """What does not go with the parameters of a problem."""
        if fault := self.generator.fault(space):
            yield Contradiction(("generator",), fault)
        for place, block in enumerate(self.optimizers):
            try:
                moved = space.places(block.parameters)
            except SpaceError as error:
                yield Contradiction(("optimizer", place, "parameters"), str(error))
                continue
            if fault := block.fault(space.dimension if moved is None else len(moved)):
                yield Contradiction(("optimizer", place), fault)
