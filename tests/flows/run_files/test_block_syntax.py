"""Run files in ParAMS' block syntax.

Invariants: a file gives the settings that the same words give in TOML; sub-blocks of other types are checked and
ignored; each fault has its line and speaks in the file's spelling; what the manual prints as a pattern is refused with
help; no input gives a traceback. (`test_convert.py` has every policy in every spelling.)
"""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.run_files.faults import InvalidSettingsError
from flows.run_files.reading import read_settings
from flows.settings import RunSettings
from optim.generators.list import List

EXAMPLES = Path(__file__).parents[3] / "deployments/examples"

MANUAL = """\
Generator
   ExploreExploit
      Focus float
      MaxFunctionCalls integer
   End
   Perturbation
      StandardDeviation float
   End
   Type [Incumbent | ExploreExploit | Perturbation | Random | SinglePoint]
End
OptimizerSelector
   Chain
      Thresholds integer_list
   End
   Type [Cycle | Random | Chain]
End
ControlOptimizerSpawning
   MaxEvaluations integer
   MaxOptimizers integer
End
"""
"""The patterns that the manual of ParAMS prints."""

FILLED = """\
Generator
   ExploreExploit
      Focus 2.0
      MaxFunctionCalls 2500
   End
   Perturbation
      StandardDeviation 0.3
   End
   Type ExploreExploit
End
OptimizerSelector
   Chain
      Thresholds 500
   End
   Type Chain
End
ControlOptimizerSpawning
   MaxEvaluations 1500
   MaxOptimizers 40
End
"""
"""The same with values."""

OWN = """\
! What ParAMS has not, and what surrounds the manual's blocks.
Problem optim.problems.lj_argon:problem
Seed 7
ParallelLevels
   Optimizations 5
End
DataSet
   LoggingInterval 20
End

Optimizer
   Type Scipy
   Label "rough # first"         # a comment
   Scipy
      Algorithm Nelder-Mead
      Tolerance 1e-8
      Settings
         adaptive Yes            ! keys of SciPy's
         maxfev 5_000
      End
   End
End
Optimizer
   CMAES                         # the default type
      PopSize 8
   End
   Parameters eps, 'rmin'
END
Stopper
   Type CurrentFunctionValueUnmoving
   CurrentFunctionValueUnmoving
      NumberOfFunctionCalls 10
      Tolerance 0.05
   End
End
Stopper
   Type OptimizerType
   OptimizerType CMAES
End
stopperbooleancombination 1 | 2
check_stopper_interval 2
ApplyStoppersToBestOptimizer On
ExitCondition
   Type TimeLimit
   TimeLimit 3600
End
ExitCondition
   Type MaxTotalFunctionCalls
   Max 2500
End
Baseline Tolerate
Constraint rmin > 2*eps
Constraint "rmin != 3"
Parameter
   Name eps
   Initial 3e-4
   Active No
End
Parameter
   Name rmin
   Scale Log
   Unit angstrom
End
Validation
   Problem my_fit:check
   Every 3
End
Cluster
   Class dask_jobqueue.SLURMCluster
   Kwargs
      queue normal
      cores 1
      walltime "12:00:00"
      job_extra ["--exclusive", '-v']
      env
         THREADS 2
         "a key" off
      End
   End
End
Store
   FlushS 2
End
"""

