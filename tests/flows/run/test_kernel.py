"""A run goes on with the linear algebra that it began with, and where that is not possible, it says so.

Invariants: `shoal resume` asks for the kernel before anything imports numpy, and gets it, in numpy's library and in
SciPy's; nobody is asked for a kernel that the processor does not have, or where somebody has chosen; both libraries run
in one thread; another kernel's roundings are carried on and recorded; an optimizer that goes another way is an error
with evaluation, points and versions, and goes on from its best when that is accepted.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from flows.reports.outlook import Outlook
from flows.run import kernel
from flows.run.extension import extend
from flows.run.opened import opened_run
from flows.run.request import request_to_resume
from flows.run.stored import replayed_run
from optim.errors import DivergenceError
from optim.in_process import drive
from optim.journal import EventKind
from optim.store import RunFolder, open_run

LOSS = """
import json
from functools import cache
from pathlib import Path
from threadpoolctl import threadpool_info

@cache
def tell():
    seen = [(library["architecture"], library["num_threads"]) for library in threadpool_info()]
    Path(__file__).with_name("seen.json").write_text(json.dumps(seen))

def loss(x):
    tell()
    return float(((x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x) ** 2).sum())
"""
OLD = "Nehalem"
"""A kernel that every x86-64 has, and few run with."""

HERE = {it["architecture"] for it in threadpool_info() if it["internal_api"] == "openblas"}
HAS_CHOICE = kernel._is_possible(OLD) and bool(HERE - {OLD})
has_choice = pytest.mark.skipif(not HAS_CHOICE, reason="needs an OpenBLAS that may choose")


def valley(x):
    return float(((x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x) ** 2).sum())


def python(*arguments, **environment):
    """What a process of its own prints."""
    clean = {name: value for name, value in os.environ.items() if name != kernel.VARIABLE}
    process = subprocess.run(
        [sys.executable, *arguments], env=clean | environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


def shoal(*arguments, **environment):
    return python("-c", "from flows.cli import main; main()", *arguments, **environment)


@pytest.fixture
def store(tmp_path):
    """Makes a store that says which kernels it was begun with."""

    def make(*kernels):
        blas = [{"internal_api": "openblas", "architecture": name} for name in kernels]
        (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {"blas": blas}}))
        return tmp_path

    return make


@pytest.fixture
def without_numpy(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.setenv(kernel.VARIABLE, "")
    monkeypatch.delenv(kernel.VARIABLE)


@has_choice
@pytest.mark.usefixtures("without_numpy")
def test_the_kernel_of_the_store_is_asked_for(store):
    kernel.ask_for_kernel(store(OLD, OLD))
    assert os.environ[kernel.VARIABLE] == OLD


@pytest.mark.parametrize("kernels", [("NextDecade",), (OLD, "Haswell"), ("neoversen1",), ()])
@pytest.mark.usefixtures("without_numpy")
def test_what_is_not_possible_is_not_asked_for(store, kernels):
    kernel.ask_for_kernel(store(*kernels))
    assert kernel.VARIABLE not in os.environ


@pytest.mark.usefixtures("without_numpy")
def test_a_kernel_whose_instructions_are_missing_is_not_asked_for(store, monkeypatch):
    monkeypatch.setitem(kernel._NEEDS, OLD, "more_than_there_is")
    kernel.ask_for_kernel(store(OLD))
    assert kernel.VARIABLE not in os.environ


@pytest.mark.usefixtures("without_numpy")
def test_the_choice_of_a_person_stands(store, monkeypatch):
    monkeypatch.setenv(kernel.VARIABLE, "Prescott")
    kernel.ask_for_kernel(store(OLD))
    assert os.environ[kernel.VARIABLE] == "Prescott"


@pytest.mark.usefixtures("without_numpy")
def test_a_store_that_cannot_be_read_is_left_to_others(tmp_path):
    kernel.ask_for_kernel(tmp_path / "nowhere")
    assert kernel.VARIABLE not in os.environ


def test_nothing_imports_numpy_before_the_kernel_is_asked_for(tmp_path):
    watched = """
