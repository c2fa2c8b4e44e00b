"""Both exact engines on random hard analyses whose posteriors are pinned at 17 digits (reference/hard_cases.py)."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit

# What is promised, in max(|reference|, posterior SD); for the probability and the log evidence at least absolute.
TOLERANCE = 1e-8
PARAMETERS = ("mu", "tau", "theta_new")
PINNED = json.loads(Path(__file__).with_name("reference").joinpath("hard_cases.json").read_text("utf-8"))
CASES = PINNED["cases"]
FAMILIES = ("half_cauchy", "log_normal", "log_t", "inverse_gamma", "uniform")


def of_batch(effects, priors):
    """Summaries by the names of the reference."""
    batch = exact_batch([effects], [priors])
    found = {name: float(batch[name][0, 0]) for name in batch if name != "reason"}
    for parameter in PARAMETERS:
        found[f"{parameter}_quantiles"] = [found[f"{parameter}_{s}"] for s in ("lower", "median", "upper")]
        found[f"{parameter}_shortest"] = [found[f"{parameter}_shortest_{s}"] for s in ("lower", "upper")]
    return found


def of_fit(effects, priors):
    fit = exact_fit(effects, priors)
    found = {"log_evidence": fit.log_evidence, "prob_positive": fit.prob_positive}
    for parameter in PARAMETERS:
        marginal = getattr(fit, parameter)
        found |= {f"{parameter}_mean": marginal.mean, f"{parameter}_sd": marginal.sd}
        found[f"{parameter}_quantiles"] = [marginal.lower, marginal.point, marginal.upper]
        found[f"{parameter}_shortest"] = list(marginal.interval(kind="shortest"))
    return found


def misses(case, found):
    """What differs from the reference by more than the tolerance."""
    exact = case["exact"]
    bad = []
    for key, reference in exact.items():
        parameter = key.rsplit("_", 1)[0]
        if parameter in PARAMETERS:
            quantiles = np.array(exact[f"{parameter}_quantiles"], dtype=float)
            scale = float(exact.get(f"{parameter}_sd", (quantiles[2] - quantiles[0]) / 4))
        else:
            scale = 1.0
        ours, wanted = np.atleast_1d(found[key]), np.atleast_1d(np.array(reference, dtype=float))
        share = np.abs(ours - wanted) / np.maximum(np.abs(wanted), scale)
        if not (share <= TOLERANCE).all():
            bad.append(f"{key}: {ours.tolist()}, wanted {wanted.tolist()}, off by {share.max():.1e}")
    moments = {f"{parameter}_{statistic}" for parameter in PARAMETERS for statistic in ("mean", "sd")}
    bad += [f"{key}: {found[key]} does not exist" for key in moments - set(exact) if math.isfinite(found[key])]
    return bad


def given(case):
    yi, sei = case["yi"], case["sei"]
    mu = pr.normal(*case["mu"]) if case["mu"] else pr.flat()
    family, *parameters = case["tau"]
    priors = pr.Priors(mu, getattr(pr, family)(*parameters))
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, "MD"), priors


def test_the_cases_are_as_many_and_as_hard_as_they_say():
    assert len(CASES) == len({case["name"] for case in CASES}) == PINNED["meta"]["cases"] == 200
    assert Counter(case["tau"][0] for case in CASES) == dict.fromkeys(FAMILIES, 40)
    assert sum(len(case["yi"]) == 2 for case in CASES) == 115
    assert sum(max(case["sei"]) / min(case["sei"]) >= 0.99e6 for case in CASES) == 25
    assert min(min(case["sei"]) for case in CASES) == 1e-4
    assert max(max(case["sei"]) for case in CASES) == 1e4
    assert sum("outlier" in case["name"] for case in CASES) == 50
    assert sum("tau at 0" in case["name"] for case in CASES) == 25


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("summaries", [of_batch, of_fit])
def test_summaries_are_those_of_forty_digits(family, summaries):
    chosen = [case for case in CASES if case["tau"][0] == family]
    bad = {case["name"]: lines for case in chosen if (lines := misses(case, summaries(*given(case))))}
    assert not bad, "\n".join(f"{name}: {line}" for name, lines in bad.items() for line in lines)
