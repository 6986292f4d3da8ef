"""Names of settings that are passed on to a library: known ones, and none that the optimizer sets itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches


def check_names(
    what: str, given: Iterable[str], known: Collection[str], refused: Mapping[str, str] | None = None
) -> None:
    """Check every name, and say everything that is wrong at once.

    Args:
        what: What the names are, for the message: `Nelder-Mead setting`.
        given: The names to check.
        known: What is allowed.
        refused: Names that would be understood, but not wanted, each with the reason; taken from `known`.

    Raises:
        ValueError: At least one name is unknown or refused; the message has the nearest name and all others.
    """
    refused = refused or {}
    allowed = sorted(set(known) - set(refused))
    faults = []
    for name in given:
        if name in refused:
            faults.append(f"the {what} {name!r} cannot be given: {refused[name]}")
        elif name not in allowed:
            near = get_close_matches(name, allowed, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            faults.append(f"unknown {what} {name!r}; {hint}allowed: {', '.join(allowed) or 'none'}")
    if faults:
        raise ValueError("; ".join(faults))
