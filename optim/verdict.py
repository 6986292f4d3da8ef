"""What a policy says when it is asked: yes or no, with its numbers."""

from __future__ import annotations

from typing import Any, NamedTuple


class Verdict(NamedTuple):
    """A judgement that can be read.

    The text is only put together when somebody reads it: most verdicts are a `no` that nobody looks at.

    Attributes:
        met: Whether the rule holds.
        template: A `str.format` template of the reason.
        numbers: What goes into the template.
    """

    met: bool
    template: str = ""
    numbers: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.template.format(*self.numbers)


NO = Verdict(False)
"""A `no` that needs no words."""
