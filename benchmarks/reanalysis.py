"""Time of the bundled review's re-analysis: `make bench`.

Prints, each from a process of its own: import time; the whole review under every default prior with both engines,
conditional posteriors and all files written, with empty compilation caches and with filled ones; the bounds on top;
peak memory. The last lines are ratios within this run.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WORK = """
import json, sys, tempfile, time
import bayespip as bp
started, seen = time.perf_counter(), {}
def note(stage, done, total):
    seen.setdefault(stage, [time.perf_counter(), 0.0])[1] = time.perf_counter()
result = bp.reanalyse(bp.load_review("pip"), with_bounds=%(bounds)s, with_pymc=%(pymc)s, progress=note)
with tempfile.TemporaryDirectory() as folder:
    saving = time.perf_counter()
    result.save(folder)
    seen["files"] = [saving, time.perf_counter()]
stages = {stage: end - begin for stage, (begin, end) in seen.items()}
print(json.dumps({"seconds": time.perf_counter() - started, "stages": stages, "rows": len(result.table)}))
"""


def run(*, bounds: bool, pymc: bool, environment: dict[str, str]) -> dict[str, object]:
    """One re-analysis in a fresh process."""
    code = WORK % {"bounds": bounds, "pymc": pymc}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def import_seconds(module: str) -> float:
    """Median over five fresh interpreters."""
    code = f"import time; begin = time.perf_counter(); import {module}; print(time.perf_counter() - begin)"
    command = [sys.executable, "-c", code]
    return statistics.median(float(subprocess.check_output(command, text=True)) for _ in range(5))


def show(title: str, timing: dict[str, object]) -> None:
    stages = timing["stages"]
    assert isinstance(stages, dict)
    parts = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items())
    print(f"{title:<44}{timing['seconds']:8.1f} s   ({parts})", flush=True)


def main() -> None:
    """Print the table."""
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}", flush=True)
    print(f"{'import bayespip':<44}{import_seconds('bayespip'):8.2f} s", flush=True)
    with tempfile.TemporaryDirectory() as caches:
        paths = {"NUMBA_CACHE_DIR": f"{caches}/numba", "PYTENSOR_FLAGS": f"base_compiledir={caches}/pytensor"}
        for path in ("numba", "pytensor"):
            Path(caches, path).mkdir()
        environment = {**os.environ, **paths}
        cold = run(bounds=False, pymc=True, environment=environment)
        show("both engines, files; empty caches", cold)
        warm = run(bounds=False, pymc=True, environment=environment)
        show("both engines, files; filled caches", warm)
        exact = run(bounds=False, pymc=False, environment=environment)
        show("exact engine alone, files", exact)
        bounded = run(bounds=True, pymc=False, environment=environment)
        show("exact engine and bounds, files", bounded)
    stages = bounded["stages"]
    assert isinstance(stages, dict)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{'largest memory of a process':<44}{peak:8.2f} GB")
    print(f"cold : warm = {cold['seconds'] / warm['seconds']:.2f} : 1")  # type: ignore[operator]
    print(f"both engines : exact engine alone = {warm['seconds'] / exact['seconds']:.2f} : 1")  # type: ignore[operator]
    print(f"bounds : everything else = {stages['bounds'] / warm['seconds']:.2f} : 1")


if __name__ == "__main__":
    main()
