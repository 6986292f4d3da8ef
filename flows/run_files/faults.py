"""All that is wrong with some settings, in one message that helps.

Each fault says where it is, what was given, what is allowed and, for a misspelt word, the nearest valid one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.run_files.names import find_setting, model_in, settings_of
from optim.errors import ShoalError
from optim.registry import KINDS, catalogue
from optim.strategy import Contradiction, ContradictionsError

Path = tuple[str | int, ...]
"""Where a setting is: keys, and for repeated blocks their place, counted from 0."""


class Places(dict[Path, str]):
    """Where each setting was given, as `line 12` or `--set seed`.

    Args:
        spell: How the file spells the name of a setting that settings call in snake_case.
    """

    def __init__(self, spell: Callable[[str], str] = str) -> None:
        super().__init__()
        self.spell = spell

    def name_of(self, path: Path) -> str:
        """A setting as people call it: `stopper 1, tolerance`."""
        words: list[str] = []
        for part in path:
            if isinstance(part, int) and words:
                words[-1] += f" {part + 1}"
            else:
                words.append(self.spell(str(part)))
        return ", ".join(words)

    def nearest(self, path: Path) -> str:
        """Where the setting was given, or else the nearest thing around it; empty: unknown."""
        for end in range(len(path), 0, -1):
            first, *rest = path[:end]
            for key in (first, f"{first}s"):  # lists may be given in the plural
                if (key, *rest) in self:
                    return self[key, *rest]
        return ""


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        place: Where it was given, as `line 12`; empty: unknown.
        setting: The setting, as `stopper 1, tolerance`.
        message: What was given, what is allowed.
    """

    place: str
    setting: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (", ".join(filter(None, self[:2])), self.message) if part)


class InvalidSettingsError(ShoalError):
    """Settings that cannot be used; the message lists every fault.

    Args:
        source: What was read: a file's name.
        faults: At least one.
    """

    def __init__(self, source: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        super().__init__(f"{source}: {count}; nothing was started{lines}")


def faults_of(
    error: ValidationError, model: type[BaseModel], places: Places, ignored: Container[str] = ()
) -> list[Fault]:
    """What pydantic found in settings of a model, in words for people, in the order of the file.

    Args:
        error: From validating them.
        model: What they should be.
        places: Where each was given.
        ignored: What is no fault here, by pydantic's types of errors.
    """
    details = (detail for detail in error.errors() if detail["type"] not in ignored)
    return [fault for detail in details for fault in _faults(detail, model, places)]


def contradictions_beside(
    error: ValidationError, model: type[BaseModel], given: Any, places: Places
) -> list[Fault]:
    """What else is wrong with settings: contradictions among those in which pydantic found no fault by itself.

    Args:
        error: From validating them.
        model: What they should be.
        given: The settings. They are looked at again without what was faulty, where that can be left out.
        places: Where each was given.
    """
    rest = copy.deepcopy(given)
    for detail in error.errors():
        _leave_out(rest, _locate(detail["loc"], model).path)
    if any(key in given and key not in rest for key in _REFERRED_TO):
        return []
    try:
        model.model_validate(rest)
    except ValidationError as second:
        causes = [detail.get("ctx", {}).get("error") for detail in second.errors()]
        if all(isinstance(cause, ContradictionsError) for cause in causes):
            return faults_of(second, model, places)
    return []


def _leave_out(holder: Any, path: Path) -> None:
    """Take out a setting that is there, or else the block around it that can be left out."""
    tables = [holder]
    for key in path[:-1]:
        try:
            tables.append(tables[-1][key])
        except (LookupError, TypeError):
            break
    for table, key in reversed(list(zip(tables, path, strict=False))):
        if isinstance(table, dict) and key in table:
            del table[key]
            return


def faults_at(found: Iterable[Contradiction], places: Places) -> list[Fault]:
    """Contradictions or advice, with the places of what was read."""
    return [_fault(path, message, places) for path, message in found]


@contextmanager
def located(source: str, places: Places) -> Iterator[None]:
    """Give contradictions the places of what was read.

    Raises:
        InvalidSettingsError: In place of a `ContradictionsError`.
    """
    try:
        yield
    except ContradictionsError as error:
        raise InvalidSettingsError(source, faults_at(error.contradictions, places)) from None


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint that ends a message about an unknown word."""
    known = sorted(allowed)
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}?" if near else f"allowed are {', '.join(known)}"


_REFERRED_TO = frozenset(
    name for kind in ("optimizer", "stopper", "exit_condition") for name in (kind, f"{kind}s")
) | {"validation"}
"""Blocks that other settings count or name: without them those would seem to be wrong."""


class _Location(NamedTuple):
    """Where pydantic found a fault: the path without the tags of unions, and the models around its end."""

    path: Path
    holder: type[BaseModel] | None
    inside: type[BaseModel] | None


def _faults(detail: ErrorDetails, model: type[BaseModel], places: Places) -> Iterator[Fault]:
    location = _locate(detail["loc"], model)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ContradictionsError):
        for path, message in cause.contradictions:
            yield _fault((*location.path, *path), message, places)
    else:
        is_type = detail["type"] == "union_tag_invalid"
        path = (*location.path, "type") if is_type else location.path
        yield _fault(path, _message(detail, location, places.spell), places)


def _fault(path: Path, message: str, places: Places) -> Fault:
    return Fault(places.nearest(path), places.name_of(path), message)


def _message(detail: ErrorDetails, location: _Location, spell: Callable[[str], str]) -> str:
    given = detail["input"]
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            word = str(location.path[-1])
            known = settings_of(location.holder) if location.holder else []
            return f"unknown key {word!r}; {nearest(word, (spell(setting.key) for setting in known))}"
        case "union_tag_invalid":
            allowed = [word.strip("'") for word in context["expected_tags"].split(", ")]
            return f"unknown type {context['tag']!r}; {nearest(context['tag'], allowed)}"
        case "union_tag_not_found" if location.inside in KINDS:
            return f"has no type; allowed are {', '.join(catalogue(location.inside))}"
        case "literal_error":
            return f"given {given!r}; allowed are {context['expected']}"
        case "tuple_type":
            return f"given {_short(given)}; input should be a list, in brackets"
        case "value_error":
            return str(context["error"])
        case _:
            message = detail["msg"]
            return f"given {_short(given)}; {message[0].lower()}{message[1:]}"


def _short(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _locate(loc: Sequence[str | int], model: type[BaseModel]) -> _Location:
    path: list[str | int] = []
    holder: type[BaseModel] | None = None
    inside: type[BaseModel] | None = model
    for part in loc:
        if inside in KINDS and isinstance(part, str):
            inside = catalogue(inside).get(part)
            continue
        path.append(part)
        if isinstance(part, str):
            holder, found = inside, find_setting(inside, part) if inside else None
            inside = model_in(found.field.annotation) if found else None
    return _Location(tuple(path), holder, inside)
