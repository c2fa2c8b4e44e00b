"""Reviews computed here, or by the workers of a Dask cluster: the same function of the same bytes.

A worker is sent a file's content and sends back that of its part, so that it needs nothing of this machine's disk.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bayespip.sweeping.parts import Part
    from bayespip.sweeping.reviews import Task

    Work = Callable[[Task], Part | str]

__all__ = ["client_of", "computed"]

IN_FLIGHT = 3  # reviews sent out, a thread of the cluster: one at work, the next at hand, one on its way
KILLED = (
    "its computation ended every worker that took it, the last time with no other at work: too little memory, or a "
    "crash."
)


@contextmanager
def client_of(workers: int, scheduler: str | None) -> Iterator[Any]:
    """A Dask client, of a cluster on this machine or of the scheduler; None where this process does the work.

    Raises
    ------
    ValueError
        If workers is not positive, or given beside a scheduler, or Dask is not installed.
    OSError
        If no scheduler answers at the address.
    """
    if workers < 1:
        raise ValueError(f"workers must be positive; got {workers!r}.")
    if scheduler is not None and workers > 1:
        raise ValueError(f"workers must be left out where there is a scheduler, which has its own; got {workers}.")
    if scheduler is None and workers == 1:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ValueError("workers and scheduler need Dask: pip install 'bayespip[dask]'.") from None
    if scheduler is not None:
        try:
            connected = Client(scheduler, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise OSError(
                f"scheduler must be the address of a Dask scheduler that answers, such as tcp://host:8786; "
                f"{scheduler!r}: {error}. `dask scheduler` starts one; without it the sweep runs here."
            ) from None
        with connected as client:
            yield client
        return
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,  # type: ignore[no-untyped-call]
        Client(cluster, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        yield client


def computed(tasks: Iterable[Task], work: Work, client: Any = None) -> Iterator[tuple[int, Part | str]]:
    """Number and outcome of each task, as they come.

    Parameters
    ----------
    tasks
        Taken one by one: no more are held than are at work or next in turn.
    work
        What is done with each.
    client
        From ``client_of``.

    Raises
    ------
    OSError
        If the scheduler is lost.
    """
    if client is None:
        for task in tasks:
            yield task.number, work(task)
        return
    from concurrent.futures import CancelledError

    try:
        yield from _by_workers(iter(tasks), work, client)
    except CancelledError:
        raise OSError("the scheduler was lost; what is finished is whole, and the same command goes on.") from None


def _by_workers(tasks: Iterator[Task], work: Work, client: Any) -> Iterator[tuple[int, Part | str]]:
    """A task whose worker dies is given to another by Dask; one that several died of is tried once more, alone."""
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    run = uuid4().hex  # another sweep on the same scheduler is another computation
    at_work: dict[str, Task] = {}
    suspects: list[Task] = []
    queue: Any = as_completed(loop=client.loop)  # type: ignore[no-untyped-call]

    def send(task: Task, attempt: str = "") -> Any:
        future = client.submit(work, task, key=f"sweep-{run}-{task.number}{attempt}")
        at_work[future.key] = task
        return future

    def fill() -> None:
        room = IN_FLIGHT * max(sum(client.nthreads().values()), 1) - len(at_work)
        for task in islice(tasks, max(room, 0)):
            queue.add(send(task))

    fill()
    for future in queue:
        task = at_work.pop(future.key)
        try:
            yield task.number, future.result()
        except KilledWorker:
            suspects.append(task)
        future.release()
        fill()
    for task in suspects:
        try:
            yield task.number, send(task, "-alone").result()
        except KilledWorker:
            yield task.number, KILLED
