"""A package of an outside author adds a policy of each kind, by entry points alone.

Invariants: run files name its policies like ours; a run obeys them and says so; the conformance suites that we ship
run in the package's own tests.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "driftwood"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]

CHECK_AND_RUN = """
import sys
import shoal
from flows.cli import shoal as command

run_file = sys.argv[1]
assert shoal.CompassSearch(step=0.5).step == 0.5
command.main(["check", run_file], standalone_mode=False)
sys.exit(command.main(["run", run_file, "--local", "-v"], standalone_mode=False))
"""
"""In one process: imports take longer than all the rest."""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Two that see the package as if it were installed, side by side: the command, and the package's tests."""
    folder = tmp_path_factory.mktemp("outside")
    _pretend_to_install(folder)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(PACKAGE / "src")]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "200",
    }
    pytest_arguments = ["-q", "-p", "no:cacheprovider", "-c", PACKAGE / "pyproject.toml", PACKAGE / "tests"]
    commands = (["-c", CHECK_AND_RUN, PACKAGE / "driftwood.toml"], ["-m", "pytest", *pytest_arguments])
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    return [(process.communicate()[0], process.returncode) for process in started]


def _pretend_to_install(folder):
    """Write what an installer would: the entry points."""
    metadata = folder / f"{PROJECT['name']}-{PROJECT['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {PROJECT['name']}\nVersion: {PROJECT['version']}\n")
    groups = (
        "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in names.items())])
        for group, names in PROJECT["entry-points"].items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(groups))


def test_a_run_file_names_its_policies_like_ours(processes):
    said, code = processes[0]
    assert code == 0, said
    assert re.search(
        r"driftwood\.toml: good\. Problem \w+ with a, b; optimizers CompassSearch, coarse\.", said
    )


def test_a_run_obeys_them(processes):
    said, _ = processes[0]
    starts = re.findall(r"(\w+) starts at a=(\S+), b=(\S+) \((\w+)\)", said)
    assert {title for title, *_ in starts} == {"CompassSearch", "coarse"}
    assert {(generator, a, b) for _, a, b, generator in starts} <= {
        ("Corner", a, b) for a in ("-1", "2") for b in ("-1", "2")
    }
    assert "converged: steps of " in said
    assert re.search(r"stopped: WorseThanMedian: its best \S+ is above the median", said)
    assert "BestUnmoving(feval=300) = True |" in said
    assert "MaxTotalFunctionCalls(fmax=3000) = None" in said


def test_its_own_tests_pass(processes):
    said, code = processes[1]
    assert code == 0, said
    assert " passed" in said
