"""What settings say that their defaults do not: what a run file has to hold to give them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flows.run_files.faults import Path
from flows.run_files.names import Setting, settings_of
from optim.options import Options, Policy
from optim.space import Parameter

MAX_DEPTH = 24
"""Tables and lists within each other that every format can hold; see `flows.run_files.block_lines.MAX_DEPTH`."""

FIRST = ("problem", "seed", "parallel_optimizers")
"""Settings that stand at the top of a run file."""

FIRST_BLOCKS = ("parameters", "generator", "optimizers")
"""Blocks that stand before the others."""


def given_settings(options: Options) -> Iterator[tuple[Setting, Any]]:
    """Every setting that was given, with its value, in the order in which people read them; blocks last."""
    given = [setting for setting in settings_of(type(options)) if setting.name in options.model_fields_set]
    values = [(setting, getattr(options, setting.name)) for setting in given]
    # A None that is the default need not be said, but in a parameter, which takes back what the problem's own has.
    is_change = isinstance(options, Parameter)
    said = [
        (setting, value)
        for setting, value in values
        if is_change or value is not None or setting.field.default is not None
    ]
    return iter(sorted(said, key=_order))


def as_plain_data(value: Any) -> Any:
    """Settings, or anything in them, as tables and lists of new objects."""
    if isinstance(value, Options):
        name = {"type": value.type_name()} if isinstance(value, Policy) else {}
        return {**name, **{setting.key: as_plain_data(inner) for setting, inner in given_settings(value)}}
    if isinstance(value, Mapping):
        return {key: as_plain_data(item) for key, item in value.items()}
    return [as_plain_data(item) for item in value] if isinstance(value, list | tuple) else value


def misfits(data: Any, scalars: tuple[type, ...], path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What in plain data no run file could hold.

    Args:
        data: Tables, lists and scalars.
        scalars: The types of scalars that it may hold.
        path: Where the data is.

    Yields:
        Where something is, and what.
    """
    if len(path) > MAX_DEPTH:
        yield path, "is nested too deeply"
        return
    if isinstance(data, Mapping):
        yield from ((path, f"the key {key!r} is no text") for key in data if not isinstance(key, str))
        items: Iterable[tuple[Any, Any]] = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    else:
        if not isinstance(data, scalars):
            yield path, f"the value {data!r} cannot be written; leave it out, or take another format"
        return
    for key, item in items:
        yield from misfits(item, scalars, (*path, key if isinstance(key, int) else str(key)))


def is_block(value: Any) -> bool:
    """Whether a setting is written over several lines."""
    items = value if isinstance(value, tuple | list) else [value]
    return any(isinstance(item, Options | Mapping) for item in items)


def _order(given: tuple[Setting, Any]) -> tuple[bool, int]:
    setting, value = given
    first = FIRST_BLOCKS if is_block(value) else FIRST
    return is_block(value), first.index(setting.name) if setting.name in first else len(first)
