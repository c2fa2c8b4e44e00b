"""Run every benchmark and write what each printed into docs/benchmarks.md: `make bench`.

Each script runs in a process of its own, one after another. One that fails, or takes longer than a quarter of an hour,
is named in the page and at the end, and what it said of it is printed.
"""

from __future__ import annotations

import ast
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIMIT = 900.0  # seconds a script
HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
PACKAGES = (
    *("bayespip", "numpy", "scipy", "numba", "pandas", "xarray", "pymc", "pytensor", "nutpie", "arviz", "distributed"),
    *("pymare", "pymetaanalysis", "statsmodels"),
)
HEAD = """# Benchmarks

Written by `make bench`, which runs every script in `benchmarks/`; below each title stand the script's own words about
its figures, and what it printed, unchanged. All data are simulated, but for the bundled reviews.

How to read it:

- Compilation and imports are printed apart from what follows them: a first call in a process pays them once.
- Ratios compare figures of one run on one machine. Only they carry over to another machine, and roughly.
- Seconds of the clock depend on what else the machine does: the load when each script began is printed. Where seconds
  of processor time stand beside them, they do not.
- Accuracy stands beside speed, because a fast wrong number is worth nothing. An error of 1e-8 posterior SD is what the
  exact engines promise; that of a limit from 4,000 draws is a tenth of one, and two or three of them at k = 2.

Targets, set before anything was measured, for two processors:

| what | target | script |
|---|---|---|
| 10,000 analyses (k as in Cochrane reviews) under 10 pairs of priors, all summaries | 20 s, 2 GB | exact_batch |
| one analysis through `exact_fit`, after the first call | 1 ms | exact_batch |
| grid of priors, tipping points and conclusion matrix of the bundled review | 30 s | sensitivity |
| report of the bundled review, 19 outcomes | 40 s, 8 MB; opens in 2 s | report |
| bayesmeta, for comparison: 0.9 s at k = 2, 1.2 s at k = 8, 18 s at k = 37 | thousands of times faster | peers |
"""


@dataclass(frozen=True)
class Run:
    """A script, its words and what it printed; ``failure`` is empty where all went well."""

    name: str
    words: str
    printed: str
    seconds: float
    load: float
    failure: str
    complaint: str


def scripts(folder: Path) -> list[Path]:
    """Those that do something when run, but for this one."""
    found = sorted(folder.glob("*.py"))
    return [f for f in found if f.name != Path(__file__).name and "__main__" in f.read_text(encoding="utf-8")]


def run(script: Path, limit: float = LIMIT) -> Run:
    """What a script prints."""
    begin, load, failure = time.perf_counter(), os.getloadavg()[0], ""
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        printed, complaint = process.communicate(timeout=limit)
        if process.returncode:
            failure = f"failed with exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)  # with what it started
        printed, complaint = process.communicate()
        failure = f"was stopped after {limit:g} s"
    words = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return Run(script.stem, words, printed, time.perf_counter() - begin, load, failure, complaint)


def machine() -> str:
    """Processors, memory, system, versions and date, as a table."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    rows = [
        ("date", datetime.now(UTC).date().isoformat()),
        ("processors", f"{os.cpu_count()}, {_model()}"),
        ("memory", f"{memory:.0f} GB"),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or "model unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def page(runs: list[Run]) -> str:
    """The page in Markdown."""
    parts = [HEAD, "## The machine\n", machine() + "\n"]
    for one in runs:
        took = f"It took {one.seconds:.0f} s; the load was {one.load:.1f} when it began."
        ended = f"**The script {one.failure}; what it printed until then:**\n\n" if one.failure else ""
        parts.append(f"## {one.name}\n\n{one.words}\n\n{took}\n\n{ended}```text\n{one.printed.rstrip()}\n```\n")
    return "\n".join(parts)


def write(folder: Path, file: Path) -> list[str]:
    """Run all scripts of a folder, write the page, and say which failed."""
    runs = []
    for script in scripts(folder):
        print(f"{script.name} ...", flush=True)
        runs.append(run(script))
        print(f"{runs[-1].printed}{runs[-1].complaint if runs[-1].failure else ''}", flush=True)
    file.write_text(page(runs), encoding="utf-8")
    return [f"{one.name} {one.failure}" for one in runs if one.failure]


if __name__ == "__main__":
    failed = write(HERE, PAGE)
    print(f"Written: {PAGE.relative_to(HERE.parent)}")
    if failed:
        sys.exit(f"Failed: {'; '.join(failed)}.")
