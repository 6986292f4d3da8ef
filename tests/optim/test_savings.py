"""What stoppers saved.

Invariants: an optimizer is compared with those of its own label only; only ends that a stopper or the optimizer itself
chose count; where there is nothing to compare, nothing is claimed.
"""

import pytest

from optim.savings import lengths_by_label


def test_each_label_is_compared_with_itself():
    lengths = lengths_by_label(
        [
            ("simplex", "stopped", 20),
            ("simplex", "stopped", 30),
            ("simplex", "converged", 110),
            ("simplex", "gave up", 90),
            ("population", "stopped", 400),
            ("population", "converged", 300),
        ]
    )
    assert lengths["simplex"] == (2, 50, 2, 200)
    assert lengths["simplex"].saved == 150
    assert lengths["population"].saved == -100


@pytest.mark.parametrize("end", ["", "exit", "crashed", "by hand"])
def test_other_ends_do_not_count(end):
    lengths = lengths_by_label([("a", "stopped", 5), ("a", "converged", 10), ("a", end, 1000)])
    assert lengths["a"].saved == 5


@pytest.mark.parametrize("end", ["stopped", "converged"])
def test_one_kind_of_end_alone_says_nothing(end):
    assert lengths_by_label([("a", end, 5)])["a"].saved is None
