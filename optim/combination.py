"""Boolean combinations of numbered rules: `(1 | 2) & 3`.

`&` binds tighter than `|`. Evaluation is lazy: what can no longer matter is not judged, and shown as `None`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from optim.errors import CombinationError
from optim.verdict import Verdict

MAX_DEPTH = 50
"""How deeply parentheses may be nested."""

_TOKEN = re.compile(r"\s*(?:(\d+)|([|&()]))")


Judge = Callable[..., Verdict]
"""Judges one rule, and says the same when it is asked again."""


class Judgement(NamedTuple):
    """The value of a combination, and the verdicts that it took (None: not needed)."""

    met: bool
    verdicts: tuple[Verdict | None, ...]

    def reason(self, names: Sequence[str]) -> str:
        """The rules that were met, each with its numbers, on one line."""
        judged = zip(names, self.verdicts, strict=True)
        return "; ".join(
            f"{name}: {verdict}" for name, verdict in judged if verdict is not None and verdict.met
        )


class _Node(NamedTuple):
    """`rule` when `operator` is empty, else `operator` between `parts`."""

    operator: str
    parts: tuple[_Node, ...] = ()
    rule: int = 0


class Combination:
    """A combination of `count` rules.

    Args:
        text: Such as `(1 | 2) & 3`, with numbers from 1; None: all joined by `|`.
        count: How many rules there are.

    Raises:
        CombinationError: The text cannot be read, or names a number that is not there.
    """

    def __init__(self, text: str | None, count: int) -> None:
        self.count = count
        self._tree: _Node | None = None
        if text is not None:
            self._tree = _Parser(text, count).parse()
        elif count:
            self._tree = _joined("|", [_Node("", rule=number) for number in range(count)])

    @property
    def rules(self) -> frozenset[int]:
        """The rules that it names, counted from 0."""
        return frozenset(_leaves(self._tree)) if self._tree else frozenset()

    def bind(self, judges: Sequence[Judge]) -> Callable[..., bool]:
        """A function of what is judged that says whether the combination is true; it is asked after every loss.

        Args:
            judges: One for each rule.
        """
        # Of Python's own `or`, `and` and parentheses: what was parsed has nothing else in it but numbers.
        source = _source(self._tree) if self._tree else "False"
        bound: Callable[..., bool] = eval(f"lambda *about: {source}", {"judges": tuple(judges)})
        return bound

    def judge(self, judges: Sequence[Judge], *about: object) -> Judgement:
        """Evaluate from left to right; no rule is judged twice.

        Args:
            judges: One for each rule.
            about: What they judge.
        """
        verdicts: list[Verdict | None] = [None] * self.count

        def judged(number: int) -> Verdict:
            verdict = verdicts[number]
            if verdict is None:
                verdict = verdicts[number] = judges[number](*about)
            return verdict

        met = self.bind([partial(judged, number) for number in range(self.count)])()
        return Judgement(met, tuple(verdicts))

    def holds_with(self, rules: frozenset[int]) -> bool:
        """Whether it is true when exactly these rules (counted from 0) are."""
        return self.bind([partial(Verdict, number in rules) for number in range(self.count)])()

    def true_from(self, times: Sequence[float]) -> float:
        """When it becomes true, if each rule does at its time (inf: nobody knows) and stays so."""
        return _true_from(self._tree, times) if self._tree else math.inf

    def lines(self, names: Sequence[str], verdicts: Sequence[Verdict | None]) -> list[str]:
        """One line for each rule, as `Name(max=5) = True |`, with parentheses where they matter."""
        return _lines(self._tree, names, verdicts) if self._tree else []


def _joined(operator: str, parts: list[_Node]) -> _Node:
    return parts[0] if len(parts) == 1 else _Node(operator, tuple(parts))


def _leaves(node: _Node) -> list[int]:
    return [leaf for part in node.parts for leaf in _leaves(part)] if node.operator else [node.rule]


def _source(node: _Node) -> str:
    if not node.operator:
        return f"judges[{node.rule}](*about).met"
    joint = {"|": " or ", "&": " and "}[node.operator]
    return f"({joint.join(map(_source, node.parts))})"


def _true_from(node: _Node, times: Sequence[float]) -> float:
    if not node.operator:
        return times[node.rule]
    decisive = min if node.operator == "|" else max
    return decisive(_true_from(part, times) for part in node.parts)


def _lines(node: _Node, names: Sequence[str], verdicts: Sequence[Verdict | None]) -> list[str]:
    if not node.operator:
        verdict = verdicts[node.rule]
        return [f"{names[node.rule]} = {verdict.met if verdict else None}"]
    lines: list[str] = []
    for part in node.parts:
        block = _lines(part, names, verdicts)
        if part.operator == "|":
            block = [f"({block[0]}", *block[1:-1], f"{block[-1]})"]
        if lines:
            lines[-1] += f" {node.operator}"
        lines += block
    return lines


class _Parser:
    """Recursive descent: any = all ("|" all)*, all = one ("&" one)*, one = NUMBER | "(" any ")"."""

    def __init__(self, text: str, count: int) -> None:
        self._text = text
        self._count = count
        self._tokens = self._split(text)
        self._next = 0
        self._depth = 0

    def parse(self) -> _Node:
        tree = self._any()
        if self._next < len(self._tokens):
            raise self._error(f"{self._tokens[self._next]!r} is not expected there")
        return tree

    def _any(self) -> _Node:
        return self._sequence("|", self._all)

    def _all(self) -> _Node:
        return self._sequence("&", self._one)

    def _sequence(self, operator: str, part: Callable[[], _Node]) -> _Node:
        parts = [part()]
        while self._peek() == operator:
            self._next += 1
            parts.append(part())
        return _joined(operator, parts)

    def _one(self) -> _Node:
        token = self._peek()
        self._next += 1
        if token == "(":
            return self._inside()
        if not token.isdigit():
            raise self._error(f"a number is expected {f'instead of {token!r}' if token else 'at the end'}")
        if not 1 <= int(token) <= self._count:
            there = f"there are {self._count}, numbered from 1" if self._count else "there are none"
            raise self._error(f"it names {token}, but {there}")
        return _Node("", rule=int(token) - 1)

    def _inside(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error("it is nested too deeply")
        inside = self._any()
        if self._peek() != ")":
            raise self._error("a closing parenthesis is missing")
        self._next += 1
        self._depth -= 1
        return inside

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _split(self, text: str) -> list[str]:
        tokens: list[str] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(
                    f"{text[at:].lstrip()[:1]!r} is not allowed; use numbers, '|', '&', '(' and ')'"
                )
            tokens.append(match[1] or match[2])
            at = match.end()
        return tokens

    def _error(self, what: str) -> CombinationError:
        return CombinationError(f"the combination {_short(self._text)} cannot be used: {what}")


def _short(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."
