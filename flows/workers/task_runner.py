"""A Dask task runner that sends to the workers only once what the task runs of a flow share.

prefect-dask serializes all of Prefect's settings, and the task, for every task run, which takes three quarters of the
manager's time, and the worker hydrates them again. Here the context and each task travel once, as a Dask
`WorkerPlugin`, which workers that are admitted later get as well; a worker enters the context once and runs each task
in a copy of it. A task run is still run by Prefect's own engine, with its states, events, logs, hooks and retries.

Unlike stock:

* A task run has no `Pending` state: it appears when it starts. That saves one of three events.
* Settings that change in the middle of a flow run do not reach the workers. Tags do.
* Parent task runs, and the assets of upstream tasks, are not linked.
* What a task run comes to, if it is small, need not be fetched (`tasks.small_results`).
* Workers with other versions than ours get nothing (`flows.workers.admission`).
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from contextvars import Context, copy_context
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import distributed
from distributed.diagnostics.plugin import WorkerPlugin
from prefect import State, Task
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import RunInput, StateDetails, TaskRunPolicy
from prefect.context import (
    FlowRunContext,
    SyncClientContext,
    TagsContext,
    hydrated_context,
    serialize_context,
)
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED, temporary_settings
from prefect.states import Crashed, Pending
from prefect.task_engine import run_task_async, run_task_sync
from prefect.utilities.engine import collect_task_run_inputs_sync, emit_task_run_state_change_event
from prefect_dask.task_runners import DaskTaskRunner

from flows.workers.admission import Admission
from optim.errors import ClusterError
from tasks import user_code
from tasks.small_results import SmallResultFuture, SmallResults, publish

Inputs = dict[str, set[RunInput]]


class SharedContextTaskRunner(DaskTaskRunner):
    """`DaskTaskRunner`, several times as fast; takes the same arguments.

    Attributes:
        session: By whose name workers load user code (`tasks.user_code`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._contexts: dict[frozenset[str], str] = {}
        self._tasks: dict[Task[..., Any], str] = {}
        self._admission: Admission | None = None
        self._small_results: SmallResults | None = None
        self.session = f"shoal-session-{uuid.uuid4()}"

    @property
    def admission(self) -> Admission:
        """Which workers may run tasks; connects to the cluster when it is first asked for."""
        if self._admission is None:
            self._admission = self._exit_stack.enter_context(Admission(self.client))
        return self._admission

    @property
    def small_results(self) -> SmallResults:
        """What workers publish; connects to the cluster when it is first asked for."""
        if self._small_results is None:
            self._small_results = self._exit_stack.enter_context(SmallResults(self.client))
        return self._small_results

    def prepare(self, *tasks: Task[..., Any]) -> None:
        """Have every worker that is there now load what these tasks need, before the first is submitted.

        Raises:
            ClusterError: The cluster cannot be started, or no scheduler answers at the address that was given.
        """
        try:
            admission = self.admission  # connects
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise ClusterError(self._why_it_fails(error)) from error
        context, names = self._shared_context(), [self._shared_task(task) for task in tasks]
        admission.run(_load, context, names)

    def _why_it_fails(self, error: Exception) -> str:
        cause = error.__cause__ or error
        if self.address is None:
            return f"the Dask cluster cannot be started ({type(cause).__name__}: {cause}); see [cluster]"
        if isinstance(error, TypeError) and self.address.startswith("tls://"):  # Dask has no certificate
            return (
                f"the Dask scheduler at {self.address} wants a certificate; say where yours is in Dask's configuration,"
                " distributed.comm.tls.ca-file, .client.cert and .client.key"
            )
        return f"no Dask scheduler answers at {self.address} ({error})"

    def submit(  # type: ignore[override]  # the overloads tell sync from async tasks, which is all one here
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: Inputs | None = None,
    ) -> SmallResultFuture[Any]:
        """Hand a task to the cluster.

        Args:
            task: Any Prefect task.
            parameters: Of the call; futures among them are waited for on the cluster.
            wait_for: More futures to wait for.
            dependencies: More inputs to show, by parameter.

        Returns:
            A future. Its `wrapped_future` is Dask's, whose `add_done_callback` tells of the end and whose
            `release` lets the cluster forget it.

        Raises:
            RuntimeError: The task runner was not started.
        """
        if not self._started:
            raise RuntimeError("start the task runner before you submit to it")
        parameters = self._optimize_futures(parameters)
        wait_for = self._optimize_futures(list(wait_for or ()))
        inputs = {name: _inputs_of(value) for name, value in parameters.items()}
        for name, more in (dependencies or {}).items():
            inputs[name] = inputs.get(name, set()) | more
        if wait_for:
            inputs["wait_for"] = _inputs_of(wait_for)
        task_run_id = uuid.uuid4()
        client: distributed.Client = self.client
        future = client.submit(
            _run,
            self._shared_context(),
            self._shared_task(task),
            task_run_id,
            parameters,
            wait_for,
            inputs,
            resources=self.admission.needs,
            key=f"{task.name}-{task_run_id}",  # given, so that Dask need not hash the arguments
            pure=False,
        )
        future.task_run_id = task_run_id  # type: ignore[attr-defined]  # where Prefect looks when the future is an input of another task
        small = SmallResultFuture[Any](task_run_id=task_run_id, wrapped_future=future)
        self.small_results.expect(small)
        return small

    def mark_crashed(self, task: Task[..., Any], task_run_id: uuid.UUID, name: str, message: str) -> None:
        """Tell the server of a task run whose worker died, and could not; it would be Running for ever.

        What the server has not recorded yet does not undo it, and if the server is away, nothing happens.

        Args:
            task: What was submitted.
            task_run_id: Of its future.
            name: Of the task run.
            message: Why it ended.
        """
        task_run = _new_task_run(task, task_run_id, {})
        details = StateDetails(task_run_id=task_run_id, flow_run_id=task_run.flow_run_id)
        state: State[Any] = Crashed(message=message, state_details=details)
        known = task_run.model_copy(update={"name": name, "run_count": 1, "end_time": state.timestamp})
        emit_task_run_state_change_event(known, task_run.state, state)

    def _shared_context(self) -> str:
        """The name of the plugin that holds the present context; tags may differ from call to call."""
        tags = frozenset(TagsContext.get().current_tags)
        if tags not in self._contexts:
            self._contexts[tags] = self._share(
                _SharedContext(serialize_context(), self.small_results.topic, self.session)
            )
        return self._contexts[tags]

    def _shared_task(self, task: Task[..., Any]) -> str:
        if task not in self._tasks:
            self._tasks[task] = self._share(_SharedTask(task))
        return self._tasks[task]

    def _share(self, plugin: _SharedContext | _SharedTask) -> str:
        self.admission.equip(plugin.name, plugin)
        return plugin.name


def _load(shared_context: str, shared_tasks: list[str], dask_worker: Any) -> None:
    dask_worker.plugins[shared_context].copy()
    for name in shared_tasks:
        _ = dask_worker.plugins[name].task


def _inputs_of(value: Any) -> set[RunInput]:
    return set(collect_task_run_inputs_sync(value, future_cls=distributed.Future))


class _SharedContext(WorkerPlugin):
    """Prefect's context on a worker; entered when the first task needs it, left with the plugin.

    Attributes:
        topic: Where small results are published.
    """

    _lock: threading.Lock
    _open: ExitStack
    _context: Context | None

    def __init__(self, context: dict[str, Any], topic: str, session: str) -> None:
        self.name = f"prefect-context-{uuid.uuid4()}"
        self.topic = topic
        self._session = session
        self._pickled: bytes = cloudpickle.dumps(context)

    def setup(self, worker: Any) -> None:
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._context = None

    def teardown(self, worker: Any) -> None:
        with self._lock:
            if self._context is not None:
                # what was entered in a context can only be left in it
                self._context.run(self._open.close)

    def copy(self) -> Context:
        """A context in which a task can run: what it sets there, no other task sees."""
        with self._lock:
            if self._context is None:
                context = copy_context()
                context.run(self._enter)
                self._context = context
            return self._context.copy()

    def _enter(self) -> None:
        user_code.session.set(self._session)
        with ExitStack() as stack:
            stack.enter_context(hydrated_context(cloudpickle.loads(self._pickled)))
            # The manager has compared versions; a worker that comes while the server is away must work all the same.
            stack.enter_context(temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}))
            stack.enter_context(SyncClientContext.get_or_create())
            self._open = stack.pop_all()


