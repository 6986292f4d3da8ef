"""Reads a run file (TOML or YAML), with the line of every setting, and overrides from the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from flows.faults import Fault, InvalidSettingsError, Path, faults_of
from flows.settings import RunSettings

_ARRAY_HEADER = re.compile(r"\s*\[\[([^\[\]]+)\]\]")
_TABLE_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"""\s*([\w.\-"' ]+?)\s*=""")
_YAML_SUFFIXES = frozenset({".yaml", ".yml"})


class RunFile(NamedTuple):
    """What a run file says.

    Attributes:
        name: The file's name, for messages.
        text: As it was given.
        given: Its settings, not yet checked.
        places: The line of each.
    """

    name: str
    text: str
    given: dict[str, Any]
    places: dict[Path, str]


def read_settings(path: FilePath, overrides: Sequence[str] = ()) -> tuple[RunFile, RunSettings]:
    """Read and check a run file.

    Args:
        path: `.yaml` and `.yml` are YAML, everything else is TOML.
        overrides: `key=value`, such as `seed=3`, `generator.type=Random` or `exit_condition.1.max=500` (repeated
            blocks are counted from 1); they win over the file.

    Raises:
        InvalidSettingsError: With every fault.
    """
    file = parse(path)
    faults = [fault for text in overrides if (fault := _override(file, text))]
    try:
        settings = RunSettings.model_validate(file.given)
    except ValidationError as error:
        faults += faults_of(error, RunSettings, file.places)
    if faults:
        raise InvalidSettingsError(file.name, faults)
    return file, settings


def parse(path: FilePath) -> RunFile:
    """Read a run file without checking its settings.

    Raises:
        InvalidSettingsError: It cannot be read, or is neither TOML nor YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSettingsError(str(path), [Fault("", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise InvalidSettingsError(str(path), [Fault("", "", "is not a text file in UTF-8")]) from None
    try:
        given, places = _from_yaml(text) if path.suffix in _YAML_SUFFIXES else _from_toml(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise InvalidSettingsError(str(path), [Fault("", "", " ".join(str(error).split()))]) from None
    if not isinstance(given, dict):
        raise InvalidSettingsError(str(path), [Fault("", "", "must hold settings as key = value")])
    return RunFile(str(path), text, given, places)


def _from_toml(text: str) -> tuple[dict[str, Any], dict[Path, str]]:
    given = tomllib.loads(text)
    places: dict[Path, str] = {}
    blocks: dict[str, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _ARRAY_HEADER.match(line):
            name = header[1].strip()
            blocks[name] = blocks.get(name, -1) + 1
            table = (*_keys(name), blocks[name])
            places[table] = f"line {number}"
        elif header := _TABLE_HEADER.match(line):
            table = _keys(header[1])
            places[table] = f"line {number}"
        elif key := _KEY.match(line):
            places.setdefault((*table, *_keys(key[1])), f"line {number}")
    return given, places


def _keys(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _from_yaml(text: str) -> tuple[Any, dict[Path, str]]:
    places: dict[Path, str] = {}

    def visit(node: yaml.Node | None, path: Path) -> None:
        if node is None:
            return
        places.setdefault(path, f"line {node.start_mark.line + 1}")
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inside = (*path, str(key.value))
                places[inside] = f"line {key.start_mark.line + 1}"
                visit(value, inside)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                visit(value, (*path, number))

    visit(yaml.compose(text, Loader=yaml.SafeLoader), ())
    return yaml.safe_load(text), places


def _override(file: RunFile, text: str) -> Fault | None:
    """Put one `key=value` into the settings; what is wrong with it, if anything."""
    place = f"--set {text}"
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        return Fault(place, "", "must be key=value, as in parallel_optimizers=4")
    path: Path = tuple(int(part) - 1 if part.isdigit() else part for part in key.strip().split("."))
    try:
        _put(file.given, path, _value(value.strip()))
    except LookupError as error:
        return Fault(place, "", str(error.args[0]))
    file.places[path] = place
    return None


def _put(holder: Any, path: Path, value: Any) -> None:
    """Set a value deep inside settings, making tables that are not there."""
    part, *rest = path
    if isinstance(holder, list):
        if not (isinstance(part, int) and 0 <= part < len(holder)):
            raise LookupError(f"there are {len(holder)} such blocks, numbered from 1")
    elif not (isinstance(holder, dict) and isinstance(part, str)):
        raise LookupError("is not a setting; name one by its keys, as in exit_condition.1.max=500")
    elif rest:
        holder.setdefault(part, {})
    if rest:
        _put(holder[part], tuple(rest), value)
    else:
        holder[part] = value


def _value(text: str) -> Any:
    """A TOML value, or else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
