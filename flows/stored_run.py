"""What a store knows of its run: the settings, and the manager as the journal leaves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flows.provenance import provenance
from flows.settings import RunSettings
from optim.errors import DivergenceError
from optim.journal import INPUT_KINDS, EventKind
from optim.manager import Manager
from optim.replay import Replayed, replay
from optim.store import RunReader


def first_settings(reader: RunReader) -> RunSettings:
    """The settings that a run began with."""
    return _settings(reader.attributes["settings"])


def present_settings(reader: RunReader) -> RunSettings:
    """The settings of a run, with every change that was made."""
    changes = [row for row in reader.event_rows() if row.kind is EventKind.SETTINGS_CHANGED]
    return _settings(json.loads(changes[-1].data)["settings"]) if changes else first_settings(reader)


def replayed_run(reader: RunReader) -> tuple[Manager, Replayed]:
    """A run's manager, brought to where its journal ends.

    Raises:
        DivergenceError: What computes here does something else; the message has the versions that differ.
        DamagedStoreError: A chunk is missing or damaged.
    """
    manager = Manager(first_settings(reader), reader.space(), reader.attributes["seed"])
    notes = (row for row in reader.event_rows() if row.kind not in INPUT_KINDS)
    try:
        return manager, replay(manager, reader.journal(), notes, _settings)
    except DivergenceError as error:
        raise DivergenceError(f"{error}; {_what_differs(reader.attributes)}") from None


def _settings(data: Mapping[str, Any]) -> RunSettings:
    return RunSettings.model_validate(data)


def _what_differs(attributes: Mapping[str, Any]) -> str:
    now = provenance()
    differences = [
        f"{name} was {before}, and is {now['versions'].get(name)}"
        for name, before in attributes.get("versions", {}).items()
        if now["versions"].get(name) != before
    ]
    if attributes.get("blas") != now["blas"]:
        differences.append(f"linear algebra was {attributes.get('blas')}, and is {now['blas']}")
    return "; ".join(differences) or "versions and linear algebra are those that it began with"
