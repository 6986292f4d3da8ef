"""Writes settings in ParAMS' block syntax, as `flows.run_files.block_syntax` reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flows.run_files.block_values import (
    Shape,
    form_of,
    text_in_toml,
    text_of_row,
    text_of_value,
    text_of_values,
)
from flows.run_files.given import given_settings
from flows.run_files.names import Setting, camel_case, settings_of
from flows.settings import RunSettings
from optim.condition import Condition
from optim.options import Options, Policy

_BARE_KEY = re.compile(r"[\w.-]+")
_INDENT = "   "


def to_blocks(settings: RunSettings) -> str:
    """Settings as text."""
    lines: list[str] = []
    for setting, value in given_settings(settings):
        for written in _written(setting, value):
            if len(written) > 1:
                lines.append("")
            lines += written
    return "\n".join(lines).lstrip("\n") + "\n"


def _written(setting: Setting, value: Any) -> Iterator[list[str]]:
    """The lines of a setting; of repeated ones, those of each item."""
    title = camel_case(setting.key)
    shape, kind = form_of(setting.field.annotation)
    if isinstance(value, Options | Mapping):
        yield _block(title, _inside(value))
    elif not isinstance(value, tuple | list):
        yield [f"{title} {text_of_value(value, kind)}"]
    elif shape is Shape.BLOCKS:
        yield from (_block(title, _inside(item)) for item in value)
    elif shape is Shape.ROWS:
        yield _block(title, map(text_of_row, value))
    elif setting.is_repeated:
        yield from ([f"{title} {text_of_value(item, kind)}"] for item in value)
    else:
        yield [f"{title} {text_of_values(value, kind)}"]


def _block(title: str, inside: Iterable[str]) -> list[str]:
    return [title, *(_INDENT + line for line in inside), "End"]


def _inside(value: Options | Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _table(value)
    elif isinstance(value, Policy):
        yield from _policy(value)
    else:
        yield from _options(value)


def _options(options: Options) -> Iterator[str]:
    for setting, value in given_settings(options):
        for written in _written(setting, value):
            yield from written


def _policy(policy: Policy) -> Iterator[str]:
    name = policy.type_name()
    yield f"Type {name}"
    given = list(given_settings(policy))
    if given and isinstance(policy, Condition) and len(settings_of(type(policy))) == 1:
        [(setting, value)] = given
        yield f"{name} {text_of_value(value, setting.field.annotation)}"  # as ParAMS: TimeLimit 3600
    elif given:
        yield from _block(name, _options(policy))


def _table(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        is_bare = _BARE_KEY.fullmatch(key) and key.casefold() != "end"
        title = key if is_bare else text_in_toml(key)
        if isinstance(value, Mapping):
            yield from _block(title, _table(value))
        else:
            yield f"{title} {text_of_value(value, Any)}"