import sys
import flows.run.kernel
def look(store):
    print(store.name, "numpy" in sys.modules)
    raise SystemExit(0)
flows.run.kernel.ask_for_kernel = look
from flows.cli import main
main()
"""
    assert python("-c", watched, "resume", "some", "--location", str(tmp_path)) == "run.zarr False\n"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Where a run of CMA-ES is that has ended; with another kernel than this process has, where there is a choice."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "valley_fit.py").write_text(LOSS)
    parameters = (f"[[parameter]]\nname = 'p{n}'\ninitial = 0.4\nlower = -2\nupper = 2\n" for n in range(12))
    (folder / "fit.toml").write_text(
        f"problem = 'valley_fit:loss'\nseed = 3\n{''.join(parameters)}[[optimizer]]\ntype = 'CMAES'\n"
        f"[[exit_condition]]\ntype = 'MaxTotalFunctionCalls'\nmax = 150\n[store]\nlocation = '{folder}'\n"
    )
    environment = {kernel.VARIABLE: OLD} if HAS_CHOICE else {}
    shoal("run", str(folder / "fit.toml"), "--local", "--name", "fit", "-q", **environment)
    return folder


@pytest.fixture
def extended(ended, tmp_path):
    """A copy of it that may go on."""
    shutil.copytree(ended / "fit", tmp_path / "fit")
    folder = RunFolder.find(tmp_path, "fit")
    extend(folder, ["exit_condition.1.max=200"])
    return folder


def seen_in(folder):
    return {tuple(it) for it in json.loads((folder / "seen.json").read_text())}


def test_linear_algebra_has_one_thread(ended):
    assert {threads for _, threads in seen_in(ended)} == {1}


@has_choice
def test_a_run_goes_on_with_the_kernel_that_it_began_with(ended, extended):
    (ended / "seen.json").unlink()
    log = shoal("resume", "fit", "--location", str(extended.path.parent))
    assert seen_in(ended) == {(OLD, 1)}
    assert "differ" not in log
    reader = open_run(extended.store)
    assert reader.evaluations().sizes["evaluation"] == 200
    assert reader.attributes["replay_difference"] == 0.0


@has_choice
def test_what_another_kernel_rounds_is_carried_on_said_and_recorded(extended):
    with opened_run(request_to_resume(extended), "in-process", Outlook()) as run:
        drive(run.session, valley)
    attributes = open_run(extended.store).attributes
    assert 0.0 < attributes["replay_difference"] <= 1e-9
    assert "Points differ from the recorded ones by up to" in extended.log.read_text()
    assert replayed_run(open_run(extended.store))[0].run.evaluations == 200


def test_an_optimizer_that_goes_another_way_is_an_error_until_that_is_accepted(extended, monkeypatch):
    from optim.optimizers.cmaes import CMAES

    other_way = CMAES._strategy
    monkeypatch.setattr(
        CMAES,
        "_strategy",
        lambda self, start: other_way(self.model_copy(update={"sigma0": 0.2}), start),
    )
    with pytest.raises(DivergenceError) as caught:
        replayed_run(open_run(extended.store))
    message = str(caught.value)
    assert message.startswith("evaluation 3 (call 2 of optimizer 1) was at {'p0': ")
    assert "and now the optimizer asks for {'p0': " in message
    assert "versions and linear algebra" in message or "linear algebra was" in message
    assert message.endswith("; with --accept-divergence, optimizer 1 goes on from its best")

    request = request_to_resume(extended, accept_divergence=True)
    with opened_run(request, "in-process", Outlook()) as run:
        drive(run.session, valley)
    reader = open_run(extended.store)
    accepted = [row for row in reader.event_rows() if row.kind is EventKind.INTERVENTION]
    assert [row.optimizer for row in accepted] == [1]
    assert "accepted by process" in accepted[0].text
    assert reader.evaluations().sizes["evaluation"] == 200
    manager, replayed = replayed_run(reader)
    assert replayed.accepted == ()
    assert manager.finish is not None
