"""What people may ask of a run while it goes on; each wish is an input of the manager, and an event of the journal."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, PositiveInt, TypeAdapter

from optim.options import Options


class Intervention(Options):
    """Something that a person asks for."""

    id: str = Field(pattern="^[0-9a-f]{32}$")
    """By which it is known again: nothing is done twice."""
    by: str = Field(max_length=200)
    """Who wants it."""
    at: AwareDatetime
    """When it was asked for."""


class StopOptimizer(Intervention):
    """End one optimizer; another may start in its place."""

    kind: Literal["stop optimizer"] = "stop optimizer"
    optimizer: PositiveInt
    """Its number."""

    def __str__(self) -> str:
        return f"stop optimizer {self.optimizer}"


class StopRun(Intervention):
    """End the run."""

    kind: Literal["stop run"] = "stop run"

    def __str__(self) -> str:
        return "stop the run"


class PauseRun(Intervention):
    """End this session; a resume goes on."""

    kind: Literal["pause run"] = "pause run"

    def __str__(self) -> str:
        return "pause the run"


class StartOptimizer(Intervention):
    """Start one more optimizer at a point, however many are alive."""

    kind: Literal["start optimizer"] = "start optimizer"
    x: tuple[float, ...]
    """Where, physical units of all parameters."""

    def __str__(self) -> str:
        return f"start an optimizer at ({', '.join(f'{value:.6g}' for value in self.x)})"


_Any = Annotated[StopOptimizer | StopRun | PauseRun | StartOptimizer, Field(discriminator="kind")]
_ANY: TypeAdapter[_Any] = TypeAdapter(_Any)


def read_intervention(text: str | bytes) -> Intervention:
    """An intervention from its JSON.

    Raises:
        ValidationError: It is none.
    """
    return _ANY.validate_json(text)
