"""The settings of a run, as people type them: in a run file, in a form, or in Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from optim.errors import ExpressionError, SpaceError
from optim.options import Options
from optim.space import Parameter, Space
from optim.strategy import Contradiction, ContradictionsError, Strategy
from tasks.child import Isolation


def _per_task(given: object) -> object:
    """In place of what each part of the union has to say."""
    if given != "auto" and not (type(given) is int and given > 0):
        raise ValueError("it must be a positive integer, or auto")
    return given


class EvaluationSettings(Options):
    """How the loss is evaluated."""

    per_task: Annotated[PositiveInt | Literal["auto"], BeforeValidator(_per_task)] = 1
    """How many evaluations one task run may carry; `auto`: as many as take half a second."""
    processes: PositiveInt | None = None
    """Processes of this machine in which a local run (`--local`) evaluates; by default its own."""
    max_in_flight: PositiveInt | None = None
    """How many evaluations may be with the workers at once; by default two task runs for each of their threads."""
    timeout_s: PositiveFloat | None = None
    """Seconds after which a loss is killed, with all that it has started; it then runs isolated."""
    retries: NonNegativeInt = 0
    """How often an isolated loss that took too long, or ended its process, is tried again."""
    isolated: bool = False
    """Evaluate in a process of its own beside each worker, which may crash without harm."""


LEAST_MEMORY = ByteSize(200 * 1024**2)
"""What a local worker takes that has evaluated nothing, and a little more: Dask ends one that comes near its limit."""


ADAPT = frozenset(
    [
        "minimum",
        "minimum_cores",
        "minimum_memory",
        "maximum",
        "maximum_cores",
        "maximum_memory",
        "interval",
        "wait_count",
        "target_duration",
    ]
)
"""Arguments of the `adapt` of Dask's local cluster, which takes any word and looks at these."""


class ClusterSettings(Options):
    """Dask workers: local ones by default; or those of a running scheduler; or of any cluster class."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    workers: PositiveInt | None = None
    """Local worker processes; by default as many as there are processors."""
    threads_per_worker: PositiveInt = 1
    """Losses that a worker process evaluates at once; a loss that is Python code gains nothing from more."""
    memory_limit: ByteSize | None = None
    """Memory of each local worker, as `2GiB`, and of the process of each isolated loss wherever it runs."""
    address: str | None = None
    """Of a Dask scheduler that runs already, as `tcp://10.0.0.1:8786`."""
    cluster_class: str | None = Field(default=None, alias="class")
    """Dotted path of a Dask cluster class, as `dask_jobqueue.SLURMCluster`."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the cluster class."""
    upload: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """User code, files and folders in the folder of the run file, that is sent to the workers."""
    adapt: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the cluster's `adapt`, as `minimum` and `maximum`: workers come and go with the work."""

    @field_validator("memory_limit")
    @classmethod
    def _check_memory_limit(cls, limit: ByteSize | None) -> ByteSize | None:
        if limit is not None and limit < LEAST_MEMORY:
            raise ValueError(
                f"{limit.human_readable()} is not enough: a worker takes nearly"
                f" {LEAST_MEMORY.human_readable()} before it evaluates anything; give a unit, as in 4GiB"
            )
        return limit

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
        if self.memory_limit is not None and "memory_limit" in self.kwargs:
            raise ValueError("kwargs has memory_limit, too; leave one of them out")
        if self.cluster_class is None and (unknown := ", ".join(sorted(self.adapt.keys() - ADAPT))):
            raise ValueError(f"adapt has {unknown}; allowed are {', '.join(sorted(ADAPT))}")
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
    picture_s: NonNegativeFloat = 30.0
    """The page with the losses, `loss.html`, is drawn anew about this often, in seconds, and at the end of a run that
    took longer; 0: never. It takes a few percent of one processor at most: a large run is drawn less often."""


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
    """The space of a plain loss; for a `Problem`, what changes in its own parameters of the same name."""
    constraints: Annotated[
        tuple[str, ...],
        Field(strict=False, validation_alias=AliasChoices("constraint", "constraints")),
    ] = ()
    """Conditions on physical values, as `rmin > 2*sigma`; a point that violates one is not evaluated."""
    logging_interval: PositiveInt = 10
    """Exported loss files have every new best of an optimizer, and every so many of its calls."""
    private: bool = False
    """Other users of this machine cannot look at the run: Prefect's server asks for a password, Dask's connections are
    encrypted and need a certificate."""
    evaluation: EvaluationSettings = EvaluationSettings()
    """How the loss is evaluated."""
    cluster: ClusterSettings = ClusterSettings()
    """Which Dask workers evaluate it."""
    store: StoreSettings = StoreSettings()
    """Where the run is written."""

    @property
    def entry_points(self) -> dict[tuple[str, ...], str]:
        """What names code of the user's: the loss first, then, if there is one, the validation loss."""
        found: dict[tuple[str, ...], str] = {("problem",): self.problem}
        if self.validation is not None:
            found["validation", "problem"] = self.validation.problem
        return found

    @property
    def isolation(self) -> Isolation | None:
        """How losses are kept apart from the processes that have them evaluated; None: they are not."""
        evaluation = self.evaluation
        if not evaluation.isolated and evaluation.timeout_s is None:
            return None
        return Isolation(evaluation.timeout_s, self.cluster.memory_limit)

    @property
    def local_processes(self) -> int:
        """How many processes a local run has for its losses; 0: it evaluates them itself."""
        return self.evaluation.processes or (0 if self.isolation is None else 1)

    @model_validator(mode="after")
    def _check_memory_limit(self) -> Self:
        cluster = self.cluster
        is_elsewhere = cluster.address is not None or cluster.cluster_class is not None
        if cluster.memory_limit is not None and is_elsewhere and self.isolation is None:
            message = "the workers have a limit of their own; set evaluation.isolated for one of the loss"
            raise ContradictionsError([Contradiction(("cluster", "memory_limit"), message)])
        return self

    @model_validator(mode="after")
    def _check_private(self) -> Self:
        address, kwargs = self.cluster.address, self.cluster.kwargs
        if self.private and address is not None and not address.startswith("tls://"):
            message = f"given {address!r}; of a private run it must begin with tls://"
            raise ContradictionsError([Contradiction(("cluster", "address"), message)])
        if self.private and self.cluster.cluster_class is not None and "security" not in kwargs:
            message = "in a private run it needs security, as in kwargs = { security = true }, if the class takes that"
            raise ContradictionsError([Contradiction(("cluster", "class"), message)])
        return self

    @model_validator(mode="after")
    def _check_entry_points(self) -> Self:
        found = [
            Contradiction(path, f"given {given!r}; it must be module:attribute, as in my_fit:loss")
            for path, given in self.entry_points.items()
            if not _is_entry_point(given)
        ]
        if found:
            raise ContradictionsError(found)
        return self


