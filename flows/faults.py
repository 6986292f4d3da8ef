"""All that is wrong with some settings, in one message that helps.

Each fault says where it is, what was given, what is allowed and, for a misspelt word, the nearest valid one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from optim.errors import ShoalError
from optim.registry import KINDS, catalogue
from optim.strategy import ContradictionsError

Path = tuple[str | int, ...]
"""Where a setting is: keys, and for repeated blocks their place, counted from 0."""

Places = Mapping[Path, str]
"""Where each setting was given, as `line 12` or `--set seed`."""


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


def faults_of(error: ValidationError, model: type[BaseModel], places: Places) -> list[Fault]:
    """What pydantic found in settings of a model, in words for people, in the order of the file."""
    return [fault for detail in error.errors() for fault in _faults(detail, model, places)]


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint that ends a message about an unknown word."""
    known = sorted(allowed)
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}?" if near else f"allowed are {', '.join(known)}"


class _Location(NamedTuple):
    """Where pydantic found a fault: the path without the tags of unions, and the models around its end."""

    path: Path
    holder: type[BaseModel] | None
    inside: type[BaseModel] | None


def _faults(detail: ErrorDetails, model: type[BaseModel], places: Places) -> Iterator[Fault]:
    location = _locate(detail["loc"], model)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ContradictionsError):
        for setting, message in cause.contradictions:
            yield _fault((*location.path, setting), message, places)
    else:
        is_type = detail["type"] == "union_tag_invalid"
        path = (*location.path, "type") if is_type else location.path
        yield _fault(path, _message(detail, location), places)


def _fault(path: Path, message: str, places: Places) -> Fault:
    place = next((places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in places), "")
    words: list[str] = []
    for part in path:
        if isinstance(part, int) and words:
            words[-1] += f" {part + 1}"
        else:
            words.append(str(part))
    return Fault(place, ", ".join(words), message)


def _message(detail: ErrorDetails, location: _Location) -> str:
    given = detail["input"]
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            word = str(location.path[-1])
            return f"unknown key {word!r}; {nearest(word, _keys(location.holder))}"
        case "union_tag_invalid":
            allowed = [word.strip("'") for word in context["expected_tags"].split(", ")]
            return f"unknown type {context['tag']!r}; {nearest(context['tag'], allowed)}"
        case "union_tag_not_found" if location.inside in KINDS:
            return f"has no type; allowed are {', '.join(catalogue(location.inside))}"
        case "literal_error":
            return f"given {given!r}; allowed are {context['expected']}"
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
            holder, field = inside, _field(inside, part)
            inside = _model_in(field.annotation) if field else None
    return _Location(tuple(path), holder, inside)


def _field(model: type[BaseModel] | None, key: str) -> FieldInfo | None:
    for name, field in (model.model_fields if model else {}).items():
        if key == name or key in _aliases(field):
            return field
    return None


def _keys(model: type[BaseModel] | None) -> list[str]:
    """The keys of a model as run files spell them."""
    fields = model.model_fields if model else {}
    return [next(iter(_aliases(field)), name) for name, field in fields.items()]


def _aliases(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []
    return [str(choice) for choice in choices]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
