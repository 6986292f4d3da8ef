"""Expressions over parameter names, as in `rmin > 2*sigma`: arithmetic and comparisons, and nothing else.

Only a short list of Python's syntax is let through, so that an expression from a file can compute and compare, and
cannot do harm. A name that is no identifier is written in backquotes: `` `C-O:r0` < 1.5``.
"""

from __future__ import annotations

import ast
import math
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from optim.errors import ExpressionError

MAX_LENGTH = 1000
"""Characters of the longest expression that is read."""

MAX_DEPTH = 200
"""How deeply its parts may be nested; a sum is as deep as it has terms."""

FUNCTIONS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "abs": abs,
        "min": min,
        "max": max,
        **{
            name: getattr(math, name)
            for name in ("sqrt", "exp", "log", "log10", "sin", "cos", "tan", "atan", "atan2", "hypot")
        },
    }
)
"""What an expression may call."""

_ARGUMENTS = MappingProxyType({"min": (2, None), "max": (2, None), "hypot": (1, None), "atan2": (2, 2)})
"""Fewest and most arguments of the functions that do not take one; None: any number."""

_CALLED = MappingProxyType({**FUNCTIONS, "**": math.pow})
"""What compiled expressions call; unlike Python's own, this power is never complex."""

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Mod)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_QUOTED = re.compile(r"`([^`]*)`")


class Expression:
    """A number, or whether something holds, computed from parameter values. Call it with them.

    Args:
        text: As people write it.
        names: The parameters, in the order of their values.
        is_condition: It must say whether something holds; otherwise it must be a number.

    Raises:
        ExpressionError: It cannot be read, is of the other sort, or has a name that is not there.
    """

    def __init__(self, text: str, names: Sequence[str], *, is_condition: bool) -> None:
        self.text = text
        reading = _Reading(text, names)
        tree = reading.parse()
        if reading.is_condition(tree) != is_condition:
            wanted = "a condition, as in a > 2*b" if is_condition else "a number, as in 2*b"
            raise ExpressionError(f"{text!r} must be {wanted}")
        self.uses = frozenset(reading.used)
        module = ast.fix_missing_locations(ast.Expression(_Lowering(reading).visit(tree)))
        self._code = compile(module, "<expression>", "eval")

    def __call__(self, values: Sequence[float]) -> float:
        """Its value; of a condition, whether it holds.

        Args:
            values: Of all parameters, as Python floats.

        Returns:
            nan where it has no value, as at a division by zero.
        """
        try:
            # Nothing but the whitelisted nodes of `_Reading` was compiled.
            value: float = eval(self._code, {"__builtins__": {}, "call": _CALLED, "x": values})
        except (ArithmeticError, ValueError):
            return math.nan
        return value


class _Reading:
    """Parses an expression, and checks that only what is allowed is in it."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._text = text
        self._names = list(names)
        self._quoted: dict[str, str] = {}
        self._stem = "q"
        while self._stem in text:
            self._stem += "q"
        self.used: set[int] = set()

    def parse(self) -> ast.expr:
        if len(self._text) > MAX_LENGTH:
            raise ExpressionError(f"an expression of more than {MAX_LENGTH} characters is not read")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python's, of what it would rather not read
                tree = ast.parse(_QUOTED.sub(self._placeholder, self._text).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._error("cannot be read; write it as in rmin > 2*sigma") from None
        if _depth(tree) > MAX_DEPTH:
            raise self._error("is nested too deeply")
        return tree

    def is_condition(self, node: ast.expr) -> bool:
        """Whether a part says that something holds; otherwise it is a number."""
        match node:
            case ast.BoolOp(values=parts):
                self._all(parts, are_conditions=True)
                return True
            case ast.UnaryOp(op=ast.Not(), operand=part):
                self._all([part], are_conditions=True)
                return True
            case ast.Compare(left=left, ops=operators, comparators=others):
                if not all(isinstance(operator, _COMPARISONS) for operator in operators):
                    raise self._error("compares in a way that is not allowed; use <, <=, >, >=, == and !=")
                self._all([left, *others], are_conditions=False)
                return True
            case ast.BinOp(left=left, op=operator, right=right):
                if isinstance(operator, ast.BitXor):
                    raise self._error("has '^'; a power is written with '**'")
                if not isinstance(operator, _ARITHMETIC):
                    raise self._error("has an operator that is not allowed; use +, -, *, /, % and **")
                self._all([left, right], are_conditions=False)
                return False
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=part):
                self._all([part], are_conditions=False)
                return False
            case ast.Call(func=ast.Name(id=function), args=parts, keywords=[]) if function in FUNCTIONS:
                self._all(parts, are_conditions=False)
                self._check_arguments(function, len(parts))
                return False
            case ast.Call():
                raise self._error(f"calls what is not allowed; there are {', '.join(FUNCTIONS)}")
            case ast.Name(id=name):
                self.used.add(self.index(name))
                return False
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if value > sys.float_info.max:
                    raise self._error("has a number that is too large")
                return False
            case _:
                raise self._error("has something in it that is not allowed; use numbers, names and operators")

    def index(self, name: str) -> int:
        """Which parameter a name stands for."""
        quoted = self._quoted.get(name)
        if quoted is not None:
            name = quoted
        elif name not in self._names:
            # Python reads the micro sign as the Greek letter, and other look-alikes likewise.
            name = next((one for one in self._names if unicodedata.normalize("NFKC", one) == name), name)
        if name not in self._names:
            near = get_close_matches(name, self._names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._names)}"
            raise self._error(f"has {name!r}, which is no parameter; {hint}")
        return self._names.index(name)

    def _check_arguments(self, function: str, count: int) -> None:
        fewest, most = _ARGUMENTS.get(function, (1, 1))
        if count < fewest or (most is not None and count > most):
            takes = fewest if most else f"{fewest} or more"
            raise self._error(f"gives {function} {count} arguments; it takes {takes}")

    def _all(self, parts: Sequence[ast.expr], *, are_conditions: bool) -> None:
        for part in parts:
            if self.is_condition(part) != are_conditions:
                raise self._error("mixes numbers with conditions; compare first, as in a > 0 and b > 0")

    def _placeholder(self, match: re.Match[str]) -> str:
        name = f"{self._stem}{len(self._quoted)}"
        self._quoted[name] = match[1]
        return f" {name} "

    def _error(self, what: str) -> ExpressionError:
        shown = repr(self._text) if len(self._text) <= 60 else f"{self._text[:57]!r}..."
        return ExpressionError(f"the expression {shown} {what}")


class _Lowering(ast.NodeTransformer):
    """Names become places in the list of values, functions places in the table, numbers floats."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading

    def visit_Name(self, node: ast.Name) -> Any:
        return ast.Subscript(_load("x"), ast.Constant(self._reading.index(node.id)), ast.Load())

    def visit_Call(self, node: ast.Call) -> Any:
        return self._call(ast.unparse(node.func), node.args)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, ast.Pow):
            return self._call("**", [node.left, node.right])
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_Constant(self, node: ast.Constant) -> Any:
        # Whole numbers would be computed exactly, however many digits 9**9**9 has.
        return ast.Constant(float(node.value))  # type: ignore[arg-type]

    def _call(self, function: str, parts: Sequence[ast.expr]) -> ast.Call:
        arguments: list[ast.expr] = [self.visit(part) for part in parts]
        return ast.Call(ast.Subscript(_load("call"), ast.Constant(function), ast.Load()), arguments, [])


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())
