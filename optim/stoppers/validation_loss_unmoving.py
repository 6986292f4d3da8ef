"""Stop an optimizer whose validation loss improves no more."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveInt

from optim.stoppers.base import Stopper
from optim.surroundings import Surroundings
from optim.unmoving import unmoving
from optim.verdict import Verdict
from optim.views import OptimizerView, RunView


class ValidationLossUnmoving(Stopper):
    """The last validations of its bests brought no improvement worth the name: it learns its data by heart.

    The rule of `BestFunctionValueUnmoving`, on the optimizer's validation losses.
    """

    number_of_validations: PositiveInt
    """How many of the latest validation losses must bring an improvement."""
    tolerance: NonNegativeFloat = 0.0
    """Largest improvement that does not count, relative to the best validation loss before."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        return unmoving(optimizer.validations, self.number_of_validations, self.tolerance, "validations")

    def fault(self, around: Surroundings) -> str:
        """There must be a validation loss."""
        return around.no_validation
