"""Times as people and batch queues write them, and read them."""

from __future__ import annotations

import re
import time

from optim.errors import DurationError

_UNITS = re.compile(
    r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m(?:in)?)?(?:(?P<seconds>\d+(?:\.\d+)?)s?)?"
)
_CLOCK = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d+):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2}))?")
_SECONDS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def seconds_of(text: str) -> float:
    """How many seconds `23h50m`, `90s`, `1d12h`, `23:50:00` or SLURM's `1-12:00:00` are; a number alone is seconds.

    Raises:
        DurationError: It is none of these, or no time at all.
    """
    compact = "".join(text.lower().split())
    match = _CLOCK.fullmatch(compact) or _UNITS.fullmatch(compact)
    seconds = (
        sum(_SECONDS[unit] * float(count) for unit, count in match.groupdict("0").items()) if match else 0.0
    )
    if not seconds > 0:
        raise DurationError(
            f"given {text!r}; a time is written as 23h50m, 90s, 1d12h, 23:50:00 or 1-12:00:00"
        )
    return seconds


def end_after(walltime: str | None) -> float | None:
    """When a time that begins now is over, seconds since the epoch; None: no time was given.

    Raises:
        DurationError: It cannot be read.
    """
    return time.time() + seconds_of(walltime) if walltime else None


def in_words(seconds: float) -> str:
    """A time as people say it, with two units at most: `41 s`, `3 min 20 s`, `2 h 14 min`, `5 d 3 h`."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count or unit == "s")