IN_TOML = """\
problem = "optim.problems.lj_argon:problem"
seed = 7
parallel_optimizers = 5
logging_interval = 20
stopper_boolean_combination = "1 | 2"
check_stopper_interval = 2
apply_stoppers_to_best_optimizer = true
baseline = "tolerate"
constraint = ["rmin > 2*eps", "rmin != 3"]

[generator]
type = "ExploreExploit"
focus = 2.0
max_function_calls = 2500

[optimizer_selector]
type = "Chain"
thresholds = [500]

[control_optimizer_spawning]
max_evaluations = 1500
max_optimizers = 40

[[optimizer]]
type = "Scipy"
label = "rough # first"
algorithm = "Nelder-Mead"
tolerance = 1e-8
settings = { adaptive = true, maxfev = 5000 }

[[optimizer]]
type = "CMAES"
popsize = 8
parameters = ["eps", "rmin"]

[[stopper]]
type = "CurrentFunctionValueUnmoving"
number_of_function_calls = 10
tolerance = 0.05

[[stopper]]
type = "OptimizerType"
optimizer = "CMAES"

[[exit_condition]]
type = "TimeLimit"
seconds = 3600.0

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 2500

[[parameter]]
name = "eps"
initial = 3e-4
active = false

[[parameter]]
name = "rmin"
scale = "log"
unit = "angstrom"

[validation]
problem = "my_fit:check"
every = 3

[cluster]
class = "dask_jobqueue.SLURMCluster"

[cluster.kwargs]
queue = "normal"
cores = 1
walltime = "12:00:00"
job_extra = ["--exclusive", "-v"]
env = { THREADS = 2, "a key" = false }

[store]
flush_s = 2.0
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="run.in"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def faults_in(path, overrides=()):
    with pytest.raises(InvalidSettingsError) as caught:
        read_settings(path, overrides)
    return [str(fault) for fault in caught.value.faults]


def test_a_file_gives_the_settings_that_toml_gives(write):
    found = read_settings(write(OWN + FILLED))[1]
    assert found == RunSettings.model_validate(tomllib.loads(IN_TOML))
    assert found.parameters[0].model_fields_set == {"name", "initial", "active"}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_tutorial_in_blocks_is_the_tutorial(number):
    example = EXAMPLES / f"lj_argon_{number}.in"
    assert read_settings(example)[1] == read_settings(example.with_suffix(".toml"))[1]


@pytest.mark.parametrize("name", ["run.in", "run.inp", "run.params", "RUN.IN"])
def test_the_suffix_tells_that_a_file_is_in_blocks(write, name):
    assert read_settings(write(OWN, name))[1].seed == 7


def test_a_default_type_holds_for_blocks_without_one(write):
    text = "Problem a:b\nOptimizer\nSigma0 0.2\nEnd\nGenerator\nEnd\nOptimizerSelector\nEnd\n"
    found = read_settings(write(text))[1]
    assert [found.optimizers[0].type_name(), found.generator.type_name()] == ["CMAES", "SinglePoint"]
    assert found.optimizers[0].sigma0 == 0.2


def test_sub_blocks_of_other_types_are_ignored_also_where_they_lack_something(write):
    text = "Problem a:b\nGenerator\nType Random\nExploreExploit\nFocus 2\nEnd\nEnd\n"
    assert read_settings(write(text))[1].generator.type_name() == "Random"


def test_points_are_rows_of_numbers_and_tables(write):
    text = "Problem a:b\nGenerator\nType List\nPoints\n1 2.5\n{a = 1, b = 2e0}\n0.5, 1e-3 # last\nEnd\nEnd\n"
    assert read_settings(write(text))[1].generator == List(points=[[1, 2.5], {"a": 1, "b": 2.0}, [0.5, 1e-3]])


def test_overrides_win_over_blocks(write):
    found = read_settings(write(OWN), ["exit_condition.2.max=5", "optimizer.1.label=yes", "seed=3"])[1]
    assert (found.exit_conditions[1].max, found.optimizers[0].label, found.seed) == (5, "yes", 3)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ('"a # b"', "a # b"),
        ("'C:\\new'", "C:\\new"),
        (r'"C:\data"', r"C:\data"),
        (r'"tab\t"', "tab\t"),
        ("it's # so", "it's"),
        ("two words ! and a comment", "two words"),
        ('""', ""),
        ('say "no # yes"', 'say "no # yes"'),
        ("7", "7"),
        ("Yes", "Yes"),
    ],
)
def test_text_is_the_rest_of_the_line_or_what_is_quoted(write, given, text):
    found = read_settings(write(f"Problem a:b\nOptimizer\nLabel {given}\nEnd\n"))[1]
    assert found.optimizers[0].label == text


def test_the_patterns_of_the_manual_are_refused_with_what_is_allowed(write):
    assert faults_in(write(f"Problem a:b\n{MANUAL}")) == [
        "line 4, Generator, ExploreExploit, Focus: given 'float'; input should be a valid number",
        "line 5, Generator, ExploreExploit, MaxFunctionCalls: given 'integer'; input should be a valid integer",
        "line 8, Generator, Perturbation, StandardDeviation: given 'float'; input should be a valid number",
        "line 10, Generator, Type: unknown type "
        "'[Incumbent | ExploreExploit | Perturbation | Random | SinglePoint]'; "
        "allowed are ExploreExploit, Incumbent, List, Perturbation, Random, SinglePoint",
        "line 14, OptimizerSelector, Chain, Thresholds 1: given 'integer_list'; "
        "input should be a valid integer",
        "line 16, OptimizerSelector, Type: unknown type '[Cycle | Random | Chain]'; "
        "allowed are Chain, Cycle, Random",
        "line 19, ControlOptimizerSpawning, MaxEvaluations: given 'integer'; input should be a valid integer",
        "line 20, ControlOptimizerSpawning, MaxOptimizers: given 'integer'; input should be a valid integer",
    ]


def test_all_faults_of_lines_are_told_at_once(write):
    assert faults_in(write("End\nSeed\nGenerator\n  Type\nSettings\n  deep\n")) == [
        "line 1: End without a block",
        "line 2: Seed has no value",
        "line 4: Type has no value",
        "line 3: the block Generator has no End",
        "line 5: the block Settings has no End",
        "line 6: the block deep has no End",
    ]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("Sede 7", "line 2, Sede: unknown key 'Sede'; did you mean 'Seed'?"),
        ("Seed x", "line 2, Seed: given 'x'; input should be a valid integer"),
        ("Seed 1\nseed 2", "line 3, Seed: is given twice, first in line 2"),
        ("Genrator\nEnd", "line 2: unknown block 'Genrator'; did you mean 'Generator'?"),
        ("Generator\nStopper\nEnd\nEnd", "line 3, Generator: unknown block 'Stopper'; allowed are"),
        ("Generator\nEnd\nGenerator\nEnd", "line 4, Generator: is given twice, first in line 2"),
        ("Generator\nType Randem\nEnd", "line 3, Generator, Type: unknown type 'Randem'; did you mean 'Random'?"),
        ("Generator Random", "line 2, Generator: is a block: its keys go on the next lines, and then End"),
        ("Stopper\nEnd", "line 2, Stopper 1: has no type; allowed are"),
        (
            "Stopper\nType MaxStepSize\nMaxStepSize\nNumberOfCals 5\nEnd\nEnd",
            "line 5, Stopper 1, NumberOfCals: unknown key 'NumberOfCals'; did you mean 'NumberOfFunctionCalls'?",
        ),
        ("Stopper\nType MaxFunctionCalls\nEnd", "line 2, Stopper 1, Max: is missing"),
        (
            "Stopper\nType MaxFunctionCalls\nMaxFunctionCalls 5\nMax 6\nEnd",
            "line 5, Stopper 1, Max: is given twice, first in line 4",
        ),
        ("Stopper\nType OptimizerType\nOptimizer\nEnd\nEnd", "line 4, Stopper 1, Optimizer: is a key with a value"),
        ("ExitCondition\nStopsAfterConvergence 5\nEnd", "line 3, ExitCondition 1, StopsAfterConvergence: is a block"),
        ("ParallelLevels\nJobs 5\nEnd", "line 3, ParallelLevels: unknown key 'Jobs'; allowed are Optimizations"),
        ("Optimizer\nSettings 5\nEnd", "line 3, Optimizer 1, Settings: given 5; input should be a valid dict"),
        ("Cluster\nKwargs\na 1\na 2\nEnd\nEnd", "line 5, Cluster, Kwargs, A: is given twice, first in line 4"),
        ("StopperBooleanCombination 1 | 4", "line 2, StopperBooleanCombination: the combination"),
        ("a\n" * 40, "line 34: blocks are nested too deeply"),
    ],
)  # fmt: skip
def test_each_fault_has_its_line_and_speaks_as_the_file(write, lines, fault):
    found = faults_in(write(f"Problem a:b\n{lines}\n"))
    assert any(line.startswith(fault) for line in found), found


WORDS = st.sampled_from(
    ["Generator", "Optimizer", "Type", "End", "Scipy", "Random", "Settings", "Points", "List", "TimeLimit", "Max", "7",
     "Stopper", "Chain", "Thresholds", "Seed", "Constraint", "Baseline", "ParallelLevels", "Parameter", "Kwargs", "x",
     "Cluster", "[1,", "{a = 1}", '"', "'", "#", "!", "1e999", "nan", "\\", "2020-13-45", "é", "\x85", "_"]
)  # fmt: skip
LINES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=12), st.text(max_size=30))
def test_no_input_gives_a_traceback(tmp_path_factory, lines, end):
    path = tmp_path_factory.mktemp("fuzz", numbered=True) / "run.in"
    path.write_text("\n".join(["Problem a:b", *lines, end]), encoding="utf-8")
    try:
        read_settings(path)
    except InvalidSettingsError as error:
        assert error.faults  # noqa: PT017  either outcome is right; this one must say something
