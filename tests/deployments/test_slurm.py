"""A run on a real SLURM, as `deployments/slurm` has it: the manager is a batch job, and each worker is another one.

Invariants: a job that is preempted, one whose process is killed, and one that pauses go on in the next job; the budget
is used exactly, and every evaluation ran in a job of dask-jobqueue's; at the end no job is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from optim.errors import StoreError
from optim.store import EVALUATIONS, RunFolder, open_run, read_attributes
from tests.deployments.patience import until
from tests.deployments.slurm import Slurm, why_not

TEMPLATE = Path(__file__).parents[2] / "deployments/slurm"
SLOW = Path(__file__).with_name("slow_argon.py")
BUDGET = 300
ALIVE = ("PENDING", "RUNNING", "COMPLETING")
pytestmark = [
    pytest.mark.services,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    pytest.importorskip("dask_jobqueue", reason="the extra slurm is not installed")
    programs = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__INTERFACE", "lo")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with Slurm() as slurm:
        yield slurm


def test_a_run_goes_on_in_job_after_job_until_it_has_finished(slurm, tmp_path):
    for name in ("lj_argon.sh", "lj_argon.toml"):
        shutil.copy(TEMPLATE / name, tmp_path)
    run_file = tmp_path / "lj_argon.toml"
    text = run_file.read_text().replace("optim.problems.lj_argon:", "slow_argon:")
    text = text.replace("max = 2500", f"max = {BUDGET}").replace("max = 5", f"max = {BUDGET}")
    run_file.write_text(text)
    shutil.copy(SLOW, tmp_path)
    folder = RunFolder(tmp_path / "runs/lj_argon")

    def evaluations() -> int:
        try:
            return open_run(folder.store).size(EVALUATIONS)
        except StoreError:  # it is not there yet
            return 0

    def said() -> str:
        return (tmp_path / "lj_argon.out").read_text()

    def advance(job: str) -> None:
        """Wait until some more evaluations are committed."""
        enough = evaluations() + 20

        def has_advanced() -> bool:
            assert slurm.state(job)["JobState"] in ALIVE, said()
            return evaluations() >= enough

        until(has_advanced)

    def queue() -> str:
        return slurm.said("sbatch", "--parsable", "lj_argon.sh", cwd=tmp_path).strip()

    job = queue()
    advance(job)
    assert "dask-worker" in slurm.jobs()
    slurm.said("scontrol", "requeue", job)  # as when somebody preempts it
    until(lambda: said().count("goes on after") == 1)
    assert "interrupted; what was finished is saved" in said()

    advance(job)
    slurm.said("shoal", "pause", "lj_argon", cwd=tmp_path)  # the script queues it again
    until(lambda: said().count("goes on after") == 2)
    assert slurm.state(job)["Restarts"] == "2"

    advance(job)
    holder = folder.holder()
    assert holder is not None
    psutil.Process(holder.pid).send_signal(signal.SIGKILL)
    until(lambda: slurm.state(job)["JobState"] == "FAILED")

    assert evaluations() < BUDGET
    job = queue()
    until(lambda: slurm.state(job)["JobState"] not in ALIVE)
    assert slurm.state(job)["JobState"] == "COMPLETED", said()
    assert "Traceback" not in said()
    until(lambda: not slurm.jobs())
    found = open_run(folder.store).evaluations()
    assert found["evaluation"].values.tolist() == list(range(1, BUDGET + 1))
    assert set(found["outcome"].values.tolist()) == {0}
    assert read_attributes(folder.store)["status"] == "finished"
