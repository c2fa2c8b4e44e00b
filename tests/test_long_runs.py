"""150 sampled refits in one process neither grow nor slow down; `benchmarks/long_run.py` does a thousand."""

import importlib.util
import sys

import numpy as np
import pytest

# A fit that is not let go costs about 1 MB.
MEGABYTES_A_REFIT = 0.15
# Medians of 50 refits' processor time, on a machine with other work.
SLOWER = 1.5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the process's memory is read from /proc, which only Linux has")
def test_refits_take_no_more_memory_or_time_as_they_go_on(root):
    spec = importlib.util.spec_from_file_location("long_run", root / "benchmarks" / "long_run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    done = module.run(150)
    assert done.growth(done.megabytes) < MEGABYTES_A_REFIT
    assert np.median(done.seconds[100:]) < SLOWER * np.median(done.seconds[50:100])
