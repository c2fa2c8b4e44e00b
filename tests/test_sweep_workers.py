"""The same sweep by the workers of a Dask cluster: some die, the results stay."""

import os
import signal
import sys
import threading
import types

import pytest
from simulated_files import contents, simulated_file

import bayespip as bp
from bayespip.sweeping.reviews import Task
from bayespip.sweeping.workers import IN_FLIGHT, KILLED, client_of, computed

WEAK = ["tau HN(0.5), mu flat"]


def tasks(count, taken):
    """Tasks of no content, each noted as it is taken."""
    for i in range(count):
        taken.append(i)
        yield Task(i, f"task {i}", "", bundled=False, content=b"")


def test_in_this_process_one_review_is_held_at_a_time():
    taken = []
    for i, outcome in computed(tasks(5, taken), lambda task: task.name):
        assert outcome == f"task {i}"
        assert len(taken) == i + 1


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'bayespip\[dask\]'"), client_of(2, None):
        pass


@pytest.fixture(scope="module")
def cluster():
    """Two processes on this machine, and a client."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as found,
        Client(found, set_as_default=False) as client,
    ):
        yield types.SimpleNamespace(address=found.scheduler_address, client=client)


@pytest.mark.slow
def test_a_worker_killed_midway_changes_no_byte(tmp_path, cluster):
    files = [simulated_file(tmp_path, n, outcomes=4) for n in range(8)]
    bp.sweep(files, tmp_path / "here", priors=WEAK)
    before = set(cluster.client.run(os.getpid).values())
    killed = []

    def kill(_, done, __):
        if done == 3 and not killed:
            killed.extend(sorted(before)[:1])
            os.kill(killed[0], signal.SIGKILL)

    bp.sweep(files, tmp_path / "there", priors=WEAK, scheduler=cluster.address, progress=kill)
    assert len(killed) == 1
    assert killed[0] not in cluster.client.run(os.getpid).values()
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.slow
def test_a_client_that_is_stopped_goes_on_with_workers_of_its_own(tmp_path, cluster):
    files = [simulated_file(tmp_path, n) for n in range(6)]
    bp.sweep(files, tmp_path / "here", priors=WEAK)

    def stop(_, done, __):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.sweep(files, tmp_path / "there", priors=WEAK, scheduler=cluster.address, progress=stop)
    assert len(list((tmp_path / "there").rglob("*.parquet"))) == 2
    bp.sweep(files, tmp_path / "there", priors=WEAK, workers=2)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.slow
def test_no_more_reviews_are_out_than_the_workers_have_use_for(cluster):
    taken = []
    for back, _ in enumerate(computed(tasks(20, taken), lambda task: task.name, cluster.client), start=1):
        assert len(taken) - back <= IN_FLIGHT * 2
    assert taken == list(range(20))


@pytest.mark.slow
def test_a_task_that_kills_its_workers_costs_itself(cluster):
    def deadly(task):
        if task.number == 1:
            import os

            os._exit(1)
        return task.name

    found = dict(computed(tasks(20, []), deadly, cluster.client))
    assert found.pop(1) == KILLED
    assert found == {i: f"task {i}" for i in range(20) if i != 1}


@pytest.mark.slow
def test_sampled_models_give_the_same_bytes_here_and_there_and_in_pieces(tmp_path, cluster):
    files = [simulated_file(tmp_path, n, outcomes=1) for n in range(3)]
    asked = {"priors": WEAK, "models": ["binomial_normal"], "seed": 5}
    bp.sweep(files, tmp_path / "here", **asked)

    def stop(_, done, __):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.sweep(files[::-1], tmp_path / "pieces", **asked, progress=stop)
    bp.sweep(files, tmp_path / "pieces", **asked)
    assert contents(tmp_path / "pieces") == contents(tmp_path / "here")
    bp.sweep(files, tmp_path / "there", **asked, scheduler=cluster.address)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.slow
def test_a_scheduler_that_is_lost_is_said_and_the_sweep_goes_on_without_it(tmp_path):
    from distributed import LocalCluster

    files = [simulated_file(tmp_path, n) for n in range(12)]
    lost = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    closing = threading.Thread(target=lost.close)

    def close(_, done, __):
        if done == 2:
            closing.start()

    with pytest.raises(OSError, match="the scheduler was lost; what is finished is whole"):
        bp.sweep(files, tmp_path / "there", priors=WEAK, scheduler=lost.scheduler_address, progress=close)
    closing.join()
    bp.sweep(files, tmp_path / "there", priors=WEAK)
    bp.sweep(files, tmp_path / "here", priors=WEAK)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
