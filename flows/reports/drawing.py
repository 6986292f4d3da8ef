"""Draws a snapshot of a run into whatever room a terminal has, the important things first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from flows.durations import in_words
from flows.reports.report import END_STYLES
from flows.reports.snapshot import (
    ConditionRow,
    EndRow,
    LivingRow,
    Snapshot,
    fewer,
    loss_text,
    owner_text,
    speed,
)
from flows.reports.sparkline import ASCII, BLOCKS, is_log, sparkline

DIM, QUIET = "dim", "cyan"
STATES = {
    "running": "green",
    "paused": "yellow",
    "finished": "bold green",
    "failed": "bold red",
    "its process is gone": "bold yellow",
}
OTHER_COLUMNS = 58
"""So wide are all columns of the table of optimizers but their names, with what is between them."""
MOST_CURVE = 8
"""More lines than that make the curve no clearer."""
FIRST_CONDITIONS = 4
"""So many exit conditions are more important than all that comes below."""
FIRST_ENDS = 9
"""So many lines of the latest ends are more important than a higher curve."""
PLENTY = 1000
_, CONDITIONS, BEST, LIVING, ENDS = range(5)
"""The sections, from the top."""
AIRY_FROM = 20
"""From so many lines on, there is an empty one between sections."""
WIDEST = 120
"""What can be of any width is no wider; only reasons are."""


class Drawing:
    """What rich prints of a snapshot, anew for the size that the terminal has at that moment.

    Args:
        take: Takes the snapshot.
        below: So many lines of the terminal stay free.
    """

    def __init__(self, take: Callable[[], Snapshot], below: int = 1) -> None:
        self._take = take
        self._below = below

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Line by line, none of them wrapped."""
        height = max(1, options.size.height - self._below)
        for line in draw(self._take(), options.max_width, height, options.ascii_only):
            line.truncate(options.max_width, overflow="ellipsis")
            line.stylize_before(line.style)  # which rendering forgets
            yield from line.render(console, end="\n")  # to wrap it, for nothing, would take most of the time


class _Section(NamedTuple):
    """A part of the drawing, which is asked for as many lines as it may have.

    Attributes:
        least: So many lines, or none at all; 0: there is nothing to show.
        good: So many, before anything below gets some.
        most: It has no use for more.
        lines: Makes them.
    """

    least: int
    good: int
    most: int
    lines: Callable[[int], list[Text]]


def draw(snapshot: Snapshot, width: int, height: int, ascii_only: bool = False) -> list[Text]:
    """The lines of a drawing, at most `height` (1 or more); those that are wider than `width` are to be cut."""
    width = min(width, WIDEST)
    sections = [
        _Section(1, 2, 2, lambda _: _head(snapshot, width)),
        _conditions_section(snapshot, width, ascii_only),
        _best_section(snapshot, width, ascii_only),
        _living_section(snapshot, width),
        _ends_section(snapshot),
    ]
    gap = 1 if height >= AIRY_FROM else 0
    lines: list[Text] = []
    for section, room in zip(sections, _rooms(sections, height, gap), strict=True):
        if room:
            lines += [*[Text()] * (gap if lines else 0), *section.lines(room)[:room]]
    return lines


