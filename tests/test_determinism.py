"""The same seed gives the same bytes in any process, on any number of processors and threads."""

import json
import os
import subprocess
import sys

import pytest

WORK = """
import hashlib, json, sys
from pathlib import Path
import numpy as np
import bayespip as bp
from bayespip import priors as pr

cores, folder = int(sys.argv[1]), Path(sys.argv[2])
rng = np.random.default_rng(1)
effects = [
    bp.EffectSizes([f"simulated {i}" for i in range(k)], rng.normal(size=k), np.exp(rng.normal(-1, 0.5, k)), "SMD")
    for k in (1, 2, 3, 5, 8, 13) * 20
]
taus = pr.half_normal(0.5), pr.log_t(-1, 0.9, 5)
pairs = [bp.Priors(mu, tau) for mu in (pr.flat(), pr.student_t(0, 1, 3)) for tau in taus]
found = {}
batch = bp.exact_batch(effects, pairs, studies=True, threads=cores)
found |= {f"exact_batch {name}": batch[name].to_numpy().tobytes() for name in batch if name != "reason"}
fits = [fit for e in effects[:6] for fit in (bp.exact_fit(e, pairs[1]), bp.frequentist_fit(e))]
found["compare"] = bp.compare(*fits).to_csv().encode()
tree = bp.pymc_fit("normal_normal", effects[4], pairs[0], seed=11, cores=cores).data
for group in tree.children:
    numbers = {n: v for n, v in tree[group].data_vars.items() if v.dtype != object}
    found |= {f"pymc_fit {group}/{n}": v.to_numpy().tobytes() for n, v in numbers.items()}
weak = bp.Priors(pr.normal(0, 50, "test"), pr.half_normal(10, "test"), name="weak")
bp.reanalyse(bp.load_review("coaching"), (weak,)).save(folder)
found |= {file.name: file.read_bytes() for file in folder.iterdir()}
print(json.dumps({name: hashlib.sha256(value).hexdigest() for name, value in found.items()}))
"""


def digests(folder, cores, hash_seed):
    """Of all numbers and files, from a process with so many threads and, where 1, one processor."""
    threads = {f"{name}_NUM_THREADS": str(cores) for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    environment = os.environ | threads | {"PYTHONHASHSEED": str(hash_seed)}
    allowed = os.sched_getaffinity(0)
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(cores), str(folder)],
        env=environment, capture_output=True, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(allowed)} if cores == 1 else allowed),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be withheld on this system")
def test_every_number_and_file_is_the_same_on_one_processor_and_on_several(tmp_path):
    one, four = (digests(tmp_path / name, cores, seed) for name, cores, seed in (("one", 1, 1), ("four", 4, 2)))
    assert {name for name in one.keys() | four.keys() if one.get(name) != four.get(name)} == set()
    assert {
        "compare",
        "exact_batch mu_mean",
        "pymc_fit posterior/tau",
        "comparison.parquet",
        "posterior.nc",
    } <= one.keys()
    assert len(one) > 30
