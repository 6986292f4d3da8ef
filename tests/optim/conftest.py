"""Sessions with a journal in memory, and a clock that is set by hand."""

import json

import pytest

from optim.journal import INPUT_KINDS, EvaluationRow, EventKind, ValidationRow
from optim.manager import Manager
from optim.messages import Dropped, Evaluated, SessionStart, Submit, TimeUp, Validated
from optim.replay import Replayed
from optim.session import Session


class Rows:
    """A journal in memory."""

    def __init__(self):
        self.evaluations = []
        self.validations = []
        self.events = []

    def add_evaluation(self, row):
        self.evaluations.append(row)

    def add_validation(self, row):
        self.validations.append(row)

    def add_event(self, row):
        self.events.append(row)

    def inputs(self):
        events = [row for row in self.events if row.kind in INPUT_KINDS]
        return sorted([*self.evaluations, *self.validations, *events], key=lambda row: row.sequence)

    def of_kind(self, kind):
        return [row for row in self.events if row.kind is kind]

    def replay(self, manager):
        """Feed everything to a fresh manager; what it asks for must be what was evaluated.

        Returns:
            What it asked for and never got: optimizer, call, and whether it is a validation.
        """
        asked = {}
        for row in self.inputs():
            event = _event(row)
            if isinstance(row, EvaluationRow):
                assert asked.pop((row.optimizer, row.call, False)).x.tolist() == row.x.tolist()
            elif isinstance(row, ValidationRow):
                assert asked.pop((row.optimizer, row.call, True)).validates == row.evaluation
            elif isinstance(event, Dropped):
                del asked[*event, False]
            for command in manager.handle(event):
                if isinstance(command, Submit):
                    asked[command.optimizer, command.call, command.validates > 0] = command
        return list(asked)


def _event(row):
    """What the manager was told when a row was written."""
    if isinstance(row, EvaluationRow):
        return Evaluated(row.optimizer, row.call, row.outcome, row.loss)
    if isinstance(row, ValidationRow):
        return Validated(row.optimizer, row.call, row.outcome, row.loss)
    if row.kind is EventKind.DROPPED:
        return Dropped(row.optimizer, row.call)
    if row.kind is EventKind.TIME_UP:
        return TimeUp(json.loads(row.data)["condition"])
    return SessionStart()


class Clock:
    """Shows what it was set to; each look at it takes `pace_s`."""

    def __init__(self, pace_s=0.0):
        self.now_s = 0.0
        self.pace_s = pace_s

    def __call__(self):
        self.now_s += self.pace_s
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def begun(clock):
    """Makes a session that has begun, and its journal."""

    def begin(strategy, space, seed=4, spent_s=0.0):
        rows = Rows()
        session = Session(Manager(strategy, space, seed), rows, clock)
        session.take_over(Replayed((), frozenset(), 0, (), 0, 0.0, spent_s))
        session.begin("the tests")
        return session, rows

    return begin
