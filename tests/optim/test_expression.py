"""Expressions over parameter names: arithmetic and comparisons, and nothing else.

Invariants: an expression has the value that Python gives it; what has no real value is nan; every other text is
refused with what is wrong, whatever it is; nothing outside the list of what is allowed runs.
"""

import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.errors import ExpressionError
from optim.expression import FUNCTIONS, MAX_LENGTH, Expression

NAMES = ("a", "b")
NUMBERS = st.recursive(
    st.sampled_from(["a", "b", "0.0", "1.0", "2.5", "1e-3", "1e300"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " - ", " * ", " / ", " % "]), inner)
        .map("".join)
        .map("({})".format),
        inner.map("-{}".format),
        inner.map("({})**2".format),
        st.tuples(
            st.sampled_from(["sqrt", "exp", "log", "log10", "sin", "cos", "tan", "atan", "abs"]), inner
        ).map(lambda call: f"{call[0]}({call[1]})"),
        st.tuples(st.sampled_from(["min", "max", "hypot", "atan2"]), inner, inner).map(
            lambda call: f"{call[0]}({call[1]}, {call[2]})"
        ),
    ),
    max_leaves=8,
)
COMPARISONS = st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map(" ".join)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join).map("({})".format),
        inner.map("not {}".format),
    ),
    max_leaves=4,
)
VALUES = st.floats(-1e3, 1e3)


def number(text, *values, names=NAMES):
    return Expression(text, names, is_condition=False)(values)


def condition(text, *values, names=NAMES):
    return Expression(text, names, is_condition=True)(values)


def as_python(text, a, b):
    try:
        return eval(text, dict(FUNCTIONS), {"a": a, "b": b})
    except (ArithmeticError, ValueError):
        return math.nan


@settings(deadline=None)
@given(NUMBERS, VALUES, VALUES)
def test_a_number_is_that_of_python(text, a, b):
    assert number(text, a, b) == pytest.approx(as_python(text, a, b), rel=0, abs=0, nan_ok=True)


@settings(deadline=None)
@given(CONDITIONS, VALUES, VALUES)
def test_a_condition_is_that_of_python(text, a, b):
    expected = as_python(text, a, b)
    assert condition(text, a, b) is expected or math.isnan(expected)


def test_comparisons_may_be_chained():
    assert condition("0 < a <= b < 3", 1.0, 1.0)
    assert not condition("0 < a <= b < 3", 2.0, 1.0)


@pytest.mark.parametrize(
    ("text", "a"),
    [
        ("1 / a", 0.0),
        ("1 % a", 0.0),
        ("a ** -1", 0.0),
        ("a ** 0.5", -1.0),
        ("abs(a ** 0.5)", -1.0),
        ("(-8 + a) ** (1/3)", 0.0),
        ("sqrt(a)", -1.0),
        ("log(a)", 0.0),
        ("exp(a)", 1e3),
        ("a ** 1e9", 2.0),
        ("9 ** 9 ** 9 ** 9 + a", 0.0),
        ("2 * a", math.nan),
        ("a - a", math.inf),
    ],
)
def test_what_has_no_real_value_is_nan(text, a):
    assert math.isnan(number(text, a, 0.0))


@pytest.mark.parametrize("text", ["a > 0", "a <= 0", "a == a", "0 < a < 1", "sqrt(0 - b) > 0"])
def test_a_condition_on_what_is_nan_does_not_hold(text):
    assert condition(text, math.nan, 1.0) is not True


def test_names_that_are_no_identifiers_are_written_in_backquotes():
    names = ("C-O:r0", "q0", "_0_", "and", "a b")
    values = (1.0, 2.0, 3.0, 4.0, 5.0)
    text = "`C-O:r0` + 10*q0 + 100*_0_ + 1000*`and` + 1e4*`a b`"
    assert number(text, *values, names=names) == 54321.0


def test_look_alikes_of_letters_are_the_letters():
    assert number("µ + Å", 1.0, 2.0, names=("µ", "Å")) == 3.0
    assert number("µ - μ", 5.0, 3.0, names=("µ", "μ")) == 0.0
    assert number("`µ` - `μ`", 5.0, 3.0, names=("µ", "μ")) == 2.0


def test_a_parameter_may_be_called_like_a_function():
    assert number("min(min, max)", 3.0, 2.0, names=("min", "max")) == 2.0


