"""What the optimizers of a run found together, in words: minima, what stoppers saved, validations, warnings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from flows.reports.statistics import LengthSummary, MinimumSummary, ValidationSummary
from flows.reports.summary import RunSummary

MAX_MINIMA = 10
"""So many minima are listed; the rest is counted."""
MAX_NUMBERS = 10
"""So many optimizers of a minimum are listed; the rest is counted."""


def findings(summary: RunSummary) -> Iterator[RenderableType]:
    """Everything there is to say, in the order in which people need it."""
    if summary.best:
        for name, side in summary.on_bounds.items():
            value = summary.best.parameters[name]
            yield Text(f"Warning: {name} = {value:.7g} lies on its {side} bound", style="yellow")
    if summary.validation:
        yield Text(_validation(summary.validation))
    if summary.minima:
        yield from _minima(summary)
    yield from map(Text, _savings(summary))


def _validation(validation: ValidationSummary) -> str:
    if validation.best_loss is None:
        return f"No finite validation loss in {validation.validations} validations"
    text = f"Best validation loss {validation.best_loss:.6g}, at evaluation {validation.best_evaluation}"
    if validation.loss_at_best_evaluation is None:
        return f"{text}; the best evaluation has none"
    return f"{text}; that of the best evaluation is {validation.loss_at_best_evaluation:.6g}"


def _minima(summary: RunSummary) -> Iterator[RenderableType]:
    started = Counter(optimizer.label for optimizer in summary.optimizers)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("minimum", "loss", "hits", "alive"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("found by", "optimizers", "parameters"):
        table.add_column(heading)
    for place, minimum in enumerate(summary.minima[:MAX_MINIMA], start=1):
        table.add_row(
            str(place),
            f"{minimum.loss:.6g}",
            str(minimum.hits),
            str(minimum.alive),
            Text(_by_label(minimum, started)),
            _numbers(minimum.optimizers),
            Text(", ".join(f"{name}={value:.6g}" for name, value in minimum.parameters.items())),
        )
    yield table
    if len(summary.minima) > MAX_MINIMA:
        yield Text(f"... and {len(summary.minima) - MAX_MINIMA} more", style="dim")
    yield Text(_who_found_the_best(summary.minima[0], started))


def _by_label(minimum: MinimumSummary, started: Mapping[str, int]) -> str:
    return ", ".join(f"{label} {hits} of {started[label]}" for label, hits in minimum.hits_by_label.items())


def _numbers(numbers: list[int]) -> str:
    more = f" and {len(numbers) - MAX_NUMBERS} more" if len(numbers) > MAX_NUMBERS else ""
    return ", ".join(map(str, numbers[:MAX_NUMBERS])) + more


def _who_found_the_best(minimum: MinimumSummary, started: Mapping[str, int]) -> str:
    """As in: Of 7 Nelder-Mead, 1 found the best minimum; of 8 CMAES, 3 did."""
    verbs = ["found the best minimum", *["did"] * (len(started) - 1)]
    parts = [
        f"of {count} {label}, {minimum.hits_by_label.get(label, 0) or 'none'} {verb}"
        for (label, count), verb in zip(started.items(), verbs, strict=True)
    ]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _savings(summary: RunSummary) -> Iterator[str]:
    """What stoppers saved, by label, and in all if there are several; nothing where nothing can be compared."""
    stoppers = summary.stoppers
    if stoppers.evaluations_saved is None:
        return
    compared = {
        label: length for label, length in stoppers.by_label.items() if length.evaluations_saved is not None
    }
    for label, length in compared.items():
        yield _saving(label, length)
    if len(compared) > 1:
        yield f"In all, stoppers saved about {_about(stoppers.evaluations_saved)} evaluations."
    if stoppers.not_compared:
        yield (
            f"{stoppers.not_compared} more were stopped, of labels of which none ended by itself:"
            " what that saved is not known."
        )


def _saving(label: str, length: LengthSummary) -> str:
    saved = length.evaluations_saved or 0.0
    outcome = f"about {_about(saved)} evaluations saved" if saved > 0 else "nothing saved"
    who = "itself" if length.ended_by_themselves == 1 else "themselves"
    return (
        f"Stoppers ended {length.stopped} {label} after {length.mean_calls_of_stopped:.0f} calls on average; the"
        f" {length.ended_by_themselves} that ended by {who} took {length.mean_calls_of_ended:.0f}: {outcome}."
    )


def _about(number: float) -> str:
    """A number to two digits: an estimate has no more."""
    digits = 1 - math.floor(math.log10(number)) if number else 0
    return f"{round(number, min(digits, 0)):,.0f}"
