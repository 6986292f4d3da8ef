"""End the run when the validation loss improves no more."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.progress import Progress, Standing
from optim.surroundings import Surroundings
from optim.unmoving import unmoved, unmoving
from optim.verdict import Verdict
from optim.views import RunView


class ValidationLossUnmoving(ExitCondition):
    """The last validations of the run brought no improvement worth the name: what is learned does not carry over.

    The rule of `BestFunctionValueUnmoving`, on all validation losses in order of arrival.
    """

    number_of_validations: PositiveInt
    """How many of the latest validation losses must bring an improvement."""
    tolerance: NonNegativeFloat = 0.0
    """Largest improvement that does not count, relative to the best validation loss before."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        return unmoving(run.validations, self.number_of_validations, self.tolerance, "validations")

    def progress(self, standing: Standing) -> Progress:
        """How many of the latest validations brought no improvement worth the name."""
        done = unmoved(standing.validations, self.number_of_validations, self.tolerance)
        return Progress(done, self.number_of_validations, "validations without improvement")

    def fault(self, around: Surroundings) -> str:
        """There must be a validation loss."""
        return around.no_validation
