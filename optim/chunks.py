"""How evaluations are divided over task runs, each of which carries a chunk of them."""

from __future__ import annotations

import math


def places_for(evaluations: int, most: int, limit: int, threads: int) -> int:
    """Over how many task runs evaluations are divided: no more than are full, but one for each thread.

    A second one that waits beside the one that runs saves a round trip. Where it would only make both of them smaller,
    it doubles what tracking costs: with 50 one-point optimizers, a loss of 1 ms and two threads on two busy cores, two
    chunks of 25 gave 1.8 times as many evaluations a second as four of 13.

    Args:
        evaluations: That are waiting, or with the workers.
        most: That a chunk may have.
        limit: Of task runs that are with the workers.
        threads: Of the workers.
    """
    return min(limit, max(threads, math.ceil(evaluations / most)))


def chunk_size(waiting: int, in_flight: int, free: int, places: int, most: int) -> int:
    """How many evaluations to send next, so that all places have about as many.

    Nothing waits for a chunk to fill; and no chunk takes what others, that will soon be back, could have shared.

    Args:
        waiting: Evaluations that could be sent now, at least one.
        in_flight: Evaluations that are with the workers.
        free: Places for task runs that are empty, at least one.
        places: All of them.
        most: That a chunk may have.
    """
    of_free, of_all = math.ceil(waiting / free), math.ceil((waiting + in_flight) / places)
    return max(1, min(most, of_free, of_all))
