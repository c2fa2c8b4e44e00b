"""A full disk, or a process killed while it writes, leaves what was there before: whole files, or none."""

import hashlib
import json
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
from reanalyses import study_data

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.writing import to_data_package


@contextmanager
def room_for(size):
    """No file may become larger than so many bytes, as on a disk that fills; Python ignores the signal that says so."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def with_draws(result):
    """A re-analysis with posteriors of several megabytes, drawn from the exact fit."""
    effects = EffectSizes(["a", "b"], [0.1, 0.6], [0.2, 0.3], "RR")
    tree = exact_fit(effects, pr.Priors(pr.flat(), pr.half_normal(0.5))).to_datatree(200_000, seed=1)
    return replace(result, trees={"simulated": tree})


WRITERS = {
    "save": lambda result, folder: result.save(folder),
    "save, at its posteriors": lambda result, folder: with_draws(result).save(folder),
    "report": lambda result, folder: result.report(folder / "report.html"),
    "data package": lambda result, folder: to_data_package(result.review, folder / "review.zip"),
}
ROOM = {"save": 20_000, "save, at its posteriors": 4_000_000, "report": 100_000, "data package": 1_000}


@pytest.mark.parametrize(
    "writer", ["save", "save, at its posteriors", pytest.param("report", marks=pytest.mark.slow), "data package"]
)
def test_a_full_disk_is_an_error_and_leaves_what_was_there(writer, tmp_path):
    for name in ("comparison.csv", "comparison.parquet", "posterior.nc", "report.html", "review.zip", "notes.txt"):
        (tmp_path / name).write_text(f"{name} of an earlier run", encoding="utf-8")
    before = contents(tmp_path)
    with room_for(ROOM[writer]), pytest.raises((OSError, RuntimeError)):
        WRITERS[writer](study_data(), tmp_path)
    assert contents(tmp_path) == before
    assert not [f for f in tmp_path.iterdir() if f.is_dir()]


KILLED = """
import hashlib, json, os, signal, sys, time
from pathlib import Path
import bayespip as bp
from bayespip import priors as pr
from bayespip.writing import to_data_package

folder = Path(sys.argv[1])
pair = [bp.Priors(pr.flat(), pr.half_normal(0.5), name="half")]
results = [bp.reanalyse(bp.load_review(name), pair, with_pymc=False) for name in ("bcg", "coaching")]

def write(result, folder):
    result.save(folder)
    to_data_package(result.review, folder / "review.zip")

def digests(folder):
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir() if f.is_file()}

def inodes(folder):
    return {f.name: f.stat().st_ino for f in folder.iterdir() if f.is_file()}

whole = []
for i, result in enumerate(results):
    begin = time.monotonic()
    write(result, folder / f"whole{i}")
    seconds = time.monotonic() - begin
    whole.append(digests(folder / f"whole{i}"))
target, seen = folder / "target", []
write(results[0], target)
for i in range(8):
    before = inodes(target)
    child = os.fork()
    if child == 0:
        write(results[(i + 1) % 2], target)
        os._exit(0)
    time.sleep(seconds * (i + 0.5) / 7 if i < 6 else 0)
    while i >= 6 and inodes(target) == before:  # however slow the machine: once the first file is in place
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen.append(digests(target))
write(results[1], target)
print(json.dumps({"whole": whole, "seen": seen, "last": digests(target)}))
"""


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_whole_files(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    of_either = {(name, digest) for files in found["whole"] for name, digest in files.items()}
    assert hashlib.sha256(b"").hexdigest() not in {digest for _, digest in of_either}
    for files in found["seen"]:
        assert {"comparison.parquet", "report.html", "review.zip"} <= files.keys()
        assert set(files.items()) <= of_either
    assert any(files != found["seen"][0] for files in found["seen"])  # some were killed late enough to have written
    assert found["last"] == found["whole"][1]
