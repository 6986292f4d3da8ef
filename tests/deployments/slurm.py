"""A SLURM of one node on loopback: Debian's daemons, started as children in a temporary folder, ended without mercy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deployments.patience import until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=6
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""A job that is queued again waits for `cred_expire` seconds: by default 120."""


def why_not() -> str:
    """Why there can be no SLURM here; empty: there can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} missing: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.getuid() == 0 else "SLURM's daemons need root here"


class Slurm:
    """Runs while it is open as a context manager.

    Attributes:
        environment: Of whoever queues jobs, and so of the jobs.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: the path of a socket has a limit
        self.environment = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        key = self.folder / "munge/key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            ports = one.getsockname()[1], two.getsockname()[1]
        host = socket.gethostname().split(".")[0]
        text = CONFIGURATION.format(host=host, ports=ports, folder=self.folder)
        (self.folder / "slurm.conf").write_text(text)
        try:
            files = {
                "socket": "socket",
                "pid-file": "pid",
                "seed-file": "seed",
                "log-file": "log",
                "key-file": "key",
            }
            self._start(
                "munged", "-F", *(f"--{name}={self.folder}/munge/{file}" for name, file in files.items())
            )
            until((self.folder / "munge/socket").exists)
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D")
            until(lambda: "idle" in self.said("sinfo", "-h", "-o", "%T"))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def said(self, *words: str, cwd: Path | None = None) -> str:
        """What a command of SLURM prints; what is wrong with it, too."""
        done = subprocess.run(
            words, env=self.environment, cwd=cwd, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def state(self, job: str) -> dict[str, str]:
        """All about a job, as SLURM says it."""
        words = self.said("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def jobs(self) -> list[str]:
        """The names of those that wait or run."""
        return self.said("squeue", "-h", "-o", "%j").split()

    def _start(self, *words: str) -> None:
        with (self.folder / f"{words[0]}.log").open("wb") as log:
            self._daemons.append(
                subprocess.Popen(
                    words,
                    env=self.environment,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _end(self) -> None:
        if len(self._daemons) == 3:
            self.said("scancel", "--user=root", "--signal=KILL", "--full")
            self.said("scancel", "--user=root")
            until(lambda: not self.jobs())
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()
        shutil.rmtree(self.folder)
