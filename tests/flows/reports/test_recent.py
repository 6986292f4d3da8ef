"""How fast a run goes lately.

Invariants: lately has at least five seconds and twenty evaluations in it, or all that there is; a run that stands
still gets slower; the number of looks that are kept never grows; nothing is told of nothing.
"""

import pytest

from flows.reports.recent import MOST_LOOKS, Rates, Recent


def recent(*looks):
    made = Recent()
    for look in looks:
        made.note(*look)
    return made


def test_nothing_is_told_of_nothing():
    assert recent().rates(1.0, 5, 0.0) == Rates()
    assert recent((0.0, 0, 0.0)).rates(0.0, 0, 0.0).per_s is None
    assert recent((0.0, 0, 0.0)).rates(9.0, 0, 0.0).busy is None


def test_what_was_long_ago_does_not_count():
    made = recent(*((float(at), 10 * at, 5.0 * at) for at in range(100)))
    made.note(100.0, 1000, 500.0)
    rates = made.rates(110.0, 2000, 530.0)
    assert rates.since_s == 100.0
    assert rates.per_s == 100.0
    assert rates.busy == 3.0


def test_few_evaluations_are_counted_from_the_beginning():
    made = recent(*((float(at), at // 10, 0.0) for at in range(100)))
    assert made.rates(100.0, 10, 0.0).per_s == 0.1


def test_a_run_that_stands_still_gets_slower():
    made = recent(*((float(at), 10 * at, 0.0) for at in range(11)))
    rates = [made.rates(at, 100, 0.0).per_s for at in (10.0, 15.0, 30.0)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 2 * rates[-1]


@pytest.mark.parametrize(
    ("took_s", "evaluations", "is_steady"), [(4.9, 99, False), (5.0, 9, False), (5.0, 10, True)]
)
def test_the_future_is_told_from_enough_only(took_s, evaluations, is_steady):
    assert (recent((0.0, 0, 0.0)).rates(took_s, evaluations, 0.0).steady_per_s is not None) is is_steady


def test_looks_never_pile_up():
    made = recent(*((0.1 * at, at, 0.0) for at in range(50_000)))
    assert len(made._looks) <= MOST_LOOKS
    assert made.rates(5000.0, 50_000, 0.0).per_s == pytest.approx(10.0, rel=0.2)
