"""The contracts of generators and selectors."""

from __future__ import annotations

import numpy as np
import pytest

from optim.generators.base import Generator
from optim.run_state import RunState
from optim.selectors.base import Selector
from optim.space import Parameter, Space
from optim.testing.conditions import RUNS
from optim.testing.policies import PolicyConformance


class GeneratorConformance(PolicyConformance):
    """Override the fixture `generator`."""

    @pytest.fixture
    def policy(self, generator: Generator) -> Generator:
        """The policy under test."""
        return generator

    @pytest.mark.parametrize("run", [RunState(2), *RUNS.values()], ids=["empty", *RUNS])
    def test_points_lie_in_the_unit_cube(self, generator: Generator, run: RunState) -> None:
        """Whatever the run looks like."""
        space = _space(run.dimension)
        for seed in range(20):
            point = generator.point(space, run, np.random.default_rng(seed))
            assert point.shape == (run.dimension,)
            assert ((point >= 0) & (point <= 1)).all()

    def test_the_same_stream_gives_the_same_point(self, generator: Generator) -> None:
        """No other source of chance, and the initial point is not handed out itself."""
        run, space = RUNS["ties"], _space(2)
        first = generator.point(space, run, np.random.default_rng(5))
        second = generator.point(space, run, np.random.default_rng(5))
        assert first.tolist() == second.tolist()
        assert not np.shares_memory(first, space.initial_point)


def _space(dimension: int) -> Space:
    return Space(Parameter(name=f"p{k}", initial=0.25, lower=0.0, upper=1.0) for k in range(dimension))


class SelectorConformance(PolicyConformance):
    """Override the fixtures `selector` and, if it takes a certain number, `blocks`."""

    @pytest.fixture
    def policy(self, selector: Selector) -> Selector:
        """The policy under test."""
        return selector

    @pytest.fixture
    def blocks(self) -> int:
        """How many optimizer blocks it chooses among."""
        return 3

    @pytest.mark.parametrize("run", [RunState(2), *RUNS.values()], ids=["empty", *RUNS])
    def test_it_chooses_a_block_that_is_there(self, selector: Selector, blocks: int, run: RunState) -> None:
        """And has no fault to find with their number."""
        assert selector.fault(blocks) == ""
        for seed in range(20):
            assert 0 <= selector.select(blocks, run, np.random.default_rng(seed)) < blocks
