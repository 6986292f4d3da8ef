"""`AskTell` keeps the order of calls honest and turns every end into an `End`."""

import numpy as np
import pytest

from optim.ask_tell import AskTell, Batch, End, EndKind
from optim.errors import OutOfOrderError

POINT = np.zeros(2)


def two_steps():
    yield Batch((POINT,))
    yield Batch((POINT, POINT))
    return End(EndKind.CONVERGED, "two steps were enough")


def test_it_asks_and_tells_in_turns_until_it_ends():
    living = AskTell(two_steps())
    assert len(living.ask().points) == 1
    living.tell([1.0])
    assert len(living.ask().points) == 2
    assert living.end is None
    living.tell([1.0, 2.0])
    assert living.end == End(EndKind.CONVERGED, "two steps were enough")


def test_asking_twice_is_refused():
    living = AskTell(two_steps())
    living.ask()
    with pytest.raises(OutOfOrderError, match=r"ask\(\) was called twice in a row; call tell\(\)"):
        living.ask()


def test_telling_what_was_not_asked_is_refused():
    living = AskTell(two_steps())
    with pytest.raises(OutOfOrderError, match=r"tell\(\) was called without an ask\(\)"):
        living.tell([1.0])


def test_the_number_of_losses_must_be_that_of_the_points():
    living = AskTell(two_steps())
    living.ask()
    with pytest.raises(ValueError, match="expected 1 losses, got 2"):
        living.tell([1.0, 2.0])


@pytest.mark.parametrize("over", [lambda living: living.close(), lambda living: living.tell([1.0])])
def test_asking_after_the_end_says_what_the_end_was(over):
    def one_step():
        yield Batch((POINT,))
        return End(EndKind.GAVE_UP, "tired")

    living = AskTell(one_step())
    living.ask()
    over(living)
    with pytest.raises(OutOfOrderError, match="has ended"):
        living.ask()


def test_an_algorithm_that_raises_has_crashed_and_keeps_its_traceback():
    def broken():
        yield Batch((POINT,))
        raise ZeroDivisionError("no slope")

    living = AskTell(broken())
    living.ask()
    living.tell([1.0])
    assert living.end.kind is EndKind.CRASHED
    assert "ZeroDivisionError: no slope" in living.end.reason
    assert "broken" in living.end.reason


def test_closing_lets_the_algorithm_clean_up_and_is_idempotent():
    cleaned = []

    def tidy():
        try:
            yield Batch((POINT,))
        finally:
            cleaned.append(True)
        return End(EndKind.CONVERGED, "")

    living = AskTell(tidy())
    living.close()
    living.close()
    assert cleaned == [True]
