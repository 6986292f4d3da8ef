"""Changing the rules of a run between its sessions: an event in its journal, which every later replay follows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError

from flows.run.provenance import this_person
from flows.run.stored import present_settings
from flows.run_files.faults import Fault, InvalidSettingsError, Places, faults_of, located
from flows.run_files.given import as_plain_data
from flows.run_files.overrides import override
from flows.settings import RunSettings
from optim.journal import EventKind, EventRow
from optim.store import EVALUATIONS, RunFolder, RunReader, RunWriter, open_run
from optim.strategy import Contradiction, ContradictionsError

FIXED = ("problem", "seed", "parameters", "constraints", "baseline")
"""Settings that a run keeps: with others it would be another run."""


def extend(folder: RunFolder, overrides: Sequence[str]) -> RunSettings:
    """Change the settings of a run that nobody works on; whoever resumes it goes on by the new ones.

    Args:
        folder: Of the run.
        overrides: `key=value`; see `flows.run_files.overrides`.

    Returns:
        The new settings.

    Raises:
        InvalidSettingsError: With every fault.
        RunLockedError: Somebody works on it.
        StoreError: It cannot be read or written.
    """
    with folder.lock():
        reader = open_run(folder.store)
        before = present_settings(reader)
        after = _changed(before, overrides, f"run {folder.name}", reader)
        if after == before:
            return after
        text = f"{', '.join(overrides)} (by {this_person()})"
        data = json.dumps({"settings": after.model_dump(mode="json")})
        inputs = sum(1 for _ in reader.journal())
        evaluations = reader.size(EVALUATIONS)
        with RunWriter.resume(folder.store) as writer:
            writer.add_event(EventRow(inputs, evaluations, EventKind.SETTINGS_CHANGED, text=text, data=data))
            reason = f"the settings were changed: {text}"
            writer.set_attributes(status="paused", reason=reason, exit_conditions="")
    return after


def _changed(before: RunSettings, overrides: Sequence[str], source: str, reader: RunReader) -> RunSettings:
    given, places = as_plain_data(before), Places()
    faults = override(given, places, overrides)
    try:
        after = RunSettings.model_validate(given)
    except ValidationError as error:
        raise InvalidSettingsError(source, [*faults, *faults_of(error, RunSettings, places)]) from None
    fixed = [name for name in FIXED if getattr(after, name) != getattr(before, name)]
    if after.store.location != before.store.location:
        fixed.append("store.location")
    faults += [Fault(places.nearest((name,)), name, "cannot be changed; start another run") for name in fixed]
    if faults:
        raise InvalidSettingsError(source, faults)
    with located(source, places):
        found: list[Contradiction] = list(after.contradictions_in(reader.space()))
        if found:
            raise ContradictionsError(found)
    return after