def _rooms(sections: Sequence[_Section], height: int, gap: int) -> list[int]:
    """How many lines each section gets: first comes what is good for each, and then they take what is left."""
    free, rooms = height + gap, []
    for section in sections:
        room = min(section.good, free - gap)
        rooms.append(room if 0 < section.least <= room else 0)
        free -= rooms[-1] + gap if rooms[-1] else 0
    for place, most in (
        (LIVING, height // 2),
        (ENDS, FIRST_ENDS),
        (BEST, PLENTY),
        (CONDITIONS, PLENTY),
        (LIVING, PLENTY),
        (ENDS, PLENTY),
    ):
        if rooms[place]:
            more = max(0, min(free, min(most, sections[place].most) - rooms[place]))
            rooms[place] += more
            free -= more
    return rooms


def _head(snapshot: Snapshot, width: int) -> list[Text]:
    """Which run, how it stands, and how fast it goes."""
    title = Text.assemble((snapshot.name, "bold"), (f"  {snapshot.problem}", DIM))
    state = Text.assemble(
        (snapshot.state, STATES.get(snapshot.state, "")), (f"  {in_words(snapshot.elapsed_s)}", DIM)
    )
    facts = [Text.assemble((f"{snapshot.standing.evaluations:,}", "bold"), " evaluations")]
    if snapshot.rates.per_s is not None:
        facts.append(Text(speed(snapshot.rates.per_s)))
    if snapshot.workers:
        facts.append(Text(_workers(snapshot)))
    if snapshot.failures:
        facts.append(Text(f"{snapshot.failures:,} failed", "red"))
    return [_apart(title, state, width), Text("   ").join(facts)]


def _workers(snapshot: Snapshot) -> str:
    words = f"{snapshot.workers} worker{'s' if snapshot.workers > 1 else ''}"
    if snapshot.rates.busy is not None:
        words += f" {min(1.0, snapshot.rates.busy / snapshot.workers):.0%} busy"
    return words if snapshot.in_flight is None else f"{words}, {snapshot.in_flight} in flight"


def _conditions_section(snapshot: Snapshot, width: int, ascii_only: bool) -> _Section:
    count = len(snapshot.conditions)

    def lines(room: int) -> list[Text]:
        return [_ending(snapshot, width), *_conditions(snapshot.conditions, width, room - 1, ascii_only)]

    return _Section(2 if count else 0, 1 + min(count, FIRST_CONDITIONS), 1 + count, lines)


def _ending(snapshot: Snapshot, width: int) -> Text:
    """The heading of the exit conditions."""
    words = f"ends when {snapshot.combination}" if snapshot.combination else "ends when any is met"
    if len(snapshot.conditions) == 1:
        words = "ends when it is met"
    return _apart(Text(words, DIM), Text(str(snapshot.left or "")), width)


def _conditions(rows: Sequence[ConditionRow], width: int, room: int, ascii_only: bool) -> list[Text]:
    """A bar for each that has a fraction."""
    full, empty = "#." if ascii_only else "━─"
    values = [str(row.progress) if row.progress else "" for row in rows]
    value_width = min(24, max(map(len, values)))
    name_width = min(max(len(row.name) for row in rows), max(20, (width - value_width) // 2))
    bar_width = min(60, width - name_width - value_width - 8)
    lines = []
    for number, (row, value) in enumerate(zip(rows, values, strict=True), start=1):
        line = Text.assemble((f"{number:2}  ", DIM), _cut(row.name, name_width))
        fraction = row.progress.fraction if row.progress else None
        if bar_width >= 5:
            done = 0 if fraction is None else int(fraction * bar_width)
            line.append("  ")
            line.append(full * done, QUIET)
            line.append((" " if fraction is None else empty) * (bar_width - done), DIM)
        line.append(f"  {value:>{value_width}}")
        lines.append(line)
    return _with_rest(lines, room, "condition")


def _best_section(snapshot: Snapshot, width: int, ascii_only: bool) -> _Section:
    def lines(room: int) -> list[Text]:
        characters = ASCII if ascii_only else BLOCKS
        evaluations = snapshot.standing.evaluations
        curve = sparkline(snapshot.descent, evaluations, max(1, width - 4), max(1, room - 1), characters)
        return [_best(snapshot), *(Text(f"    {line}", QUIET) for line in curve)]

    height = (MOST_CURVE if len(snapshot.descent) > 1 else 1) if snapshot.best else 0
    return _Section(1, 1 + min(1, height), 1 + height, lines)


def _best(snapshot: Snapshot) -> Text:
    best, validations = snapshot.best, snapshot.standing.validations
    if best is None:
        return Text("no finite loss yet")
    line = Text.assemble(
        "best ", (loss_text(best.loss), "bold"), f" by {owner_text(best.optimizer)} at {best.evaluation:,}"
    )
    if len(snapshot.descent) > 1:
        line.append(f", from {snapshot.descent[0].loss:.6g}", DIM)
        line.append(" (log scale)" if is_log(snapshot.descent) else "", DIM)
    if len(validations):
        line.append(f"   validation {loss_text(validations.lowest_until(len(validations)))}")
    return line


def _living_section(snapshot: Snapshot, width: int) -> _Section:
    standing = snapshot.standing
    heading = (
        f"{snapshot.alive:,} alive of {standing.started:,} started, {standing.converged:,} converged,"
        f" {standing.stopped:,} stopped"
    )

    def lines(room: int) -> list[Text]:
        rows = snapshot.living if snapshot.alive <= room - 2 else fewer(snapshot.living, max(0, room - 3))
        table = [Text(heading, DIM), *_living(rows, snapshot.best.optimizer if snapshot.best else 0, width)]
        more = snapshot.alive - len(rows)
        return [*table, Text(f"      and {more:,} more", DIM)] if more else table

    rows = 1 + snapshot.alive if snapshot.alive else 0  # one for the names of the columns
    return _Section(1, 1 + min(3, rows), 1 + rows, lines)


def _living(rows: Sequence[LivingRow], owner: int, width: int) -> list[Text]:
    if not rows:
        return []
    title_width = max(9, min(width - OTHER_COLUMNS, max(len(row.title) for row in rows)))
    cells = [("#", "optimizer", "started", "calls", "latest loss", "best loss")]
    cells += [
        (
            str(row.number),
            row.title,
            f"{row.started_at:,}",
            f"{row.calls:,}",
            loss_text(row.latest_loss),
            loss_text(row.best_loss),
        )
        for row in rows
    ]
    styles = [DIM, *("bold" if row.number == owner else "" for row in rows)]
    return [
        Text(
            f"{number:>6}  {_cut(title, title_width)}  {started:>10}  {calls:>8}  {latest:>12}  {best:>12}",
            style,
        )
        for (number, title, started, calls, latest, best), style in zip(cells, styles, strict=True)
    ]


def _ends_section(snapshot: Snapshot) -> _Section:
    def lines(room: int) -> list[Text]:
        ends = snapshot.ends[: room - 1]
        at_width = max(len(f"{row.evaluation:,}") for row in ends)
        return [Text("last ends", DIM), *(_end(row, at_width) for row in ends)]

    return _Section(2 if snapshot.ends else 0, 2, 1 + len(snapshot.ends), lines)


def _end(row: EndRow, at_width: int) -> Text:
    return Text.assemble(
        f"{row.number:>6}  ",
        (f"{row.how:<9}", END_STYLES.get(row.how, "")),
        (f"  at {row.evaluation:>{at_width},}  ", DIM),
        row.why,
    )


def _with_rest(lines: list[Text], room: int, what: str) -> list[Text]:
    """As many as there is room for, and how many are not there."""
    if len(lines) <= room:
        return lines
    more = len(lines) - room + 1
    return [*lines[: room - 1], Text(f"    and {more} more {what}{'s' if more > 1 else ''}", DIM)]


def _apart(left: Text, right: Text, width: int) -> Text:
    """One at each end of the line; where there is no room for both, two blanks between them."""
    blanks = max(2, width - left.cell_len - right.cell_len)
    return Text.assemble(left, " " * blanks, right) if right else left


def _cut(text: str, width: int) -> str:
    """Exactly so wide."""
    cut = Text(text)
    cut.truncate(max(1, width), overflow="ellipsis", pad=True)
    return cut.plain
