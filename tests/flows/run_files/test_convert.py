"""`shoal convert`: run files in TOML, YAML and ParAMS' block syntax.

Invariants: a file in any format gives the settings that it was written from, for every policy and whatever people put
into free text and free tables; blocks are read in every spelling of names; nothing is overwritten unasked; what cannot
be written or read is one message, and nothing is written.
"""

import json
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from click import UsageError
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.cli import exit_code, shoal
from flows.run_files.block_text import to_blocks
from flows.run_files.names import settings_of
from flows.run_files.reading import read_settings
from flows.run_files.writing import run_text
from flows.settings import RunSettings
from optim.errors import ShoalError
from optim.options import Policy
from optim.registry import KINDS, catalogue
from optim.strategy import ContradictionsError

EXAMPLES = sorted((Path(__file__).parents[3] / "deployments/examples").glob("*.*"))
SUFFIXES = {"toml": ".toml", "yaml": ".yaml", "blocks": ".in"}

CANDIDATES = (
    *(0.25, 3, 7, 5.0, True, "a label # 1", "Powell", "vd", ["a", "b c"], [0.8, 1.2], [500], {"maxiter": 50}),
    *([[0.5, 2], {"a": 1.0, "b c": 2}], {"tolfun": 1e-9}),
)
"""What an option of a policy may take; the first that fits and is not the default is taken."""


class Sample(NamedTuple):
    """A policy, with other options than its defaults."""

    kind: type[Policy]
    policy: type[Policy]

    def __str__(self):
        return f"{self.kind.__name__}-{self.policy.type_name()}"

    @property
    def options(self):
        options = {}
        for setting in settings_of(self.policy):
            for candidate in CANDIDATES:
                if candidate != setting.field.default and self._takes({**options, setting.key: candidate}):
                    options[setting.key] = candidate
                    break
        return options

    def _takes(self, options):
        try:
            self.policy.model_validate(options)
        except ValidationError as error:
            return all(detail["type"] == "missing" for detail in error.errors())
        return True

    def run(self):
        """Settings of a run with it."""
        key, is_list = {
            "Optimizer": ("optimizer", True),
            "Stopper": ("stopper", True),
            "ExitCondition": ("exit_condition", True),
            "Generator": ("generator", False),
            "Selector": ("optimizer_selector", False),
        }[self.kind.__name__]
        policy = {"type": self.policy.type_name(), **self.options}
        around = {
            "problem": "a:b",
            "validation": {"problem": "a:c"},
            "optimizer": [{"label": "a label # 1"}, {"type": "Scipy"}],
            "stopper": [{"type": "MaxFunctionCalls", "max": 9}],
        }
        return RunSettings.model_validate({**around, key: [policy] if is_list else policy})


SAMPLES = [Sample(kind, policy) for kind in KINDS for policy in catalogue(kind).values()]


@pytest.fixture(scope="module")
def reread(tmp_path_factory):
    """Text of a run file, read as that format."""
    folder = tmp_path_factory.mktemp("texts")

    def reread(text, written_as):
        path = (folder / "run").with_suffix(SUFFIXES[written_as])
        path.write_text(text, encoding="utf-8")
        return read_settings(path)[1]

    return reread


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text('problem = "a:b"  # a comment\nseed = 3\n')
    return tmp_path


def call(*words):
    """The command, in this process: its exit code, and what it printed or why it stopped."""
    result = CliRunner().invoke(shoal, ["convert", *words], standalone_mode=False)
    if isinstance(result.exception, ShoalError):
        return exit_code(result.exception), str(result.exception)
    if isinstance(result.exception, UsageError):
        return result.exception.exit_code, result.exception.message
    if result.exception is not None:
        raise result.exception
    return result.return_value or 0, result.stdout


def in_every_spelling(text):
    """Names and types in lower case, in upper case and with underscores; the keys of a library are its own."""
    for spell in (str.lower, str.upper, "_".join):
        lines, is_free = [], False
        for line in text.splitlines():
            key, *value = line.split(maxsplit=1)
            if is_free or key == "End":
                is_free = is_free and key != "End"
                lines.append(line)
            else:
                is_free = key in ("Settings", "Points")
                lines.append(" ".join([spell(key), *(map(spell, value) if key == "Type" else value)]))
        yield "\n".join(lines)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_policy_survives_every_format_and_every_spelling(reread, sample):
    if sample.policy.type_name() == "Nevergrad":
        pytest.importorskip("nevergrad", reason="an optional package")
    run = sample.run()
    for to in SUFFIXES:
        assert reread(run_text(run, to), to) == run
    for spelled in in_every_spelling(to_blocks(run).replace("\n\n", "\n")):
        assert reread(spelled, "blocks") == run


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = TEXT.filter(lambda name: name and name.isprintable() and name == name.strip())
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
SCALARS = st.booleans() | NUMBERS | TEXT | st.dates() | st.datetimes()
TABLES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RUNS = st.fixed_dictionaries(
    {
        "problem": st.just("a:b"),
        "optimizer": st.lists(
            st.fixed_dictionaries(
                {"label": TEXT, "parameters": st.lists(TEXT, max_size=3)},
                optional={"sigma0": st.floats(1e-300, 1e300), "popsize": st.integers(2, 10**20)},
            ),
            min_size=1,
            max_size=2,
        ),
    },
    optional={
        "baseline": st.sampled_from([True, False, "tolerate"]),
        "constraint": st.lists(TEXT, max_size=3),
        "parameter": st.lists(st.fixed_dictionaries({"name": NAMES}, optional={"unit": TEXT}), max_size=2),
        "generator": st.fixed_dictionaries(
            {
                "type": st.just("List"),
                "points": st.lists(
                    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3)
                    | st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
                    min_size=1,
                    max_size=3,
                ),
            }
        ),
        "cluster": st.fixed_dictionaries(
            {"class": TEXT, "kwargs": st.dictionaries(TEXT, TABLES, max_size=3)}
        ),
        "store": st.fixed_dictionaries({}, optional={"location": TEXT, "flush_s": st.floats(0.001, 10)}),
    },
)


