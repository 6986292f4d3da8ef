"""Reads a run file (TOML, YAML or blocks), with the line of every setting, and overrides from the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import ValidationError

from flows.run_files.block_lines import BlockSyntaxError
from flows.run_files.block_syntax import read_blocks
from flows.run_files.faults import Fault, InvalidSettingsError, Path, Places, contradictions_beside, faults_of
from flows.run_files.overrides import override
from flows.settings import RunSettings

_ARRAY_HEADER = re.compile(r"\s*\[\[([^\[\]]+)\]\]")
_TABLE_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"""\s*([\w.\-"' ]+?)\s*=""")
_NUMBER = re.compile("[0-9]{1,9}")

Format = Literal["toml", "yaml", "blocks"]
"""What run files are written in; blocks are ParAMS' `Name ... End`."""

SUFFIXES: Mapping[str, Format] = MappingProxyType(
    {".yaml": "yaml", ".yml": "yaml", ".in": "blocks", ".inp": "blocks", ".params": "blocks"}
)
"""How a run file is read by its suffix; any other is TOML."""


class RunFile(NamedTuple):
    """What a run file says.

    Attributes:
        name: The file's name, for messages.
        text: As it was given.
        given: Its settings, not yet checked.
        places: The line of each.
        faults: What is wrong with it already.
    """

    name: str
    text: str
    given: dict[str, Any]
    places: Places
    faults: tuple[Fault, ...] = ()


def read_settings(path: FilePath, overrides: Sequence[str] = ()) -> tuple[RunFile, RunSettings]:
    """Read and check a run file.

    Args:
        path: Of the run file; its suffix tells its format, see `SUFFIXES`.
        overrides: `key=value`, such as `seed=3`, `generator.type=Random` or `exit_condition.1.max=500` (repeated
            blocks are counted from 1); they win over the file.

    Raises:
        InvalidSettingsError: With every fault.
    """
    file = parse(path)
    faults = [*file.faults, *override(file.given, file.places, overrides)]
    try:
        settings = RunSettings.model_validate(file.given)
    except ValidationError as error:
        faults += faults_of(error, RunSettings, file.places)
        faults += [
            fault
            for fault in contradictions_beside(error, RunSettings, file.given, file.places)
            if fault not in faults
        ]
    if faults:
        raise InvalidSettingsError(file.name, sorted(faults, key=_line))
    return file, settings


def parse(path: FilePath) -> RunFile:
    """Read a run file without checking its settings.

    Raises:
        InvalidSettingsError: It cannot be read, or is not in the format that its suffix says.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidSettingsError(str(path), [Fault("", "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise InvalidSettingsError(str(path), [Fault("", "", "is not a text file in UTF-8")]) from None
    faults: list[Fault] = []
    try:
        match format_of(path):
            case "toml":
                given, places = _from_toml(text)
            case "yaml":
                given, places = _from_yaml(text)
            case "blocks":
                given, places, faults = read_blocks(text)
    except (ValueError, yaml.YAMLError) as error:  # ValueError: also a date that is none
        raise InvalidSettingsError(str(path), [Fault("", "", " ".join(str(error).split()))]) from None
    except BlockSyntaxError as error:
        raise InvalidSettingsError(str(path), error.faults) from None
    except RecursionError:
        raise InvalidSettingsError(str(path), [Fault("", "", "is nested too deeply")]) from None
    if not isinstance(given, dict):
        raise InvalidSettingsError(str(path), [Fault("", "", "must hold settings as key = value")])
    return RunFile(str(path), text, given, places, tuple(faults))


def format_of(path: FilePath) -> Format:
    """What a run file of that name is written in."""
    return SUFFIXES.get(path.suffix.lower(), "toml")


def _line(fault: Fault) -> int:
    """Its line; 0 where it has none."""
    number = fault.place.removeprefix("line ")
    return int(number) if _NUMBER.fullmatch(number) else 0


def _from_toml(text: str) -> tuple[dict[str, Any], Places]:
    given = tomllib.loads(text)
    places = Places()
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


def _from_yaml(text: str) -> tuple[Any, Places]:
    places = Places()

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
