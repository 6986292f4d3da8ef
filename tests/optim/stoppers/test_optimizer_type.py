"""OptimizerType, for combinations.

Invariants: a type and a label both name a block; others are left alone; a name of nobody is a fault.
"""

import pytest

from optim.stoppers.optimizer_type import OptimizerType
from optim.surroundings import Surroundings
from optim.testing.conditions import StopperConformance
from optim.testing.hand_made import Track, hand_made_run


class TestConformance(StopperConformance):
    @pytest.fixture(params=["Scripted", "nobody"])
    def stopper(self, request):
        return OptimizerType(optimizer=request.param)


@pytest.mark.parametrize(
    ("named", "expected"),
    [("Scripted", True), ("mine", True), ("scripted", False), ("Scipy", False), ("", False)],
)
def test_an_optimizer_is_named_by_its_type_or_its_label(named, expected):
    run = hand_made_run(Track([1.0]))
    run.optimizers[0].title = "mine"
    assert OptimizerType(optimizer=named).judge(run.optimizers[0], run).met is expected


def test_it_says_its_numbers():
    run = hand_made_run(Track([1.0]))
    stopper = OptimizerType(optimizer="Scripted")
    assert str(stopper.judge(run.optimizers[0], run)) == "it is a Scripted"
    assert stopper.printed == "OptimizerType(optimizer=Scripted)"


def test_a_block_of_that_name_must_be_there():
    around = Surroundings(("Scipy", "Nelder-Mead", "CMAES"), None, True, False)
    assert OptimizerType(optimizer="Nelder-Mead").fault(around) == ""
    assert (
        OptimizerType(optimizer="CMA").fault(around)
        == "no optimizer block has the type or label 'CMA'; there are Scipy, Nelder-Mead, CMAES"
    )


def test_it_does_not_wait_for_a_first_look_round():
    assert not OptimizerType.needs_warm_up
