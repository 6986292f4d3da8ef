"""Run files: read, overridden, and refused with one message that lists every fault.

Invariants: TOML and YAML give the same settings; each fault has its line, what was given, what is allowed and the
nearest word; no input gives anything but settings or that message.
"""

import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.run_files.faults import InvalidSettingsError
from flows.run_files.reading import read_settings
from flows.settings import RunSettings
from optim.generators.random import Random
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from optim.selectors.chain import Chain

EXAMPLES = sorted((Path(__file__).parents[3] / "deployments/examples").glob("*.toml"))

GOOD = """\
problem = "fit:loss"
seed = 3
parallel_optimizers = 4

[[parameter]]
name = "a"
initial = 0.5
lower = -1.0
upper = 2.0

[generator]
type = "Random"

[[optimizer]]
type = "Scipy"
algorithm = "Nelder-Mead"

[[optimizer]]
sigma0 = 0.15

[optimizer_selector]
type = "Chain"
thresholds = [500]

[[stopper]]
type = "MaxInteroptimizerDistance"
max_relative_distance = 0.01

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 100
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def faults_in(path, overrides=()):
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings(path, overrides)
    assert "nothing was started" in str(caught.value)
    return [str(fault) for fault in caught.value.faults]


def test_a_good_file_gives_its_settings(write):
    file, found = read_settings(write(GOOD))
    assert file.text == GOOD
    assert found.optimizers == (Scipy(algorithm="Nelder-Mead"), CMAES(sigma0=0.15))
    assert found.generator == Random()
    assert found.optimizer_selector == Chain(thresholds=[500])
    assert (found.seed, found.parallel_optimizers, found.baseline) == (3, 4, True)


def test_yaml_gives_the_same_settings(write):
    text = yaml.safe_dump(tomllib.loads(GOOD))
    assert read_settings(write(text, "run.yaml"))[1] == read_settings(write(GOOD))[1]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_good(path):
    assert read_settings(path)[1].problem


def test_settings_survive_json(write):
    found = read_settings(write(GOOD))[1]
    assert RunSettings.model_validate(found.model_dump(mode="json")) == found
    assert RunSettings.model_validate_json(found.model_dump_json()) == found


def test_overrides_win_over_the_file(write):
    overrides = ["seed=9", "generator.type=SinglePoint", "exit_condition.1.max=7", "cluster.workers=2"]
    found = read_settings(write(GOOD), overrides)[1]
    assert found.seed == 9
    assert found.generator.type_name() == "SinglePoint"
    assert found.exit_conditions[0].max == 7
    assert found.cluster.workers == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("seed = 3", "sede = 3"), "line 2, sede: unknown key 'sede'; did you mean 'seed'?"),
        (("seed = 3", "seed = -3"), "line 2, seed: given -3; input should be greater than or equal to 0"),
        (("seed = 3", 'seed = "3"'), "line 2, seed: given '3'; input should be a valid integer"),
        (('"Random"', '"Randem"'), "line 12, generator, type: unknown type 'Randem'; did you mean 'Random'?"),
        (('"MaxTotalFunctionCalls"', '"MaxTotalCals"'), "did you mean 'MaxTotalFunctionCalls'?"),
        (('type = "MaxInteroptimizerDistance"\n', ""), "stopper 1: has no type; allowed are Best"),
        (("max_relative_distance = 0.01\n", ""), "stopper 1, max_relative_distance: is missing"),
        (
            ("sigma0 = 0.15", "sigma = 0.15"),
            "line 19, optimizer 2, sigma: unknown key 'sigma'; did you mean 'sigma0'?",
        ),
        (
            ("sigma0 = 0.15", "sigma0 = 0"),
            "line 19, optimizer 2, sigma0: given 0; input should be greater than 0",
        ),
        (("seed = 3", 'constraint = "a > b"'), "given 'a > b'; input should be a list, in brackets"),
        (('"Nelder-Mead"', '"Nelder-Meat"'), "did you mean 'Nelder-Mead'?"),
        (
            ("initial = 0.5", "initial = 5.0"),
            "line 5, parameter 1: initial (5) must lie within its bounds, -1 to 2",
        ),
        (
            ("upper = 2.0", "upper = inf"),
            "line 9, parameter 1, upper: given inf; input should be a finite number",
        ),
        (("thresholds = [500]", "thresholds = [5, 6]"), "a Chain of 2 optimizers needs 1 thresholds, got 2"),
        (("thresholds = [500]", "thresholds = 5"), "line 23, optimizer_selector, thresholds: given 5;"),
        (
            ("seed = 3", 'stopper_boolean_combination = "1 | 4"'),
            "line 2, stopper_boolean_combination: the combination",
        ),
        (('"fit:loss"', '"fit.loss"'), "line 1, problem: given 'fit.loss'; it must be module:attribute"),
        (("seed = 3", 'baseline = "maybe"'), "baseline"),
        (("[generator]", "[[generator]]"), "generator"),
        (("[[stopper]]", "[stopper]"), "stopper"),
    ],
)
def test_each_fault_says_where_it_is_and_what_is_allowed(write, change, fault):
    text = GOOD.replace(*change)
    assert text != GOOD
    found = faults_in(write(text))
    assert any(fault in line for line in found), found


def test_all_faults_are_told_at_once(write):
    text = (
        GOOD.replace("seed = 3", "sede = 3").replace('"Random"', '"Randem"').replace("max = 100", "max = 0")
    )
    assert len(faults_in(write(text))) == 3


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("seed", "--set seed: must be key=value"),
        ("=3", "must be key=value"),
        ("exit_condition.2.max=7", "there are 1 such blocks, numbered from 1"),
        ("exit_condition.max=7", "there are 1 such blocks, numbered from 1"),
        ("seed.deep=3", "is not a setting"),
        ("exit_condition.1.max=none", "--set exit_condition.1.max=none, exit_condition 1, max: given 'none'"),
    ],
)
def test_a_bad_override_is_told_as_such(write, override, fault):
    assert any(fault in line for line in faults_in(write(GOOD), [override]))


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("run.toml", "problem = ", "Invalid value (at end of document)"),
        ("run.yaml", "problem: [", "expected the node content"),
        ("run.yaml", "- 1\n", "must hold settings as key = value"),
        ("run.yaml", "", "must hold settings as key = value"),
        ("run.toml", "", "problem: is missing"),
    ],
)
def test_what_is_no_run_file_is_refused(write, name, text, fault):
    assert any(fault in line for line in faults_in(write(text, name)))


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    assert "cannot be read: No such file" in faults_in(tmp_path / "none.toml")[0]
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in faults_in(tmp_path / "binary.toml")[0]


LINES = GOOD.splitlines()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(
        ["", "[[stopper]]", "[generator]", 'type = "Chain"', "max = []", "x", "= 1", 'a.b = {c = "d"}', "seed = 1e999",
         "initial = nan", '[[parameter.name]]', 'problem = "os:abort"', "[store]\nlocation = 3", "[cluster]\nclass = 1"]
    )), max_size=4),
    st.lists(st.text(max_size=12), max_size=2),
)  # fmt: skip
def test_no_input_gives_a_traceback(tmp_path_factory, edits, overrides):
    lines = list(LINES)
    for at, line in edits:
        lines[at] = line
    path = tmp_path_factory.mktemp("fuzz") / "run.toml"
    path.write_text("\n".join(lines))
    try:
        read_settings(path, overrides)
    except InvalidSettingsError as error:
        assert error.faults  # noqa: PT017  either outcome is right; this one must say something


def test_contradictions_are_found_beside_other_faults(write):
    text = GOOD.replace("seed = 3", 'sede = 3\nstopper_boolean_combination = "1 | 2"')
    text = text.replace("thresholds = [500]", "thresholds = [500, 600]").replace(
        '"Random"', '"ExploreExploit"'
    )
    faults = faults_in(write(text))
    assert len(faults) == 4
    assert faults[0].startswith("line 2, sede: unknown key")
    assert "it names 2, but there are 1" in faults[1]
    assert faults[2] == "line 12, generator, max_function_calls: is missing"
    assert "a Chain of 2 optimizers needs 1 thresholds, got 2" in faults[3]


def test_what_refers_to_a_faulty_block_is_not_blamed(write):
    text = GOOD.replace("max_relative_distance = 0.01\n", "").replace(
        "seed = 3", 'seed = 3\nstopper_boolean_combination = "1"'
    )
    assert faults_in(write(text)) == [
        "line 26, stopper 1, max_relative_distance: is missing",
    ]
