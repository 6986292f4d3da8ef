"""What the manager obeys: which optimizers, started where and when, stopped why, until what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AliasChoices, Field, PositiveInt, model_validator

from optim.combination import Combination
from optim.errors import CombinationError
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
from optim.stoppers.base import Stopper


class Contradiction(NamedTuple):
    """A setting that does not go with another."""

    setting: str
    message: str


class ContradictionsError(ValueError):
    """Settings that are right one by one, but not together."""

    def __init__(self, contradictions: list[Contradiction]) -> None:
        super().__init__("; ".join(f"{setting}: {message}" for setting, message in contradictions))
        self.contradictions = contradictions


class Spawning(Options):
    """When no more optimizers are started; what runs is left alone."""

    max_evaluations: PositiveInt | None = None
    """Nothing is started once the run has this many evaluations."""
    max_optimizers: PositiveInt | None = None
    """Nothing is started once this many optimizers were started."""


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
                yield Contradiction(setting, "at least one is needed")
        for setting, count in (
            ("stopper_boolean_combination", len(self.stoppers)),
            ("exit_condition_boolean_combination", len(self.exit_conditions)),
        ):
            try:
                Combination(getattr(self, setting), count)
            except CombinationError as error:
                yield Contradiction(setting, str(error))
        fault = self.optimizer_selector.fault(len(self.optimizers))
        if fault:
            yield Contradiction("optimizer_selector", fault)
