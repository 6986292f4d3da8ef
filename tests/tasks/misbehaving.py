"""Losses that do what no loss should, by name; isolated ones only, or they take the tests with them.

As problems of one parameter, `ends` does the one at that place in `ENDS`, and `hangs` that in `HANGS`: each collection
is one grid.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

LEAKED = []


class SpeechlessError(Exception):
    def __str__(self):
        raise ValueError("no words")


def behaves(x):
    return float(x[0] ** 2)


def raises(x):
    raise ValueError("no convergence")


def raises_unspeakably(x):
    raise SpeechlessError


def raises_unprintably(x):
    raise ValueError("\udc80")


def raises_at_length(x):
    raise ValueError("x" * 10_000_000)


def exits(x):
    sys.exit("SCF failed")


def returns_nan(x):
    return float("nan")


def returns_infinity(x):
    return float("inf")


def returns_none(x):
    return None


def returns_text(x):
    return "0.5"


def returns_array(x):
    return np.zeros(3)


def returns_complex(x):
    return 2j


def returns_masked(x):
    return np.ma.masked


def prints(x):
    for _ in range(1000):
        sys.stdout.write("SCF did not converge\n")
    return 1.0


def leaks(x):
    while True:
        LEAKED.append(np.ones(1_000_000))


def leaks_in_crumbs(x):
    while True:
        LEAKED.append(bytes(1000))


def ends_as_if_well(x):
    os._exit(0)


def ends_badly(x):
    os._exit(3)


def is_killed(x):
    os.kill(os.getpid(), signal.SIGKILL)


def crashes(x):
    ctypes.string_at(0)


def closes_all_files(x):
    os.close(2)  # where the interpreter would complain
    os.closerange(3, 256)
    return 1.0


def forks(x):
    os.fork()
    return 1.0


def forks_and_dies(x):
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(4)


def hangs_in_c(x):
    os.write(1, b"hanging\n")
    ctypes.PyDLL(None).pause()  # holds the interpreter's lock: no Python code runs, not even a signal handler


def hangs_in_a_program(x):
    subprocess.run(["sh", "-c", "echo hanging; exec sleep 1000"])


def dies_at_first(x):
    """Passes from the second call on."""
    marker = Path(__file__).with_name("died")
    if not marker.exists():
        marker.touch()
        os._exit(1)
    return 1.0


ENDS = [
    ("behaves", "ok", ""),
    ("raises", "exception", "ValueError: no convergence"),
    ("raises_unspeakably", "exception", "SpeechlessError"),
    ("raises_unprintably", "exception", r"ValueError: \\udc80"),
    ("raises_at_length", "exception", r"ValueError: x+ \.\.\. \(10000012 characters\)"),
    ("exits", "exception", "SystemExit: SCF failed"),
    ("returns_nan", "nonfinite", "the loss returned nan"),
    ("returns_infinity", "nonfinite", "the loss returned inf"),
    ("returns_none", "exception", "TypeError: the loss returned None; .*"),
    ("returns_text", "exception", "TypeError: the loss returned str '0.5'; .*"),
    ("returns_array", "exception", r"TypeError: the loss returned an array of shape \(3,\); .*"),
    ("returns_complex", "exception", "TypeError: the loss returned complex 2j; .*"),
    ("returns_masked", "nonfinite", "the loss returned nan"),
    ("prints", "ok", ""),
    ("leaks", "exception", ".*MemoryError.*"),
    ("leaks_in_crumbs", "exception", "MemoryError"),
    ("ends_as_if_well", "worker_lost", "the process of the loss ended with exit code 0"),
    ("ends_badly", "worker_lost", "the process of the loss ended with exit code 3"),
    ("is_killed", "worker_lost", "the process of the loss ended by signal SIGKILL, as when memory runs out"),
    ("crashes", "worker_lost", "the process of the loss ended by signal SIGSEGV"),
    ("closes_all_files", "worker_lost", "the process of the loss ended with exit code .*"),
    ("forks", "ok", ""),
    ("forks_and_dies", "worker_lost", "the process of the loss ended with exit code 4"),
]
"""Each with its outcome and a pattern of its text, with a memory limit of 400 MB and no hurry."""

HANGS = [
    ("hangs_in_c", "timeout", "the loss took more than 1 s"),
    ("hangs_in_a_program", "timeout", "the loss took more than 1 s"),
]
"""The same with a timeout of 1 s, which nothing else is sure to keep on a busy machine."""


def ends(x):
    return globals()[ENDS[round(x[0])][0]](x)


def hangs(x):
    return globals()[HANGS[round(x[0])][0]](x)
