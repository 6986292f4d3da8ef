"""Settings given on the command line, as `key=value`; they win over what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from flows.run_files.block_values import toml_value
from flows.run_files.faults import Fault, Path, Places

_NUMBER = re.compile("[0-9]{1,9}")


def override(given: dict[str, Any], places: Places, texts: Sequence[str]) -> list[Fault]:
    """Put settings into those of a run file.

    Args:
        given: Of the run file; changed.
        places: Of each; added to.
        texts: Each a `key=value`; keys go deeper by dots, and repeated blocks are counted from 1. The number after
            the last one adds a whole block, as in `stopper.2={type='MaxFunctionCalls', max=200}`.

    Returns:
        What is wrong with them.
    """
    return [fault for text in texts for fault in _override(given, places, text)]


def _override(given: dict[str, Any], places: Places, text: str) -> Iterator[Fault]:
    place = f"--set {text}"
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        yield Fault(place, "", "must be key=value, as in parallel_optimizers=4")
        return
    path: Path = tuple(int(part) - 1 if _NUMBER.fullmatch(part) else part for part in key.strip().split("."))
    try:
        _put(given, path, toml_value(value.strip()))
    except LookupError as error:
        yield Fault(place, "", str(error.args[0]))
    else:
        places[path] = place


def _put(holder: Any, path: Path, value: Any) -> None:
    """Set a value deep inside settings, making tables and lists that are not there."""
    part, *rest = path
    if isinstance(holder, list):
        if part == len(holder) and not rest:
            holder.append(value)
        if not (isinstance(part, int) and 0 <= part < len(holder)):
            raise LookupError(f"there are {len(holder)} such blocks, numbered from 1")
    elif not (isinstance(holder, dict) and isinstance(part, str)):
        raise LookupError("is not a setting; name one by its keys, as in exit_condition.1.max=500")
    elif rest:
        holder.setdefault(part, [] if isinstance(rest[0], int) else {})
    if rest:
        _put(holder[part], tuple(rest), value)
    else:
        holder[part] = value
