"""Every policy of this package keeps the contracts of its kind."""

import pytest
from driftwood.best_unmoving import BestUnmoving
from driftwood.compass_search import CompassSearch
from driftwood.corner import Corner
from driftwood.weighted import Weighted
from driftwood.worse_than_median import WorseThanMedian

from optim.testing.conditions import ExitConditionConformance, StopperConformance
from optim.testing.optimizers import OptimizerConformance
from optim.testing.starts import GeneratorConformance, SelectorConformance


class TestCompassSearch(OptimizerConformance):
    @pytest.fixture
    def optimizer(self):
        return CompassSearch()


class TestWorseThanMedian(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return WorseThanMedian(number_of_function_calls=1)


class TestBestUnmoving(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return BestUnmoving(evaluations=1)


class TestCorner(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return Corner()


class TestWeighted(SelectorConformance):
    @pytest.fixture
    def selector(self):
        return Weighted(weights=[1.0, 2.0, 3.0])
