"""StopsAfterConvergence(optimizers_converged, optimizers_stopped).

Invariants: only stops after the convergence that completes the number count; both counts use `>=`; once met, more of
either changes nothing.
"""

import pytest

from optim.exit_conditions.stops_after_convergence import StopsAfterConvergence
from optim.run_state import RunState
from optim.testing.conditions import ExitConditionConformance


class TestConformance(ExitConditionConformance):
    @pytest.fixture(params=[(1, 0), (2, 3)], ids=str)
    def exit_condition(self, request):
        converged, stopped = request.param
        return StopsAfterConvergence(optimizers_converged=converged, optimizers_stopped=stopped)


def verdict(history, converged, stopped):
    """Of a run in which optimizers converged (c) and were stopped (s) in that order."""
    run = RunState(2)
    for end in history:
        if end == "c":
            run.stopped_before.append(run.stopped)
        else:
            run.stopped += 1
    condition = StopsAfterConvergence(optimizers_converged=converged, optimizers_stopped=stopped)
    return condition.judge(run)


@pytest.mark.parametrize(
    ("history", "converged", "stopped", "expected"),
    [
        ("", 1, 0, False),
        ("ssss", 1, 0, False),
        ("c", 1, 0, True),
        ("cc", 1, 0, True),
        ("c", 2, 0, False),
        ("sscss", 1, 3, False),
        ("sscsss", 1, 3, True),
        ("sscssss", 1, 3, True),
        ("csss", 1, 3, True),
        ("sssc", 1, 3, False),
        ("cscs", 2, 2, False),
        ("csscss", 2, 2, True),
        ("csscs", 2, 2, False),
        ("ccsscc", 2, 2, True),
        ("csccs", 2, 1, True),
        ("cscc", 2, 1, False),
    ],
)
def test_stops_count_from_the_convergence_that_completes_the_number(history, converged, stopped, expected):
    assert verdict(history, converged, stopped).met is expected


def test_by_default_it_is_one_convergence():
    assert StopsAfterConvergence() == StopsAfterConvergence(optimizers_converged=1, optimizers_stopped=0)


def test_it_says_and_prints_its_numbers():
    assert str(verdict("scsss", 1, 3)) == "3 stopped of 3 since 1 converged"
    assert (
        StopsAfterConvergence(optimizers_converged=2, optimizers_stopped=5).printed
        == "StopsAfterConvergence(optimizers_converged=2, optimizers_stopped=5)"
    )
