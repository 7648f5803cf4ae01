"""A batch on Dask: one movie a task, on workers of this machine or on any scheduler.

Dask does the queue, the retries and the workers that die. A movie whose worker died is given to
another one, which goes on from the last frame that is on disk; the folder of results must therefore
be one that every worker sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from napari_sam2.batch.movie_report import MovieReport
from napari_sam2.batch.movie_run import Watch, run_movie
from napari_sam2.batch.plan import BatchPlan, PlannedJob
from napari_sam2.batch.runner import BatchReport, failed, finished, report_of

__all__ = ["Cluster", "run_on_cluster"]

_PATIENCE = 8
"""Seconds for a scheduler to answer."""
_TOPIC = "napari-sam2"
_DEATHS = 3
"""Workers that may die over one movie before it is given up."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to run.

    Attributes
    ----------
    workers : int or None
        Processes of a cluster on this machine; one for each CUDA device, or two, if None.
    scheduler : str or None
        Address of a running scheduler, such as ``tcp://host:8786``, instead.
    retries : int
        How often a movie that failed is tried again.
    """

    workers: int | None = None
    scheduler: str | None = None
    retries: int = 1


def run_on_cluster(
    plan: BatchPlan,
    cluster: Cluster,
    watch: Watch = lambda title, done, total: None,
    *,
    overwrite: bool = False,
    said: Callable[[MovieReport], None] = lambda report: None,
) -> BatchReport:
    """Run every movie of a plan on Dask.

    Parameters
    ----------
    plan : BatchPlan
    cluster : Cluster
    watch : callable
        Is told now and then how far each movie is, in a thread of Dask; the answer counts not.
    overwrite : bool
        Whether to begin anew what is there.
    said : callable
        Is told of every movie that ended.

    Returns
    -------
    BatchReport
        Its events tell of workers that died.

    Raises
    ------
    RuntimeError
        If the extra ``cluster`` is not installed.
    OSError
        If no scheduler answers.
    """
    done = {
        number: finished(job)
        for number, job in enumerate(plan.jobs)
        if job.state == "finished" and not overwrite
    }
    with _client(cluster) as client:
        if overwrite:
            # Once, here: a worker that takes over from a dead one must go on, not begin anew.
            for job in plan.jobs:
                job.folder.clear(job.spec)
        client.subscribe_topic(_TOPIC, lambda event: watch(*event[1]))
        waiting = {
            client.submit(_run, job, key=_key(job, number), retries=cluster.retries): number
            for number, job in enumerate(plan.jobs)
            if number not in done
        }
        _collect(client, plan, waiting, done, said)
        events = _deaths(client)
    return report_of(plan, done, events)


def _key(job: PlannedJob, number: int) -> str:
    """Return the name of a task, as it stands in Dask's logs and in the report."""
    return f"{job.spec.title} ({number + 1})"


def _collect(
    client: Any,
    plan: BatchPlan,
    waiting: dict[Any, int],
    done: dict[int, MovieReport],
    said: Callable[[MovieReport], None],
) -> None:
    """Take the reports as movies end, and write the page anew after each."""
    from distributed import as_completed

    try:
        for future in as_completed(waiting):
            number = waiting[future]
            error = future.exception()
            done[number] = future.result() if error is None else failed(plan.jobs[number], error)
            said(done[number])
            report_of(plan, done, _deaths(client))
    except KeyboardInterrupt:
        client.cancel(list(waiting))
        for number in sorted(set(waiting.values()) - set(done)):
            job = plan.jobs[number]
            done[number] = MovieReport(job.spec.title, str(job.folder.work), "stopped")


def _run(job: PlannedJob) -> MovieReport:
    """Run a movie on a worker; what another try cannot mend is an answer, no error."""
    import dask
    from distributed import get_worker

    worker = get_worker()
    last = [0.0]

    def tell(title: str, count: int, total: int) -> None:
        if count in (1, total) or time.monotonic() - last[0] > 1:
            last[0] = time.monotonic()
            worker.log_event(_TOPIC, (title, count, total))

    planned = replace(job, spec=replace(job.spec, device=job.spec.device or _device(worker.name)))
    try:
        # Frames that are read lazily are read here, not handed to the cluster as tasks.
        with dask.config.set(scheduler="synchronous"):
            return run_movie(planned, tell)
    except (ValueError, FileNotFoundError) as error:
        return failed(planned, error)


def _device(worker: Any) -> str | None:
    """Return the CUDA device of a worker of this machine, None where there is none to share."""
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{worker % count}" if count > 1 and isinstance(worker, int) else None


@contextmanager
def _client(cluster: Cluster) -> Iterator[Any]:
    """Connect to a scheduler, or start workers here and end them afterwards."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise RuntimeError(
            "running on a cluster needs Dask's scheduler: pip install 'napari-sam2[cluster]'"
        ) from error
    if cluster.scheduler is not None:
        try:
            client = Client(cluster.scheduler, timeout=_PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise OSError(
                f"no Dask scheduler answers at {cluster.scheduler} within {_PATIENCE} s: start one "
                "with `dask scheduler`, or check the address"
            ) from error
        with client:
            yield client
        return
    settings = {"distributed.scheduler.allowed-failures": _DEATHS}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=cluster.workers or _default_workers(),
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=None,
        ) as local,
        Client(local) as client,
    ):
        yield client


def _default_workers() -> int:
    import torch

    return torch.cuda.device_count() or 2


def _deaths(client: Any) -> list[str]:
    """Say which workers went away while the batch ran."""
    found = []
    for _, event in client.get_events("all"):
        if event.get("action") == "remove-worker" and not event.get("expected"):
            busy = ", ".join(map(str, event.get("processing-tasks", ()))) or "nothing"
            found.append(
                f"worker {event['worker']} went away while it worked on: {busy}; another worker "
                "went on from the last frame on disk"
            )
    return found
