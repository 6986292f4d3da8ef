"""The lines of a run file in ParAMS' block syntax, as a tree; what the names mean is not known here.

Generator              # a block
   Type Random         # a key with its value; comments go from # or ! to the end of the line
End
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from flows.run_files.block_values import QUOTED, unquoted
from flows.run_files.faults import Fault
from optim.errors import ShoalError

MAX_DEPTH = 32
"""Blocks within blocks; far more than anybody needs, and few enough for recursion."""

_COMMENT = re.compile(rf"{QUOTED}|([#!])")
_KEY = re.compile(rf"({QUOTED}|\S+)\s*(.*)")


class BlockSyntaxError(ShoalError):
    """Lines that do not make blocks; `faults` has all that is wrong."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


class Content(Enum):
    """What is inside a block."""

    KEYS = auto()
    """Known keys and blocks."""
    TABLE = auto()
    """Any keys, and blocks that are tables again."""
    ROWS = auto()
    """Lines without a key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line with a value. In a block of rows `name` is empty."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block, with all that is between its name and its `End`."""

    line: int
    name: str
    content: Content
    items: list[Item] = field(default_factory=list)


Item = Entry | Block


def read_lines(text: str, content_of: Callable[[str], Content | None]) -> list[Item]:
    """Put lines into blocks.

    Args:
        text: Of the file.
        content_of: What is in the block that a line with nothing but this name opens; None: it is a key, whose value
            is missing.

    Raises:
        BlockSyntaxError: A block without `End`, `End` without a block, or a key without a value; with all of them.
    """
    root = Block(0, "", Content.KEYS)
    open_blocks = [root]
    faults: list[Fault] = []
    for number, line in _filled_lines(text):
        block = open_blocks[-1]
        if line.casefold() == "end":
            if block is root:
                faults.append(Fault(f"line {number}", "", "End without a block"))
            else:
                open_blocks.pop()
            continue
        if block.content is Content.ROWS:
            block.items.append(Entry(number, "", line))
            continue
        name, value = _key_and_value(line)
        if value:
            block.items.append(Entry(number, name, value))
            continue
        content = Content.TABLE if block.content is Content.TABLE else content_of(name)
        if content is None:
            faults.append(Fault(f"line {number}", "", f"{name} has no value"))
        elif len(open_blocks) > MAX_DEPTH:
            raise BlockSyntaxError([*faults, Fault(f"line {number}", "", "blocks are nested too deeply")])
        else:
            inner = Block(number, name, content)
            block.items.append(inner)
            open_blocks.append(inner)
    faults += [
        Fault(f"line {block.line}", "", f"the block {block.name} has no End") for block in open_blocks[1:]
    ]
    if faults:
        raise BlockSyntaxError(faults)
    return root.items


def _filled_lines(text: str) -> Iterator[tuple[int, str]]:
    """Every line that says something, without its comment, and its number."""
    for number, line in enumerate(text.split("\n"), start=1):
        marks = (match.start() for match in _COMMENT.finditer(line) if match[1])
        if said := line[: next(marks, None)].strip():
            yield number, said


def _key_and_value(line: str) -> tuple[str, str]:
    match = _KEY.match(line)
    name, value = match.groups() if match else (line, "")
    bare = unquoted(name)
    return (name if bare is None else bare), value
