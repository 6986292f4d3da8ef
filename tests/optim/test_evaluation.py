"""One call of a loss.

Invariants:

* One finite real number, in whatever wrapping, is `ok`; nan and infinities are `nonfinite` and keep their value.
* Anything else that is returned, and any `Exception`, is `exception` with a text that says what was wrong.
* Interrupts pass. The loss may change its argument: it is its own.
* A copy of the process that the loss makes does not go on with the work of the process.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from optim.errors import Interrupt
from optim.evaluation import evaluate_loss
from optim.outcome import Outcome


@pytest.mark.parametrize(
    "returned", [2.0, 2, np.float32(2), np.int64(2), np.array(2.0), np.array([2.0]), np.array([[2]])]
)
def test_one_real_number_is_the_loss(returned):
    result = evaluate_loss(lambda x: returned, [1.0])
    assert result == (Outcome.OK, 2.0, "", "", None)
    assert type(result.loss) is float


@pytest.mark.parametrize(
    "returned", [float("nan"), float("inf"), np.float64("-inf"), np.array([np.inf]), np.ma.masked]
)
def test_what_is_not_finite_keeps_its_value(returned):
    result = evaluate_loss(lambda x: returned, [1.0])
    assert result.outcome is Outcome.NONFINITE
    assert np.array_equal(result.loss, float(np.ma.filled(returned, np.nan).item()), equal_nan=True)
    assert result.text == f"the loss returned {result.loss}"


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (None, "None"),
        ("2.0", "str '2.0'"),
        (2j, "complex 2j"),
        (np.complex128(2j), "complex128"),
        (True, "bool True"),
        (np.bool_(True), "True"),
        (np.array([1.0, 2.0]), r"an array of shape \(2,\)"),
        (np.array([]), r"an array of shape \(0,\)"),
        ([2.0], r"list \[2.0\]"),
    ],
)
def test_what_is_no_real_number_is_named(returned, named):
    result = evaluate_loss(lambda x: returned, [1.0])
    assert result.outcome is Outcome.EXCEPTION
    assert np.isnan(result.loss)
    with pytest.raises(TypeError, match=f"^the loss returned .*{named}.*; it must return one real number$"):
        raise result.error
    assert result.text == f"TypeError: {result.error}"


def test_an_exception_is_an_outcome_with_its_text_and_traceback():
    def loss(x):
        raise ValueError("no convergence")

    result = evaluate_loss(loss, [1.0])
    assert result.outcome is Outcome.EXCEPTION
    assert result.text == "ValueError: no convergence"
    assert "in loss" in result.traceback
    assert isinstance(result.error, ValueError)


class SpeechlessError(Exception):
    def __str__(self):
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (SystemExit("SCF failed"), "SystemExit: SCF failed"),
        (SystemExit(), "SystemExit"),
        (GeneratorExit("closed"), "GeneratorExit: closed"),
        (BaseException("of its own"), "BaseException: of its own"),
        (SpeechlessError(), "SpeechlessError"),
        (ValueError("caf\udce9"), "ValueError: caf\\udce9"),
        (ValueError("x" * 9999), f"ValueError: {'x' * 3988} ... (10011 characters)"),
    ],
)
def test_whatever_is_raised_has_a_text_that_can_be_kept(raised, text):
    def loss(x):
        raise raised

    result = evaluate_loss(loss, [1.0])
    assert (result.outcome, result.text, result.error) == (Outcome.EXCEPTION, text, raised)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, Interrupt])
def test_interrupts_pass(interrupt):
    def loss(x):
        raise interrupt

    with pytest.raises(interrupt):
        evaluate_loss(loss, [1.0])


@pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"
)  # newer Pythons warn of forks beside threads
@pytest.mark.parametrize("ending", ["returns", "raises", "exits"])
def test_a_copy_of_the_process_ends_where_the_loss_does(ending):
    def loss(x):
        if os.fork() == 0 and ending == "raises":
            raise ValueError
        if ending == "exits":
            sys.exit()
        return 1.0

    evaluate_loss(loss, [1.0])
    _, status = os.wait()
    assert os.waitstatus_to_exitcode(status) == 0


def test_an_exception_without_a_message_is_still_named():
    def loss(x):
        raise ArithmeticError

    assert evaluate_loss(loss, [1.0]).text == "ArithmeticError"


def test_the_loss_gets_an_array_of_its_own():
    x = np.array([1.0, 2.0])

    def loss(own):
        assert own.dtype == np.float64
        own[:] = 0.0
        return 1.0

    assert evaluate_loss(loss, x).loss == 1.0
    assert x.tolist() == [1.0, 2.0]
