"""Asking something of a run from another terminal, and seeing whether it is done."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from flows.run.inbox import leave_wish
from flows.run.location import command_on, runs_location
from flows.run.provenance import this_person
from optim.errors import SpaceError, SteeringError
from optim.journal import EventKind
from optim.space import Space
from optim.steering import Intervention, StopOptimizer, read_intervention
from optim.store import OPTIMIZERS, RunFolder, RunReader, open_run, read_attributes

PATIENCE_S = 10.0
"""How long the command waits for the run: in this process, it looks only between two evaluations."""
LOOK_S = 0.1


def steered(name: str, location: str | None) -> RunFolder:
    """The folder of a run that can be steered.

    Raises:
        RunNameError: There is no such run.
        SteeringError: It has ended.
    """
    folder = RunFolder.find(runs_location(location), name)
    attributes = read_attributes(folder.store)
    if attributes["status"] in ("finished", "failed"):
        raise SteeringError(f"{name} has ended: {attributes['reason']}; `shoal extend` gives it more to do")
    return folder


def by_whom() -> dict[str, Any]:
    """What every wish says: its id, who has it, and when."""
    return {"id": uuid.uuid4().hex, "by": this_person(), "at": datetime.now(UTC)}


def point_of(space: Space, values: Sequence[str]) -> tuple[float, ...]:
    """A point from `name=value` of some parameters; the others keep their initial values.

    Raises:
        SpaceError: A name is unknown, given twice or not free, a value is no number or outside its bounds, or a
            constraint is violated.
    """
    given: dict[str, float] = {}
    free = [parameter.name for parameter in space.free]
    for text in values:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or name not in free or name in given:
            raise SpaceError(f"given {text!r}; give PARAMETER=VALUE once for any of {', '.join(free)}")
        try:
            given[name] = float(value)
        except ValueError:
            raise SpaceError(f"{name} must be a number, and was given as {value!r}") from None
    asked = [{**space.named(space.initial), **given}[name] for name in space.names]
    x = space.to_physical(space.to_unit(asked))  # with tied parameters as they then are
    if violation := space.violation(x):
        raise SpaceError(violation)
    return tuple(x.tolist())


def ask(folder: RunFolder, wish: Intervention) -> None:
    """Ask something of a run, and say what has become of it.

    Raises:
        SteeringError: The run cannot do it.
        StoreError: The inbox cannot be written.
    """
    if isinstance(wish, StopOptimizer):
        _check_is_alive(open_run(folder.store), wish.optimizer)
    path = leave_wish(folder, wish)
    if folder.holder() is None:
        click.echo(
            f"Nobody works on {folder.name} now; it is done when the run goes on: {command_on(folder, 'resume')}"
        )
        return
    deadline_s = time.monotonic() + PATIENCE_S
    while path.exists():
        if time.monotonic() > deadline_s:
            click.echo(f"Asked; {folder.name} takes it when the evaluation that it makes now is over.")
            return
        time.sleep(LOOK_S)
    if not _is_done(open_run(folder.store), wish.id):
        raise SteeringError(f"{folder.name} could not {wish}; {folder.log} says why")
    click.echo(f"Done: {wish}.")


def _check_is_alive(reader: RunReader, number: int) -> None:
    ends = reader.columns(OPTIMIZERS)["end"].tolist()
    started = len(ends)
    if number > started:
        raise SteeringError(f"there is no optimizer {number}; {started} were started")
    if end := ends[number - 1]:
        raise SteeringError(f"optimizer {number} has ended already: {end}")


def _is_done(reader: RunReader, wish: str) -> bool:
    asked = (row for row in reader.event_rows() if row.kind is EventKind.INTERVENTION)
    return any(wish in row.data and read_intervention(row.data).id == wish for row in asked)
