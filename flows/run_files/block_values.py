"""Values in ParAMS' block syntax: text to a value of the type that a setting has, and back."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

QUOTED = r"""(?<![\w"'])(?:"(?:[^"\\]|\\.)*"|'[^']*')"""
"""A quoted text, as TOML has it: between double quotes backslashes are escapes. An apostrophe in a word is none."""

_QUOTED = re.compile(QUOTED)
_WORD = re.compile(rf"{QUOTED}|[^\s,]+")
_UNSAFE = re.compile(r"""[#!"'{]""")
_TOML_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Shape(Enum):
    """How a setting is written."""

    VALUE = auto()
    """`Key value`."""
    VALUES = auto()
    """`Key value value value`."""
    TABLE = auto()
    """A block of any keys."""
    ROWS = auto()
    """A block with a list of values, or a table, on each line."""
    BLOCK = auto()
    """A block of known keys."""
    BLOCKS = auto()
    """Such a block for each item of a list."""


class Form(NamedTuple):
    """How a setting is written, and the type of its value; of lists, the type of the items."""

    shape: Shape
    kind: Any


def form_of(annotation: Any) -> Form:
    """How a setting of that type is written."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return form_of(inner[0])
    if origin in (Union, types.UnionType):
        forms = map(form_of, inner)
        return next((form for form in forms if form.shape is not Shape.VALUE), Form(Shape.VALUE, annotation))
    outer = origin if isinstance(origin, type) else annotation
    if not isinstance(outer, type) or issubclass(outer, str):
        return Form(Shape.VALUE, annotation)
    if issubclass(outer, BaseModel):
        return Form(Shape.BLOCK, annotation)
    if issubclass(outer, Mapping):
        return Form(Shape.TABLE, annotation)
    if issubclass(outer, Sequence):
        item = inner[0] if inner else Any
        lists = {Shape.VALUE: Shape.VALUES, Shape.BLOCK: Shape.BLOCKS}
        return Form(lists.get(form_of(item).shape, Shape.ROWS), item)
    return Form(Shape.VALUE, annotation)


def unquoted(text: str) -> str | None:
    """What stands between quotes; None: the text is not quoted."""
    if not _QUOTED.fullmatch(text):
        return None
    value = toml_value(text)
    return value if isinstance(value, str) and value != text else text[1:-1]


def toml_value(text: str) -> Any:
    """A TOML value, or else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # ValueError: also an integer of too many digits
        return text


def value_of(text: str, kind: Any) -> Any:
    """A value of that type, or else the text itself, so that the setting can say what is wrong with it."""
    quoted = unquoted(text)
    kinds = list(_alternatives(kind))
    for word in (word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)):
        if str(word).casefold() == (text if quoted is None else quoted).casefold():
            return word
    if quoted is not None:
        return quoted
    if (bool in kinds or Any in kinds) and text.casefold() in _BOOLEANS:
        return _BOOLEANS[text.casefold()]
    for number in (int, float):
        if number in kinds:
            try:
                return number(text)
            except ValueError:
                continue
    return toml_value(text) if Any in kinds else text


def values_of(text: str, kind: Any) -> list[Any]:
    """Values of that type, with blanks or commas between them, or in brackets as a TOML array."""
    listed = toml_value(text) if text.startswith("[") else None
    return listed if isinstance(listed, list) else [value_of(word, kind) for word in _WORD.findall(text)]


def row_of(text: str) -> Any:
    """A line of numbers, or a table as `{a = 1.0, b = 2.0}`."""
    return toml_value(text) if text.startswith("{") else values_of(text, Any)


def text_of_value(value: Any, kind: Any) -> str:
    """What `value_of` reads as that value."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    is_bare = isinstance(value, str) and _is_safe(value) and value_of(value, kind) == value
    return str(value) if is_bare else text_in_toml(value)


def text_of_values(values: Sequence[Any], kind: Any) -> str:
    """What `values_of` reads as those values."""
    text = " ".join(map(str, values))
    is_bare = _is_safe(text) and values_of(text, kind) == list(values)
    return text if is_bare else text_in_toml(values)


def text_of_row(row: Any) -> str:
    """What `row_of` reads as that row."""
    return text_in_toml(row) if isinstance(row, Mapping) else text_of_values(row, Any)


def text_in_toml(value: Any) -> str:
    """A value as TOML, on one line."""
    import tomli_w

    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{_toml_key(key)} = {text_in_toml(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(text_in_toml, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")


def _toml_key(key: str) -> str:
    return key if _TOML_KEY.fullmatch(key) else text_in_toml(key)


def _is_safe(text: str) -> bool:
    """Whether text that is not quoted is left alone by the reading of lines."""
    is_line = text.isprintable() and text == text.strip() and text.casefold() not in ("", "end")
    return is_line and not _UNSAFE.search(text)


def _alternatives(kind: Any) -> Iterator[Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _alternatives(inner[0])
    elif origin in (Union, types.UnionType):
        for part in inner:
            yield from _alternatives(part)
    else:
        yield kind
