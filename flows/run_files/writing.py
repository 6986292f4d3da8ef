"""Writes settings as the text of a run file: TOML, YAML or ParAMS' blocks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from types import MappingProxyType, NoneType
from typing import Any

import tomli_w
import yaml

from flows.run_files.block_text import to_blocks
from flows.run_files.given import as_plain_data, is_block, misfits
from flows.run_files.reading import Format
from flows.settings import RunSettings
from optim.strategy import Contradiction, ContradictionsError

_SCALARS: Mapping[Format, tuple[type, ...]] = MappingProxyType(
    {
        "toml": (bool, int, float, str, date, time),
        "yaml": (bool, int, float, str, date, NoneType),
        "blocks": (bool, int, float, str, date, time),
    }
)


class _YamlDumper(yaml.SafeDumper):
    """Escapes what is not printable; PyYAML itself writes some line breaks of Unicode's so that they are lost."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_YamlDumper.add_representer(str, _YamlDumper.represent_str)


def run_text(settings: RunSettings, to: Format) -> str:
    """Text that gives these settings when it is read.

    Args:
        settings: What they do not say themselves is left to the defaults.
        to: What to write.

    Raises:
        ContradictionsError: They hold a value that the format has not, as TOML has no null.
    """
    data = as_plain_data(settings)
    faults = [Contradiction(path, message) for path, message in misfits(data, _SCALARS[to])]
    if faults:
        raise ContradictionsError(faults)
    text = _written(settings, data, to)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ContradictionsError([Contradiction((), f"no text in UTF-8: {error.reason}")]) from None
    return text


def _written(settings: RunSettings, data: Mapping[str, Any], to: Format) -> str:
    match to:
        case "toml":
            return _toml(data)
        case "yaml":
            return yaml.dump(data, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True)
        case "blocks":
            return to_blocks(settings)


def _toml(data: Mapping[str, Any]) -> str:
    """TOML with `[[stopper]]` blocks, where tomli-w itself prefers inline tables."""
    blocks = {key: value for key, value in data.items() if is_block(value)}
    parts = [tomli_w.dumps({key: value for key, value in data.items() if key not in blocks})]
    for key, value in blocks.items():
        if isinstance(value, list):
            parts += [
                f"[[{key}]]\n" + tomli_w.dumps({key: item}).removeprefix(f"[{key}]\n") for item in value
            ]
        else:
            parts.append(tomli_w.dumps({key: value}))
    return "\n".join(parts)
