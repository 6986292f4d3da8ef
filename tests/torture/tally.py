"""What was killed how often, and every fault that was seen."""

from __future__ import annotations

import sys
import time
from collections import Counter


class Tally:
    """Counts kills and collects faults; says both as they happen.

    Attributes:
        kills: How often each victim was killed.
        checks: How often each other promise was tried.
        faults: What should not have been.
        lost_s: How old the oldest finished evaluation was that a kill lost, at most over all kills; seconds.
        repeated: How many finished evaluations were lost, and so made again.
    """

    def __init__(self) -> None:
        self.kills: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.faults: list[str] = []
        self.lost_s = 0.0
        self.repeated = 0
        self._began_s = time.monotonic()

    def say(self, text: str) -> None:
        """Tell a person how it goes."""
        sys.stderr.write(f"[{time.monotonic() - self._began_s:5.0f} s] {text}\n")

    def kill(self, victim: str) -> None:
        """Count one kill."""
        self.kills[victim] += 1

    def expect(self, is_so: bool, fault: str) -> bool:
        """Note a fault unless it is so."""
        if not is_so:
            self.faults.append(fault)
            self.say(f"FAULT: {fault}")
        return is_so