@settings(max_examples=60, deadline=None)
@given(RUNS)
def test_whatever_people_write_survives_every_format(reread, given_run):
    run = RunSettings.model_validate(given_run)
    for to in SUFFIXES:
        again = reread(run_text(run, to), to)
        assert again == run
        assert [one.model_fields_set for one in again.parameters] == [
            one.model_fields_set for one in run.parameters
        ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_survive_a_detour_through_every_format(place, example):
    steps = [example, "a.yaml", "b.in", "c.toml", "d.params", "e.yml"]
    for source, target in pairwise(steps):
        code, text = call(str(source), target)
        assert (code, "comments were not kept" in text) == (0, True)
    assert read_settings(place / "e.yml")[1] == read_settings(example)[1]


def test_toml_is_written_as_people_write_it(place):
    call(str(EXAMPLES[0].with_name("lj_argon_4.toml")), "run.in")
    code, text = call("run.in", "-")
    assert code == 0
    assert text.startswith('problem = "optim.problems.lj_argon:problem"\nseed = 7\nparallel_optimizers = 5\n')
    assert text.count("[[optimizer]]\ntype = ") == 2
    assert '[[exit_condition]]\ntype = "MaxOptimizersConverged"\nmax = 5\n' in text
    assert "sampler" not in text  # what was not given is left to the defaults


def test_a_format_can_be_asked_for(place):
    assert call("run.toml", "-", "--to", "blocks") == (0, "Problem a:b\nSeed 3\n")
    assert call("run.toml", "-", "--to", "yaml") == (0, "problem: a:b\nseed: 3\n")
    call("run.toml", "odd.txt", "--to", "yaml")
    assert (place / "odd.txt").read_text() == "problem: a:b\nseed: 3\n"


def test_nothing_is_overwritten_unasked(place):
    (place / "run.in").write_text("mine")
    code, text = call("run.toml", "run.in")
    assert (code, text) == (2, "run.in is there already; name another file, or write over it with --force")
    assert (place / "run.in").read_text() == "mine"
    assert call("run.toml", "run.in", "--force")[0] == 0
    assert read_settings(place / "run.in")[1].seed == 3


def test_bad_input_is_refused_with_every_fault_and_nothing_is_written(place):
    (place / "bad.in").write_text("Problem a:b\nSede 3\nSeed x\n")
    code, text = call("bad.in", "out.toml")
    assert code == 2
    assert "line 2, Sede: unknown key 'Sede'; did you mean 'Seed'?" in text
    assert "line 3, Seed: given 'x'" in text
    assert not (place / "out.toml").exists()
    assert call("run.toml", "nowhere/out.in") == (
        1,
        "cannot write nowhere/out.in: No such file or directory; name another file",
    )


def test_a_null_that_means_nothing_is_left_out_and_one_that_means_something_is_refused(place):
    text = "problem: a:b\nseed: null\ncluster:\n  class: a.B\n  kwargs:\n    queue: null\n"
    (place / "run.yaml").write_text(text)
    code, message = call("run.yaml", "-", "--to", "toml")
    assert code == 2
    assert "line 6, cluster, kwargs, queue: the value None cannot be written" in message
    assert call("run.yaml", "-", "--to", "yaml")[0] == 0
    (place / "run.yaml").write_text("problem: a:b\nseed: null\nparameter:\n- name: a\n  lower: null\n")
    assert "line 5, parameter 1, lower" in call("run.yaml", "-", "--to", "blocks")[1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "the key 1 is no text"),
        ({"a": b"x"}, "the value b'x' cannot be written"),
        ({"a": "\ud800"}, "surrogates not allowed"),
        (json.loads("[" * 60 + "]" * 60), "is nested too deeply"),
    ],
)
def test_what_no_format_holds_is_refused(value, message):
    run = RunSettings(
        problem="a:b", cluster={"class": "a.B", "kwargs": {"day": date(2020, 1, 1), "given": value}}
    )
    with pytest.raises(ContradictionsError, match=message):
        run_text(run, "toml")
