"""The process in which `tasks.child` has losses evaluated; run as a script.

Arguments: the file descriptor of its end of a connection; and as JSON `sys.path`, and the limit of its memory in bytes
or null. Then comes one request (entry point, folder, point, whether to tell of the call) after the other. Each is
answered with the time when the loss is called, if that is to be told, and with what came of it: the evaluation as a
plain tuple, which takes a quarter of the time on its way, the traceback, and whether this process ends. One without a
point is answered with the problem's description, or why there is none.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

IDLE_S = 600.0
"""A process that has had nothing to do for so long ends; its run has most likely ended, too."""


def main(descriptor: str, circumstances: str) -> None:
    """Answer requests until there are no more, or memory has run out."""
    connection: Connection[Any, Any] = Connection(int(descriptor))
    sys.path[:], memory_limit = json.loads(circumstances)
    while connection.poll(IDLE_S):
        try:
            request = connection.recv()
        except EOFError:
            return
        entry_point, folder, x, tells = request
        if x is None:
            answer = _description(entry_point, folder)
        else:
            answer = _answer(connection, entry_point, folder, x, tells, memory_limit)
        connection.send(answer)
        if answer[-1]:
            return


def _description(entry_point: str, folder: str | None) -> tuple[Any, str, bool]:
    from optim.errors import ProblemError
    from tasks.problem import describe

    try:
        return describe(entry_point, folder), "", True
    except ProblemError as error:
        return {}, str(error), True


def _answer(
    connection: Connection[Any, Any],
    entry_point: str,
    folder: str | None,
    x: list[float],
    tells: bool,
    memory_limit: int | None,
) -> tuple[Any, str, bool]:
    from optim.outcome import Outcome
    from tasks.evaluation import NAN, Evaluation, evaluate_here, name_of_process

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limited, unlimited = (_lower(memory_limit, most), most), (most, most)

    def on_call() -> None:
        if tells:
            connection.send(time.time())
        resource.setrlimit(resource.RLIMIT_DATA, limited)

    started_s = time.time()
    try:
        evaluation, error = evaluate_here(entry_point, folder, x, on_call)
        told = "".join(traceback.format_exception(error)) if error else ""
    except MemoryError as memory_error:  # there was not even enough left to say what went wrong
        resource.setrlimit(resource.RLIMIT_DATA, unlimited)
        error, told = memory_error, ""
        evaluation = Evaluation(
            Outcome.EXCEPTION, NAN, "MemoryError", started_s, time.time(), name_of_process(os.getpid())
        )
    resource.setrlimit(resource.RLIMIT_DATA, unlimited)
    # What has leaked stays: the next loss would find no memory, either.
    return (evaluation.outcome.value, *evaluation[1:]), told, isinstance(error, MemoryError)


def _lower(limit: int | None, most: int) -> int:
    if limit is None or (most != resource.RLIM_INFINITY and most < limit):
        return most
    return limit


if __name__ == "__main__":
    main(*sys.argv[1:])
