"""What several run files, and their losses, have in common."""

TWO_PARAMETERS = """\
[[parameter]]
name = "a"
initial = 0.5
lower = -1.0
upper = 2.0

[[parameter]]
name = "b"
initial = 0.5
lower = -1.0
upper = 2.0
"""

LOSS_THAT_DIES = """\
import os


def loss(x):
    if os.environ.get("KILL_AT"):
        with open("calls", "a") as file:
            file.write("x")
        if os.path.getsize("calls") == int(os.environ["KILL_AT"]):
            os.kill(os.getpid(), 9)
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)
"""
"""Kills its process at the call whose number is in `KILL_AT`; a bowl."""
