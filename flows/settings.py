"""The settings of a run, as people type them: in a run file, in a form, or in Python."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from optim.errors import SpaceError
from optim.options import Options
from optim.space import Parameter, Space
from optim.strategy import Contradiction, ContradictionsError, Strategy


class EvaluationSettings(Options):
    """How the loss is evaluated."""

    max_in_flight: PositiveInt | None = None
    """How many evaluations may be with the workers at once; by default twice as many as there are threads."""


class ClusterSettings(Options):
    """Dask workers: local ones by default; or those of a running scheduler; or of any cluster class."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    workers: PositiveInt | None = None
    """Local worker processes; by default as many as there are processors."""
    threads_per_worker: PositiveInt = 1
    """Losses that a worker process evaluates at once; a loss that is Python code gains nothing from more."""
    address: str | None = None
    """Of a Dask scheduler that runs already, as `tcp://10.0.0.1:8786`."""
    cluster_class: str | None = Field(default=None, alias="class")
    """Dotted path of a Dask cluster class, as `dask_jobqueue.SLURMCluster`."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the cluster class."""
    adapt: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the cluster's `adapt`, as `minimum` and `maximum`: workers come and go with the work."""

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        size = {"workers", "threads_per_worker"}
        if self.address is not None and (others := self._set(size | {"class", "kwargs", "adapt"})):
            raise ValueError(f"with address, the cluster runs already; leave out {others}")
        if self.cluster_class is not None and (others := self._set(size)):
            raise ValueError(
                f"with class, the size of the cluster goes into kwargs or adapt; leave out {others}"
            )
        if self.cluster_class is None and (
            others := ", ".join(sorted({"n_workers", *size} & self.kwargs.keys()))
        ):
            raise ValueError(f"kwargs has {others}; without class, use workers and threads_per_worker")
        if self.adapt and self.workers is not None:
            raise ValueError("adapt decides how many workers there are; leave out workers")
        return self

    def _set(self, names: set[str]) -> str:
        """Which of these differ from their defaults, as people read it."""
        return ", ".join(sorted(names & self.model_dump(exclude_defaults=True).keys()))


class StoreSettings(Options):
    """Where and how often a run is written."""

    location: str | None = None
    """Folder of all runs; by default `SHOAL_LOCATION`, or else `./runs`."""
    flush_s: PositiveFloat = 1.0
    """Results are committed at least this often, in seconds: what a killed process may lose."""
    flush_evaluations: PositiveInt = 4096
    """Results are committed when so many are waiting."""


class RunSettings(Strategy):
    """Everything that a run file may say."""

    problem: str
    """A `Problem`, or a plain `loss(x)`, as `module:attribute`."""
    seed: NonNegativeInt | None = None
    """Of all random numbers; drawn and kept with the run when it is not given."""
    parameters: Annotated[
        tuple[Parameter, ...],
        Field(strict=False, validation_alias=AliasChoices("parameter", "parameters")),
    ] = ()
    """The space of a plain loss; for a `Problem`, what replaces its own parameters of the same name."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """How the loss is evaluated."""
    cluster: ClusterSettings = ClusterSettings()
    """Which Dask workers evaluate it."""
    store: StoreSettings = StoreSettings()
    """Where the run is written."""

    @model_validator(mode="after")
    def _check_entry_point(self) -> Self:
        module, colon, attribute = self.problem.partition(":")
        names = [*module.split("."), *attribute.split(".")]
        if not colon or not all(name.isidentifier() for name in names):
            message = f"given {self.problem!r}; it must be module:attribute, as in my_fit:loss"
            raise ContradictionsError([Contradiction("problem", message)])
        return self


def space_of(own: tuple[Parameter, ...], given: tuple[Parameter, ...]) -> Space:
    """The space of a run.

    Args:
        own: The problem's parameters; empty for a plain loss.
        given: Those of the run file; they replace the problem's own of the same name.

    Raises:
        SpaceError: There is none at all, or a name that the problem does not have.
    """
    if not own:
        if not given:
            raise SpaceError("a plain loss needs its parameters: add [[parameter]] blocks to the run file")
        return Space(given)
    by_name = {parameter.name: parameter for parameter in given}
    Space(given or own)  # refuses two of one name
    unknown = [name for name in by_name if name not in {parameter.name for parameter in own}]
    if unknown:
        known = ", ".join(parameter.name for parameter in own)
        raise SpaceError(f"the problem has no parameter {', '.join(unknown)}; it has {known}")
    return Space(by_name.get(parameter.name, parameter) for parameter in own)
