"""What is allowed, but hardly meant: settings that a person should look at again before a long run."""

from __future__ import annotations

from collections.abc import Iterator

from optim.combination import Combination
from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.stops_after_convergence import StopsAfterConvergence
from optim.generators.list import List
from optim.generators.single_point import SinglePoint
from optim.selectors.cycle import Cycle
from optim.space import Space
from optim.stoppers.optimizer_type import OptimizerType
from optim.strategy import Contradiction, Strategy


def advice(strategy: Strategy, space: Space) -> Iterator[Contradiction]:
    """All that a person should look at again, each with its place."""
    yield from _twins(strategy)
    yield from _short_windows(strategy, space)
    yield from _stoppers(strategy)
    yield from _exit_conditions(strategy)


def _twins(strategy: Strategy) -> Iterator[Contradiction]:
    generator, parallel = strategy.generator, strategy.parallel_optimizers
    if isinstance(generator, SinglePoint):
        points = 1
    elif isinstance(generator, List):
        points = len(generator.points)
    else:
        return
    blocks = strategy.optimizers
    if not isinstance(strategy.optimizer_selector, Cycle):  # any of them may come at any time
        blocks = tuple(block for block in blocks if block.is_deterministic)[:1]
    begun = set()
    for number in range(parallel if blocks else 0):  # a Cycle and a List go round together
        block = blocks[number % len(blocks)]
        alike = number % points, block.type_name(), block.model_dump_json(exclude={"label"})
        if block.is_deterministic and alike in begun:
            yield Contradiction(
                ("generator",),
                f"{generator.type_name()} gives {points} starting point{'s' * (points > 1)} to {parallel}"
                f" parallel optimizers; two {block.title} that start at one point do the same",
            )
            return
        begun.add(alike)


def _short_windows(strategy: Strategy, space: Space) -> Iterator[Contradiction]:
    look_round = 2 * (space.dimension + 1)
    for place, stopper in enumerate(strategy.stoppers):
        window = getattr(stopper, "number_of_function_calls", look_round)
        if stopper.needs_warm_up and window < look_round:
            yield Contradiction(
                ("stopper", place),
                f"{stopper.type_name()} looks at {window} calls; in {space.dimension} dimensions an optimizer"
                f" needs more to show where it goes: {look_round} or more",
            )


def _stoppers(strategy: Strategy) -> Iterator[Contradiction]:
    combination = Combination(strategy.stopper_boolean_combination, len(strategy.stoppers))
    for place, stopper in enumerate(strategy.stoppers):
        if place not in combination.rules:
            yield Contradiction(
                ("stopper", place), f"{stopper.type_name()} is not part of stopper_boolean_combination"
            )
        elif isinstance(stopper, OptimizerType) and combination.holds_with(frozenset({place})):
            yield Contradiction(
                ("stopper", place),
                f"OptimizerType alone stops every {stopper.optimizer} at its first call; combine it with '&'",
            )


def _exit_conditions(strategy: Strategy) -> Iterator[Contradiction]:
    conditions = strategy.exit_conditions
    combination = Combination(strategy.exit_condition_boolean_combination, len(conditions))
    for place, condition in enumerate(conditions):
        if place not in combination.rules:
            yield Contradiction(
                ("exit_condition", place),
                f"{condition.type_name()} is not part of exit_condition_boolean_combination",
            )
    impossible = strategy.impossible_exits
    if not any(block.may_converge for block in strategy.optimizers):
        for place, condition in enumerate(conditions):
            if isinstance(condition, MaxOptimizersConverged | StopsAfterConvergence):
                impossible.setdefault(place, "none of the optimizers ever converges")
    for place, reason in impossible.items():
        yield Contradiction(
            ("exit_condition", place), f"{conditions[place].printed} can never hold: {reason}"
        )
