"""The contracts of stoppers and exit conditions."""

from __future__ import annotations

import copy
import math

import pytest

from optim.exit_conditions.base import ExitCondition
from optim.progress import Standing
from optim.run_state import RunState
from optim.stoppers.base import Stopper
from optim.testing.hand_made import Track, hand_made_run
from optim.testing.policies import PolicyConformance
from optim.verdict import Verdict

INF = float("inf")
RUNS = {
    "one point": hand_made_run(Track([1.0])),
    "all non-finite": hand_made_run(Track([INF] * 12)),
    "ties": hand_made_run(Track([2.0] * 12), Track([2.0] * 12)),
    "zero": hand_made_run(Track([0.0] * 12), Track([1.0, 0.0])),
    "negative": hand_made_run(Track([-3.0] * 12), Track([-1.0] * 12)),
    "in one dimension": hand_made_run(Track([1.0, 2.0], [[0.5], [0.6]]), Track([0.5], [[0.5]]), dimension=1),
    "in a hundred dimensions": hand_made_run(
        Track([1.0] * 3, [[0.1] * 100] * 3), Track([0.5], [[0.9] * 100]), dimension=100
    ),
    "among the dead": hand_made_run(Track([1.0, 0.1, 5.0], is_alive=False), Track([3.0] * 12)),
    "huge": hand_made_run(Track([1e308, -1e308] * 6), Track([1e-308] * 12)),
}


class StopperConformance(PolicyConformance):
    """Override the fixture `stopper`."""

    @pytest.fixture
    def policy(self, stopper: Stopper) -> Stopper:
        """The policy under test."""
        return stopper

    @pytest.mark.parametrize("name", RUNS)
    def test_it_judges_any_trajectory_without_an_error_and_with_words(
        self, stopper: Stopper, name: str
    ) -> None:
        """A verdict that is met has a reason."""
        run = RUNS[name]
        for optimizer in run.optimizers:
            verdict = stopper.judge(optimizer, run)
            assert isinstance(verdict, Verdict)
            assert str(verdict) or not verdict.met

    @pytest.mark.parametrize("name", RUNS)
    def test_judging_twice_gives_the_same_and_changes_nothing(self, stopper: Stopper, name: str) -> None:
        """Stoppers keep no state and do not touch what they see."""
        run = RUNS[name]
        before = copy.deepcopy(run.anchors)
        for optimizer in run.optimizers:
            assert stopper.judge(optimizer, run) == stopper.judge(optimizer, run)
        assert run.anchors.tobytes() == before.tobytes()


class ExitConditionConformance(PolicyConformance):
    """Override the fixture `exit_condition`."""

    @pytest.fixture
    def policy(self, exit_condition: ExitCondition) -> ExitCondition:
        """The policy under test."""
        return exit_condition

    @pytest.mark.parametrize("run", [RunState(2), *RUNS.values()], ids=["empty", *RUNS])
    def test_it_judges_any_run_without_an_error(self, exit_condition: ExitCondition, run: RunState) -> None:
        """The same verdict twice."""
        assert exit_condition.judge(run) == exit_condition.judge(run)

    @pytest.mark.parametrize("run", [RunState(2), *RUNS.values()], ids=["empty", *RUNS])
    def test_its_progress_is_at_its_end_exactly_when_it_is_met(
        self, exit_condition: ExitCondition, run: RunState
    ) -> None:
        """Where it can tell; and it can be read."""
        progress = exit_condition.progress(Standing.of(run))
        if progress is None:
            return
        assert math.isfinite(progress.done)
        assert str(progress)
        if progress.fraction is not None:
            assert 0 <= progress.fraction <= 1
            assert (progress.fraction == 1) == exit_condition.judge(run).met

    def test_a_fresh_run_does_not_end(self, exit_condition: ExitCondition) -> None:
        """Nothing has happened yet."""
        assert not exit_condition.judge(RunState(2)).met
