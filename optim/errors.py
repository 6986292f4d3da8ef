"""Every error that shoal raises on purpose; all derive from `ShoalError`."""


class Interrupt(BaseException):
    """Somebody wants to end what runs here: it goes past whoever catches what a loss raises."""


class ShoalError(Exception):
    """Something a user can mend: the message says what was given, what is allowed and what to do."""


class SpaceError(ShoalError, ValueError):
    """A parameter or a point does not fit the parameter space."""


class ExpressionError(ShoalError, ValueError):
    """An expression over parameter names cannot be read, or has a name that is not there."""


class UnknownPolicyError(ShoalError, ValueError):
    """No policy of that kind has that name."""


class CombinationError(ShoalError, ValueError):
    """A boolean combination cannot be read, or names a number that is not there."""


class OutOfOrderError(ShoalError):
    """`ask` and `tell` of an optimizer were called in an impossible order."""


class UnknownCallError(ShoalError):
    """An event speaks of a point that was never asked, or whose result has already arrived."""


class ProblemError(ShoalError):
    """A problem or its loss cannot be imported or does not have the expected shape."""


class DivergenceError(ShoalError):
    """A replay does not do what the journal says; the message names the evaluation and the points.

    Attributes:
        optimizer: Which one does something else; 0: it is none in particular.
    """

    def __init__(self, message: str, optimizer: int = 0) -> None:
        super().__init__(message)
        self.optimizer = optimizer


class StoreError(ShoalError):
    """A run cannot be written to, or read from, its store."""


class DamagedStoreError(StoreError):
    """Something that was committed is missing or unreadable; the message names the chunk."""


class SchemaError(StoreError):
    """The store was written by a newer shoal."""


class RunExistsError(StoreError):
    """A run of that name is already there."""


class RunNameError(StoreError):
    """A run cannot have that name, or none has it."""


class RunLockedError(StoreError):
    """Another process writes this run."""


class ServerError(ShoalError):
    """The Prefect server does not answer, or a local one does not come up."""


class ClusterError(ShoalError):
    """The Dask cluster cannot be reached."""


class ClusterLostError(ClusterError):
    """The Dask cluster went away in the middle of a run, which can go on later."""


class DimensionError(ShoalError, ValueError):
    """An optimizer cannot work on that number of parameters."""


class ExportError(ShoalError):
    """A run cannot be written as files."""


class ExportExistsError(ExportError):
    """There is something already where an export shall go."""


class SteeringError(ShoalError):
    """A run cannot do what somebody asks of it."""


class DurationError(ShoalError, ValueError):
    """A time cannot be read."""
