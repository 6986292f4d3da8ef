"""A run from its settings to its store: folder, lock, journal, log and manager, opened together and closed together.

Both lanes, in this process and as a flow on Dask, work inside `opened_run`.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from flows.pictures.upkeep import kept_picture
from flows.reports.log import log_decision, log_end, run_log
from flows.reports.outlook import Outlook
from flows.run.inbox import Inbox
from flows.run.kernel import one_thread
from flows.run.location import runs_location, shown
from flows.run.provenance import check_modules, provenance, this_process
from flows.run.stored import replayed_run
from flows.settings import RunSettings
from optim.errors import ClusterLostError
from optim.manager import Manager
from optim.messages import Announce
from optim.replay import Replayed
from optim.session import Listener, Session
from optim.space import Space
from optim.store import RunFolder, RunWriter, open_run
from optim.walltime import Walltime

Lane = Literal["in-process", "dask"]
Status = Literal["running", "paused", "finished", "failed"]
SEED_BITS = 32
INBOX_S = 0.5
"""How often a run looks whether anybody wants anything of it."""


class RunRequest(NamedTuple):
    """What somebody wants to be run.

    Attributes:
        settings: Checked.
        space: Of the problem, with what the settings replace in it.
        problem_name: For people, and for the name of the run.
        text: The run file as it was given.
        name: Of the run; None: the problem's with a number.
        code_folder: Where user code is looked for besides installed packages; None: nowhere else.
        flow_run_id: Of the Prefect flow run; empty: none.
        advice: What a person should look at again.
        resumes: The run to go on with; None: it is a new one.
        accept_divergence: Let an optimizer that does something else than before go on from its best.
        ends_at: When the session must be over, seconds since the epoch; None: it takes what it takes.
        numbers_taken: A new run whose name is taken gets a number, too.
    """

    settings: RunSettings
    space: Space
    problem_name: str
    text: str = ""
    name: str | None = None
    code_folder: str | None = None
    flow_run_id: str = ""
    advice: tuple[str, ...] = ()
    resumes: RunFolder | None = None
    accept_divergence: bool = False
    ends_at: float | None = None
    numbers_taken: bool = False


class RunResult(NamedTuple):
    """What has come of a run.

    Attributes:
        path: Its folder.
        status: As in its store.
        reason: As in its store.
        is_interrupted: A signal paused it.
    """

    path: Path
    status: Status
    reason: str
    is_interrupted: bool

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name


class OpenRun:
    """A run that this process works on.

    Attributes:
        folder: Where it is.
        session: Feed this.
        logger: Says what people should know.
        began_at: When it began, seconds since the epoch.
    """

    def __init__(self, folder: RunFolder, session: Session, logger: logging.Logger, began_at: float) -> None:
        self.folder = folder
        self.session = session
        self.logger = logger
        self.began_at = began_at

    def result(self, is_interrupted: bool) -> RunResult:
        """What has come of it, whether or not a signal asked it to stop."""
        return RunResult(
            self.folder.path, self.status, self.reason, is_interrupted and self.status == "paused"
        )

    @property
    def status(self) -> Status:
        """What it has come to."""
        finish = self.session.finish
        if finish is None:
            return "paused"
        return "failed" if finish.failed else "finished"

    @property
    def reason(self) -> str:
        """Why it ended, or came to rest."""
        end = self.session.finish or self.session.pause
        return end.reason if end else self.session.halted


@contextmanager
def opened_run(
    request: RunRequest,
    lane: Lane,
    outlook: Outlook,
    handlers: Sequence[logging.Handler] = (),
    follow: Callable[[OpenRun], Listener] | None = None,
) -> Iterator[OpenRun]:
    """Start or resume a run, and save what it has come to when the context ends, however it ends.

    Args:
        request: What to run.
        lane: Where evaluations will happen.
        outlook: How people follow it.
        handlers: Where its log goes besides its folder and the outlook.
        follow: Given the run before its first decision; returns who is to be told of decisions besides the outlook.

    Raises:
        ShoalError: A module of the user's hides one of ours.
        StoreError: The name is taken or not allowed, or the run cannot be written.
        RunLockedError: Another process works on it.
        DivergenceError: A run that is resumed does something else than before.
        ClusterLostError: Passed on; the run is paused, and can go on later.
    """
    check_modules()
    with (
        one_thread(),
        _opened_store(request, lane) as (folder, writer, manager, replayed),
        run_log(folder.log, (*outlook.handlers, *handlers)) as logger,
        kept_picture(folder, request.settings.store.picture_s, request.ends_at, writer.flush, logger),
    ):
        spent_s = replayed.spent_s if replayed else 0.0
        began_at, began = time.time() - spent_s, time.perf_counter() - spent_s

        listeners: list[Listener] = [partial(log_decision, logger), outlook.listen]

        def announce(decision: Announce) -> None:
            for listen in listeners:
                listen(decision)

        session = Session(manager, writer, lambda: time.perf_counter() - began, announce)
        run = OpenRun(folder, session, logger, began_at)
        if follow:
            listeners.append(follow(run))
        _log_beginning(request, run, replayed)
        if replayed:
            session.take_over(replayed)
        # with these, whoever reads the store knows how late it is by the run's clock
        writer.set_attributes(session_began_at=began_at + spent_s, session_began_s=spent_s)
        try:
            if request.ends_at is not None:
                session.end_before(Walltime(request.ends_at - began_at))
            session.begin(this_process())
            session.every(INBOX_S, Inbox(folder.inbox, logger, writer.flush).look)
            with outlook.following(folder.name, request.problem_name, session, logger):
                yield run
        except ClusterLostError as error:
            writer.set_attributes(status="paused", reason=str(error))
            raise
        except Exception as error:
            writer.set_attributes(status="failed", reason=f"{type(error).__name__}: {error}")
            raise
        except BaseException as error:
            writer.set_attributes(status="paused", reason=f"interrupted by {type(error).__name__}")
            raise
        _conclude(run, writer)


@contextmanager
def _opened_store(
    request: RunRequest, lane: Lane
) -> Iterator[tuple[RunFolder, RunWriter, Manager, Replayed | None]]:
    settings = request.settings
    flush_s, flush_evaluations = settings.store.flush_s, settings.store.flush_evaluations
    if request.resumes is not None:
        folder = request.resumes
        with folder.lock():
            reader = open_run(folder.store)
            manager, replayed = replayed_run(reader, request.accept_divergence)
            with RunWriter.resume(
                folder.store, flush_s=flush_s, flush_evaluations=flush_evaluations
            ) as writer:
                earlier = reader.attributes.get("flow_run_ids", [])
                difference = max(replayed.difference, reader.attributes.get("replay_difference", 0.0))
                writer.set_attributes(
                    status="running",
                    reason="",
                    exit_conditions="",
                    replay_difference=difference,
                    **_session_attributes(request, earlier),
                )
                yield folder, writer, manager, replayed
        return
    seed = settings.seed if settings.seed is not None else secrets.randbits(SEED_BITS)
    folder = RunFolder.create(
        runs_location(settings.store.location),
        request.text.encode(),
        name=request.name,
        problem=request.problem_name,
        numbers_taken=request.numbers_taken,
    )
    attributes = _attributes(request, lane, seed)
    with (
        folder.lock(),
        RunWriter.create(
            folder.store,
            request.space.parameters,
            attributes,
            flush_s=flush_s,
            flush_evaluations=flush_evaluations,
        ) as writer,
    ):
        yield folder, writer, Manager(settings, request.space, seed), None


def _log_beginning(request: RunRequest, run: OpenRun, replayed: Replayed | None) -> None:
    manager, folder, logger = run.session.manager, run.folder, run.logger
    if replayed is None:
        logger.info("Run %s in %s, seed %d", folder.name, shown(folder.path), manager.seed)
    else:
        logger.info(
            "Run %s in %s goes on after %d evaluations; %d that were asked for are sent now",
            folder.name,
            shown(folder.path),
            manager.run.evaluations,
            len(replayed.outstanding) - len(replayed.cancelled),
        )
        if replayed.difference:
            logger.warning(
                "Points differ from the recorded ones by up to %.2g of the unit cube: another processor or"
                " library rounds differently",
                replayed.difference,
            )
        for optimizer in replayed.accepted:
            logger.warning(
                "Optimizer %d does something else than before: its past is taken as recorded, and it goes on from its"
                " best",
                optimizer,
            )
    for advised in request.advice:
        logger.warning("Look again at %s", advised)


def _attributes(request: RunRequest, lane: Lane, seed: int) -> dict[str, object]:
    return {
        "status": "running",
        "problem": request.problem_name,
        "entry_point": request.settings.problem,
        "code_folder": request.code_folder or "",
        "lane": lane,
        "seed": seed,
        "settings": request.settings.model_dump(mode="json"),
        "constraints": list(request.space.constraints),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **provenance(),
        **_session_attributes(request, []),
    }


def _session_attributes(request: RunRequest, earlier: list[str]) -> dict[str, object]:
    """Which flow run works on it now, and which ones ever did: a retry of each of them goes on with the run."""
    ids = [*earlier, request.flow_run_id] if request.flow_run_id not in {"", *earlier} else earlier
    return {"flow_run_id": request.flow_run_id, "flow_run_ids": ids}


def _conclude(run: OpenRun, writer: RunWriter) -> None:
    end = run.session.finish or run.session.pause
    conditions = (end and end.conditions) or run.session.manager.exit_lines()
    if end:
        log_end(run.logger, end)
    else:
        run.logger.warning("%s", run.reason)
    writer.set_attributes(status=run.status, reason=run.reason, exit_conditions="\n".join(conditions))
