"""Runs of the in-process lane: killed many times, each equals its uninterrupted twin bit for bit."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.reports.summary import summarize
from optim.errors import DamagedStoreError, StoreError
from optim.store import open_run
from tests.torture.damage import damaged_copy, tear
from tests.torture.evidence import Witness, differences, end_faults, journal_faults
from tests.torture.place import PATIENCE_S, Job, Place
from tests.torture.tally import Tally

PAUSE_S = 0.004
KILLS_PER_RUN = 20
EVALUATIONS_PER_KILL = 250
READ_EVERY_S = 2.0
AS_COMMAND = 0.1
"""How many of the sessions are processes of their own from the start; the others are forked, which saves seconds."""

RUN_FILE = """\
problem = "torture_loss:loss"
seed = {seed}
parallel_optimizers = 3
{head}

[[parameter]]
name = "a"
initial = 0.5
lower = -2.0
upper = 2.0

[[parameter]]
name = "b"
initial = 0.5
lower = -2.0
upper = 2.0

[[parameter]]
name = "c"
initial = 0.5
lower = -2.0
upper = 2.0

[generator]
type = "{generator}"

{blocks}
[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = {budget}
"""

STOPPERS = """
[[stopper]]
type = "BestFunctionValueUnmoving"
number_of_function_calls = 60
tolerance = 0.01

[[stopper]]
type = "TimeAnnealing"
"""

VALIDATION = """
[validation]
problem = "torture_loss:validation_loss"
every = 2
"""

KINDS = (
    ("", "Random", ('type = "Scipy"\ntolerance = 1e-4', 'type = "CMAES"'), STOPPERS),
    (
        "",
        "Random",
        ('type = "Scipy"\nalgorithm = "L-BFGS-B"', 'type = "Scipy"\nalgorithm = "Powell"'),
        VALIDATION,
    ),
    (
        "",
        "Incumbent",
        ('type = "AdaptiveRateMonteCarlo"', 'type = "CMAES"\npopsize = 6'),
        STOPPERS + VALIDATION,
    ),
    (
        'constraint = ["a + b < 3"]',
        "Random",
        ('type = "Scipy"\nalgorithm = "COBYLA"', 'type = "Scipy"\nalgorithm = "Nelder-Mead"'),
        STOPPERS,
    ),
)
"""Head, generator, optimizers and the rest of the run files, in turn."""


def torture_in_process(folder: Path, kills: int, random_numbers: random.Random, tally: Tally) -> None:
    """Kill and resume in-process runs.

    Args:
        folder: For all files.
        kills: How many.
        random_numbers: Moments, victims and damage are drawn from it.
        tally: Counts.
    """
    place = Place(folder)
    number = 0
    while (left := kills - tally.kills["in-process run"]) > 0:
        number += 1
        _torture_one(place, number, min(left, KILLS_PER_RUN), random_numbers, tally)


def write_run_file(place: Place, number: int, budget: int, random_numbers: random.Random) -> str:
    """The name of a run file: another kind for each number."""
    head, generator, optimizers, rest = KINDS[number % len(KINDS)]
    blocks = "\n".join(f"[[optimizer]]\n{optimizer}\n" for optimizer in optimizers) + rest
    text = RUN_FILE.format(
        seed=random_numbers.randrange(2**31), head=head, generator=generator, blocks=blocks, budget=budget
    )
    (place.folder / f"run-{number}.toml").write_text(text)
    return f"run-{number}.toml"


def _torture_one(place: Place, number: int, kills: int, random_numbers: random.Random, tally: Tally) -> None:
    budget = 150 + EVALUATIONS_PER_KILL * kills
    run_file = write_run_file(place, number, budget, random_numbers)
    twin, name = f"twin-{number}", f"cut-{number}"
    job = place.start("run", run_file, "--local", "--name", twin, name=twin, forked=True)
    if not tally.expect(job.ended(PATIENCE_S) == 0, f"{twin} did not end well: {job.said[-500:]}"):
        return
    witness = Witness(place, name, tally)
    words: tuple[str, ...] = ("run", run_file, "--local", "--name", name)
    done = 0
    with _being_read(lambda: witness, tally):
        while done < kills:
            witness.session_begins()
            forked = random_numbers.random() >= AS_COMMAND
            job = place.start(*words, name=name, pause_s=PAUSE_S, forked=forked)
            _wait_for_moment(job, witness, random_numbers)
            if (code := job.ended()) is not None:
                if tally.expect(code == 0, f"{name}: a session ended with code {code}: {job.said[-500:]}"):
                    break
                return
            killed_at = time.time()
            job.kill(group=random_numbers.random() < 0.5)
            done += 1
            tally.kill("in-process run")
            witness.look(killed_at)
            if (witness.store / "zarr.json").exists():
                words = ("resume", name)
            else:  # it had not begun, and there is nothing to resume
                name = f"cut-{number}-{done}"
                witness = Witness(place, name, tally)
                words = ("run", run_file, "--local", "--name", name)
            tally.checks[tear(place.run_folder(name), random_numbers)] += 1
        _refuse_damage(place, name, random_numbers, tally)
        job = place.start(*words, name=name, forked=True)
        code = job.ended(PATIENCE_S)
        tally.expect(code == 0, f"{name}: the last resume ended with code {code}: {job.said[-500:]}")
    witness.look()
    _compare(place, name, twin, budget, tally)
    tally.say(f"{name}: {done} kills, {budget} evaluations")


def _wait_for_moment(job: Job, witness: Witness, random_numbers: random.Random) -> None:
    """Anywhere in a session: sometimes while it starts, mostly after it has committed something."""
    if random_numbers.random() < 0.2:
        job.ended(random_numbers.uniform(0.0, 0.6))
        return
    before = _root(witness.store)
    deadline_s = time.monotonic() + PATIENCE_S
    while job.ended(0.01) is None and _root(witness.store) == before:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{witness.name} commits nothing: {job.said[-500:]}")
    job.ended(random_numbers.uniform(0.0, 1.6))


def _root(store: Path) -> bytes:
    try:
        return (store / "zarr.json").read_bytes()
    except FileNotFoundError:
        return b""


def _compare(place: Place, name: str, twin: str, budget: int, tally: Tally) -> None:
    faults = end_faults(place, name, budget)
    one, other = (open_run(place.run_folder(run).store) for run in (name, twin))
    if different := differences(one, other):
        faults.append(f"{name} is not what {twin} is: {different}")
    tally.checks["equal to its twin, bit for bit"] += not faults
    for fault in faults:
        tally.expect(False, fault)


def _refuse_damage(place: Place, name: str, random_numbers: random.Random, tally: Tally) -> None:
    folder = place.run_folder(name)
    if not (folder.store / "zarr.json").exists():
        return
    if open_run(folder.store).attributes["status"] == "finished":
        return
    copy, chunk = damaged_copy(folder, f"{name}-damaged", random_numbers)
    key = chunk.relative_to(copy.store).as_posix()
    code, said = place.command("resume", copy.name, name=copy.name)
    is_clear = code == 1 and key in said and "Traceback" not in said
    if tally.expect(is_clear, f"damage in {key} of {name}: code {code}, {said[-500:]}"):
        tally.checks["damage refused, and the chunk named"] += 1


@contextmanager
def _being_read(present: Callable[[], Witness], tally: Tally) -> Iterator[None]:
    """Read a run as `shoal show --json` does, over and over, until the context ends."""
    is_over = threading.Event()

    def read() -> None:
        seen, witness = 0, present()
        while not is_over.wait(READ_EVERY_S):
            if witness is not present():
                seen, witness = 0, present()
            try:
                reader = open_run(witness.store)
                shown = summarize(witness.name, reader)
                faults = journal_faults(reader)
            except DamagedStoreError as error:
                tally.expect(False, f"a reader saw damage: {error}")
                continue
            except StoreError as error:
                tally.expect(not seen, f"a reader failed: {error}")
                continue
            for fault in faults:
                tally.expect(False, f"a reader saw: {fault}")
            tally.expect(shown.evaluations >= seen, f"a reader saw {shown.evaluations} after {seen}")
            seen = shown.evaluations
            tally.checks["read while it was written"] += 1

    thread = threading.Thread(target=read, name="reader")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