def _is_entry_point(given: str) -> bool:
    module, colon, attribute = given.partition(":")
    return bool(colon) and all(name.isidentifier() for name in (*module.split("."), *attribute.split(".")))


def space_of(own: Space | None, settings: RunSettings) -> Space:
    """The space of a run, with which all its settings go.

    Args:
        own: The problem's; None: a plain loss, which has none.
        settings: Whose parameters change the problem's own of the same name, and whose constraints are added.

    Raises:
        ContradictionsError: With all that does not fit.
    """
    given = settings.parameters
    faults = list(_parameter_faults(own, given))
    if faults:
        raise ContradictionsError(faults)
    changes = {parameter.name: parameter for parameter in given}
    parameters = given if own is None else [_changed(one, changes.get(one.name)) for one in own.parameters]
    constraints = (*(own.constraints if own else ()), *settings.constraints)
    try:
        space = Space(parameters)
    except (SpaceError, ExpressionError) as error:
        raise ContradictionsError([Contradiction(("parameter",), str(error))]) from None
    faults = [*_constraint_faults(space, settings.constraints), *settings.contradictions_in(space)]
    if faults:
        raise ContradictionsError(faults)
    return Space(space.parameters, constraints)


def _constraint_faults(space: Space, constraints: tuple[str, ...]) -> Iterator[Contradiction]:
    for place, text in enumerate(constraints):
        try:
            Space(space.parameters, [text])
        except ExpressionError as error:
            yield Contradiction(("constraint", place), str(error))


def _changed(own: Parameter, change: Parameter | None) -> Parameter:
    return own if change is None else own.changed_by(change)


def _parameter_faults(own: Space | None, given: tuple[Parameter, ...]) -> Iterator[Contradiction]:
    if own is None and not given:
        message = "a plain loss needs its parameters: add [[parameter]] blocks to the run file"
        yield Contradiction(("parameter",), message)
    names = [parameter.name for parameter in given]
    by_name = {parameter.name: parameter for parameter in own.parameters} if own else {}
    for place, parameter in enumerate(given):
        path = ("parameter", place)
        if parameter.name in names[:place]:
            yield Contradiction(path, f"there is another parameter {parameter.name}; names must differ")
        elif own is None:
            if parameter.missing:
                yield Contradiction(path, f"{parameter.name} needs {' and '.join(parameter.missing)}")
        elif parameter.name not in by_name:
            yield Contradiction(
                path, f"the problem has no parameter {parameter.name}; it has {', '.join(by_name)}"
            )
        else:
            try:
                by_name[parameter.name].changed_by(parameter)
            except SpaceError as error:
                yield Contradiction(path, f"{parameter.name}: {error}")