def test_it_says_which_parameters_it_uses():
    expression = Expression("2*c + sqrt(`a`)", ("a", "b", "c"), is_condition=False)
    assert expression.uses == {0, 2}
    assert expression.text == "2*c + sqrt(`a`)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("a >", "cannot be read"),
        ("a > 1\nb > 1", "cannot be read"),
        ("a = 1", "cannot be read"),
        ("a > 1and b > 1", "cannot be read"),
        ("2`a` > 1", "cannot be read"),
        ("`a > 1", "cannot be read"),
        ("a\0 > 1", "cannot be read"),
        ("\ud800 > 1", "cannot be read"),
        ("sigm > 1", "has 'sigm', which is no parameter; did you mean 'sigma'"),
        ("x > 1", "has 'x', which is no parameter; there are sigma, a"),
        ("`x y` > 1", "has 'x y', which is no parameter"),
        ("`a` > _5_", "has '_5_', which is no parameter"),
        ("__import__ > 1", "no parameter"),
        ("a ^ 2 > 1", r"a power is written with '\*\*'"),
        ("a // 2 > 1", r"use \+, -, \*, /, % and \*\*"),
        ("a @ a > 1", "operator that is not allowed"),
        ("a << 2 > 1", "operator that is not allowed"),
        ("~a > 1", "not allowed"),
        ("a is a", "use <, <=, >"),
        ("a in (a, a)", "use <, <=, >"),
        ("a.real > 1", "not allowed"),
        ("a[0] > 1", "not allowed"),
        ("'a' > 1", "not allowed"),
        ("f'{a}' > 1", "not allowed"),
        ("1j > a", "not allowed"),
        ("True", "not allowed"),
        ("None == a", "not allowed"),
        ("(a if a > 0 else 1) > 0", "not allowed"),
        ("(b := 1) > a", "not allowed"),
        ("[a for a in (1, 2)] > a", "not allowed"),
        ("(yield) > a", "not allowed"),
        ("max(*a) > 1", "not allowed"),
        ("(lambda: a)() > 1", "calls what is not allowed; there are abs"),
        ("exec(a) > 1", "calls what is not allowed"),
        ("a.__class__() > 1", "calls what is not allowed"),
        ("max(a, key=a) > 1", "calls what is not allowed"),
        ("min(a) > 1", "gives min 1 arguments; it takes 2 or more"),
        ("sqrt() > 1", "gives sqrt 0 arguments; it takes 1"),
        ("atan2(a, a, a) > 1", "gives atan2 3 arguments; it takes 2"),
        ("(a > 1) + 1 > 1", "mixes numbers with conditions"),
        ("a and a > 1", "mixes numbers with conditions"),
        ("not a", "mixes numbers with conditions"),
        ("sqrt(a > 1) > 1", "mixes numbers with conditions"),
        ("1e400 > a", "a number that is too large"),
        ("a < 1" + "0" * 400, "a number that is too large"),
        ("a", "must be a condition"),
        ("a > " + "-" * 900 + "1", "nested too deeply"),
        ("not " * 240 + "a > 1", "nested too deeply"),
        ("a > " + "**".join("1" * 300), "nested too deeply"),
        ("a > " + "+".join("1" * 450), "nested too deeply"),
        ("(" * 450 + "a" + ")" * 450 + " > 1", "cannot be read"),
        ("a > 1" + " " * MAX_LENGTH, "more than 1000 characters"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(ExpressionError, match=message):
        Expression(text, ("sigma", "a"), is_condition=True)


def test_a_tie_must_be_a_number():
    with pytest.raises(ExpressionError, match="must be a number"):
        Expression("a > 1", NAMES, is_condition=False)


def test_a_long_sum_is_read():
    names = [f"p{at}" for at in range(100)]
    assert number(" + ".join(names), *[1.0] * 100, names=names) == 100.0


ANY_TEXT = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="ab`_q()[]{}.,:;=<>!+-*/%^&|~@#'\"\\ \n0123456789ejandotirmx", max_size=40),
    st.lists(
        st.sampled_from(["a", "`b`", "9", "**", "(", ")", "-", "not ", ">", ",", "min", " if ", "lambda:"])
    ).map("".join),
)


@settings(max_examples=400, deadline=None)
@given(ANY_TEXT, st.booleans())
def test_any_text_is_read_or_refused(text, is_condition):
    with suppress(ExpressionError):
        assert isinstance(Expression(text, NAMES, is_condition=is_condition)([1.0, 2.0]), bool | float)