class _SharedTask(WorkerPlugin):
    """A task on a worker."""

    task: Task[..., Any]

    def __init__(self, task: Task[..., Any]) -> None:
        self.name = f"prefect-task-{uuid.uuid4()}"
        self._pickled: bytes = cloudpickle.dumps(task)

    def setup(self, worker: Any) -> None:
        self.task = cloudpickle.loads(self._pickled)


def _run(
    shared_context: str,
    shared_task: str,
    task_run_id: uuid.UUID,
    parameters: dict[str, Any],
    wait_for: list[Any],
    inputs: Inputs,
) -> State[Any] | None:
    """What Dask runs on a worker."""
    worker = distributed.get_worker()
    plugins: dict[str, Any] = worker.plugins
    if (
        not {shared_context, shared_task} <= plugins.keys()
    ):  # it did not answer in time when it was to get them
        raise distributed.Reschedule
    shared: _SharedContext = plugins[shared_context]
    task: Task[..., Any] = plugins[shared_task].task
    state = shared.copy().run(_run_in_context, task, task_run_id, parameters, wait_for, inputs)
    publish(shared.topic, task_run_id, state, worker)
    return state


def _run_in_context(
    task: Task[..., Any],
    task_run_id: uuid.UUID,
    parameters: dict[str, Any],
    wait_for: list[Any],
    inputs: Inputs,
) -> State[Any] | None:
    call: dict[str, Any] = {
        "task_run": _new_task_run(task, task_run_id, inputs),
        "parameters": parameters,
        "wait_for": wait_for,
        "return_type": "state",
    }
    context = FlowRunContext.get()
    try:
        return asyncio.run(run_task_async(task, **call)) if task.isasync else run_task_sync(task, **call)
    finally:  # else whatever comes of any task run of the flow is kept here, in case that a later one is given it
        if context:
            context.run_results.clear()


def _new_task_run(task: Task[..., Any], task_run_id: uuid.UUID, inputs: Inputs) -> TaskRun:
    # The engine makes one of its own when none is given, and then tells the server of it as Pending.
    context = FlowRunContext.get()
    flow_run_id = context.flow_run.id if context and context.flow_run else None
    state: State[Any] = Pending(state_details=StateDetails(task_run_id=task_run_id, flow_run_id=flow_run_id))
    return TaskRun(
        id=task_run_id,
        name=f"{task.name}-{str(task_run_id)[:3]}",
        flow_run_id=flow_run_id,
        task_key=task.task_key,
        dynamic_key=str(task_run_id),
        task_version=task.version,
        empirical_policy=TaskRunPolicy(
            retries=task.retries,
            retry_delay=task.retry_delay_seconds,
            retry_jitter_factor=task.retry_jitter_factor,
        ),
        tags=sorted(task.tags | TagsContext.get().current_tags),
        task_inputs=inputs,
        expected_start_time=state.timestamp,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
        state=state,
        created=state.timestamp,
        updated=state.timestamp,
    )
