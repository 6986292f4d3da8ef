"""What a store knows of its run: the settings, and the manager as the journal leaves it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from flows.run.provenance import provenance
from flows.settings import RunSettings
from optim.errors import DivergenceError, StoreError
from optim.journal import INPUT_KINDS, EventKind
from optim.manager import Manager
from optim.past import Extent, Past, accepted_pasts, read_pasts
from optim.replay import Replayed, replay
from optim.store import RunReader


def first_settings(reader: RunReader) -> RunSettings:
    """The settings that a run began with."""
    return _settings(reader.attributes["settings"])


def present_settings(reader: RunReader) -> RunSettings:
    """The settings of a run, with every change that was made."""
    changes = [row for row in reader.event_rows() if row.kind is EventKind.SETTINGS_CHANGED]
    return _settings(json.loads(changes[-1].data)["settings"]) if changes else first_settings(reader)


def replayed_run(reader: RunReader, accept_divergence: bool = False) -> tuple[Manager, Replayed]:
    """A run's manager, brought to where its journal ends.

    Args:
        reader: Of its store.
        accept_divergence: Let an optimizer that does something else than before go on from its best.

    Raises:
        DivergenceError: What computes here does something else; the message has the versions that differ. Or what was
            accepted cannot be, because an earlier shoal recorded it.
        DamagedStoreError: A chunk is missing or damaged.
    """
    accepted: list[int] = []
    while True:
        notes = (row for row in reader.event_rows() if row.kind not in INPUT_KINDS)
        try:
            manager = Manager(
                first_settings(reader), reader.space(), reader.attributes["seed"], _pasts(reader, accepted)
            )
            replayed = replay(manager, reader.journal(), notes, _settings)
        except DivergenceError as error:
            if not accept_divergence or error.optimizer in (0, *accepted):
                raise _explained(error, reader.attributes) from None
            accepted.append(error.optimizer)
        else:
            return manager, replayed._replace(accepted=tuple(accepted))


def _pasts(reader: RunReader, accepted: Iterable[int]) -> dict[int, Past]:
    extents = accepted_pasts(reader.event_rows()) | dict.fromkeys(accepted, Extent())
    if not extents:
        return {}
    return read_pasts(extents, reader.evaluation_rows(), reader.event_rows(), reader.space())


def _explained(error: DivergenceError, attributes: Mapping[str, Any]) -> DivergenceError:
    advice = ""
    if error.optimizer:
        advice = f"; with --accept-divergence, optimizer {error.optimizer} goes on from its best"
    return DivergenceError(f"{error}; {_what_differs(attributes)}{advice}", error.optimizer)


def _settings(data: Mapping[str, Any]) -> RunSettings:
    try:
        return RunSettings.model_validate(data)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(f"the settings in the store cannot be read: {place}: {first['msg']}") from fault


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
