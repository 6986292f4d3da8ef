"""Boolean combinations of numbered rules.

Invariants: the value is that of Python's own `and`/`or`; what cannot matter is not judged; no rule is
judged twice; what is printed reads like the tutorial; bad text is refused with what is wrong.
"""

import math
import re
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim.combination import Combination
from optim.errors import CombinationError
from optim.verdict import Verdict

EXPRESSIONS = st.recursive(
    st.integers(1, 5).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("|&"), inner).map(" ".join), inner.map(lambda text: f"({text})")
    ),
    max_leaves=12,
)
VALUES = st.lists(st.booleans(), min_size=5, max_size=5)


def saying(values):
    return [partial(Verdict, value) for value in values]


@given(EXPRESSIONS, VALUES)
def test_it_has_the_value_of_the_same_expression_in_python(text, values):
    expected = eval(
        re.sub(r"\d", lambda m: str(values[int(m[0]) - 1]), text).replace("|", " or ").replace("&", " and ")
    )
    assert Combination(text, 5).judge(saying(values)).met is expected


@given(EXPRESSIONS, VALUES)
def test_no_rule_is_judged_twice_and_unused_ones_are_none(text, values):
    asked = []

    def rule(number):
        asked.append(number)
        return Verdict(values[number])

    judgement = Combination(text, 5).judge([partial(rule, number) for number in range(5)])
    assert len(asked) == len(set(asked))
    assert {number for number, verdict in enumerate(judgement.verdicts) if verdict} == set(asked)


@given(EXPRESSIONS, VALUES)
def test_what_was_judged_alone_decides(text, values):
    combination = Combination(text, 5)
    judgement = combination.judge(saying(values))
    others_flipped = [
        value is bool(verdict) for value, verdict in zip(values, judgement.verdicts, strict=True)
    ]
    assert combination.judge(saying(others_flipped)).met is judgement.met


def test_and_binds_tighter_than_or():
    combination = Combination("1 | 2 & 3", 3)
    assert combination.holds_with(frozenset({0}))
    assert not combination.holds_with(frozenset({1}))
    assert combination.holds_with(frozenset({1, 2}))


def test_by_default_any_rule_is_enough():
    combination = Combination(None, 3)
    assert all(combination.holds_with(frozenset({number})) for number in range(3))
    assert not combination.holds_with(frozenset())


def test_nothing_to_combine_is_never_met():
    assert not Combination(None, 0).judge([]).met


@pytest.mark.parametrize(
    ("text", "values", "lines"),
    [
        (None, [False, True], ["A = False |", "B = True"]),
        (None, [True, True], ["A = True |", "B = None"]),
        ("1 & 2", [False, True], ["A = False &", "B = None"]),
        ("(1 | 2) & 3", [False, True, True], ["(A = False |", "B = True) &", "C = True"]),
        ("3 & (1 | 2)", [False, True, True], ["C = True &", "(A = False |", "B = True)"]),
        ("1 & (2 | 3) | 2", [False, True, True], ["A = False &", "(B = True |", "C = None) |", "B = True"]),
    ],
)
def test_it_prints_as_the_tutorial_does(text, values, lines):
    combination = Combination(text, len(values))
    judgement = combination.judge(saying(values))
    assert combination.lines("ABC", judgement.verdicts) == lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a number is expected at the end"),
        ("1 |", "a number is expected at the end"),
        ("1 2", "'2' is not expected there"),
        ("(1 | 2", "closing parenthesis is missing"),
        ("1 | 3", "it names 3, but there are 2, numbered from 1"),
        ("0", "it names 0"),
        ("1 or 2", "'o' is not allowed; use numbers"),
        ("| 1", r"a number is expected instead of '\|'"),
        ("1)", r"'\)' is not expected there"),
    ],
)
def test_bad_text_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(CombinationError, match=message):
        Combination(text, 2)


@given(st.text(alphabet="12()|& x", max_size=20))
def test_any_text_is_read_or_refused(text):
    with suppress(CombinationError):
        assert Combination(text, 2).rules <= {0, 1}


def test_deep_nesting_is_refused():
    with pytest.raises(CombinationError, match="nested too deeply"):
        Combination("(" * 100_000, 1)


@pytest.mark.parametrize(
    ("text", "times", "expected"),
    [
        (None, [3.0, 2.0, math.inf], 2.0),
        (None, [math.inf], math.inf),
        (None, [], math.inf),
        ("1 & 2", [3.0, 2.0], 3.0),
        ("1 & 2", [3.0, math.inf], math.inf),
        ("1 & (2 | 3)", [1.0, math.inf, 4.0], 4.0),
        ("1 | 2 & 3", [9.0, 1.0, 5.0], 5.0),
    ],
)
def test_it_becomes_true_when_enough_of_its_rules_are(text, times, expected):
    assert Combination(text, len(times)).true_from(times) == expected
