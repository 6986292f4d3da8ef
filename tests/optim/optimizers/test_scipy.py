import pytest

from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import GLOBAL, LOCAL, Scipy
from optim.testing.optimizers import OptimizerConformance


class TestScipy(OptimizerConformance):
    @pytest.fixture(params=[*LOCAL, *GLOBAL])
    def optimizer(self, request):
        return Scipy(algorithm=request.param)


class TestCMA(OptimizerConformance):
    @pytest.fixture(params=["full", "vd", "vkd"])
    def optimizer(self, request):
        return CMAES(sampler=request.param)
