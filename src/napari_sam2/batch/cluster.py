"""A batch on Dask: a movie, or a block of one, a task; on workers here or on any scheduler.

A block ends after so many frames, and the next one goes on, on whatever worker is free, with all
that was remembered: what a killed run goes on with is what blocks hand over. Dask does the queue,
the retries and the workers that die: their movies are given to others, which go on from the last
frame on disk. The folder of results must therefore be one that every worker sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from napari_sam2.batch.cluster_options import Cluster
from napari_sam2.batch.movie_report import MovieReport
from napari_sam2.batch.movie_run import Watch, run_movie
from napari_sam2.batch.plan import BatchPlan, PlannedJob
from napari_sam2.batch.runner import BatchReport, failed, finished, report_of
from napari_sam2.batch.worker_log import noting_task, what_happened

__all__ = ["run_on_cluster"]

_PATIENCE = 8
"""Seconds for a scheduler to answer."""
_RESTART = "10 minutes"
"""Time for a worker here to come back after its process died."""
_TOPIC = "napari-sam2"
_DEATHS = 3
"""Workers that may die over one movie before it is given up."""


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
        Its events tell of workers that went away.

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
        _Tasks(client, plan, cluster).collect(done, said)
        events = what_happened(client)
    return report_of(plan, done, events)


class _Tasks:
    """The tasks of a batch: movies, or blocks of them one after the other.

    Parameters
    ----------
    client : distributed.Client
    plan : BatchPlan
    cluster : Cluster
    """

    def __init__(self, client: Any, plan: BatchPlan, cluster: Cluster) -> None:
        self._client = client
        self._plan = plan
        self._cluster = cluster
        self._blocks = [0] * len(plan.jobs)
        self._waiting: dict[Any, int] = {}

    def collect(self, done: dict[int, MovieReport], said: Callable[[MovieReport], None]) -> None:
        """Run what is not done; take the reports as movies end, and write the page after each."""
        from distributed import as_completed

        for number in set(range(len(self._plan.jobs))) - set(done):
            self._submit(number)
        endings = as_completed(self._waiting)
        try:
            for future in endings:
                number = self._waiting.pop(future)
                job, error = self._plan.jobs[number], future.exception()
                one = future.result() if error is None else failed(job, error)
                if one.outcome == "stopped":
                    endings.add(self._submit(number))
                    continue
                done[number] = one
                said(one)
                report_of(self._plan, done, what_happened(self._client))
        except KeyboardInterrupt:
            self._client.cancel(list(self._waiting))
            for number, job in enumerate(self._plan.jobs):
                if number in done:
                    continue
                done[number] = MovieReport(job.spec.title, str(job.folder.work), "stopped")

    def _submit(self, number: int) -> Any:
        """Hand a movie, or its next block, to the scheduler."""
        job = self._plan.jobs[number]
        self._blocks[number] += 1
        # The name of the task, as it stands in Dask's logs and in the report.
        key = f"{job.spec.title} ({number + 1})"
        if self._blocks[number] > 1:
            key += f" block {self._blocks[number]}"
        settings = {"key": key, "retries": self._cluster.retries}
        future = self._client.submit(_run, job, self._cluster.block, **settings)
        self._waiting[future] = number
        return future


def _run(job: PlannedJob, block: int | None) -> MovieReport:
    """Run a movie or a block of it on a worker; what another try cannot mend is an answer."""
    import dask
    from distributed import get_worker

    worker = get_worker()
    planned = replace(job, spec=replace(job.spec, device=job.spec.device or _device(worker.name)))
    try:
        # Frames that are read lazily are read here, not handed to the cluster as tasks.
        with dask.config.set(scheduler="synchronous"), noting_task(worker):
            report = run_movie(planned, _Pace(worker, block))
    except (ValueError, FileNotFoundError) as error:
        return failed(planned, error)
    if report.outcome == "stopped":
        planned.folder.note("handed over")
    return report


class _Pace:
    """Tells how far a movie is, now and then, and says where its block ends.

    Parameters
    ----------
    worker : distributed.Worker
    block : int or None
    """

    def __init__(self, worker: Any, block: int | None) -> None:
        self._worker = worker
        self._block = block
        self._frames = 0
        self._told = 0.0

    def __call__(self, title: str, count: int, total: int) -> bool:
        """Note a frame; True ends the block after it, if there are others."""
        self._frames += 1
        if self._frames == 1 or count == total or time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            self._worker.log_event(_TOPIC, (title, count, total))
        return self._block is not None and self._frames >= self._block and count < total


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
            is_file = cluster.scheduler.endswith(".json")
            where = {"scheduler_file" if is_file else "address": cluster.scheduler}
            client = Client(**where, timeout=_PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise OSError(
                f"no Dask scheduler answers at {cluster.scheduler} within {_PATIENCE} s: start one "
                "with `dask scheduler`, or check the address"
            ) from error
        with client:
            yield client
        return
    settings = {
        "distributed.scheduler.allowed-failures": _DEATHS,
        # A worker here that dies is known at once; one that is silent for long is only busy.
        "distributed.scheduler.worker-ttl": None,
        # One that is started in place of a dead one is stopped again if it is not there in time:
        # 15 seconds are too few for it on a busy machine.
        "distributed.deploy.lost-worker-timeout": _RESTART,
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=cluster.workers or _default_workers(),
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=":0",  # any port: another batch may have the usual one
        ) as local,
        Client(local) as client,
    ):
        yield client


def _default_workers() -> int:
    import torch

    return torch.cuda.device_count() or 2
