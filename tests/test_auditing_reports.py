"""The audit on many reports: clean ones raise no alarm, and seeded errors are found."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reference_data import load_reference
from scipy import stats

import bayespip as bp
from bayespip.auditing import audit, audit_reported
from bayespip.effects import EffectSizes
from bayespip.frequentist.fit import frequentist_fit
from bayespip.readers import read_review

ROOT = Path(__file__).parents[1]
COCHRANE = ROOT.parent / "shared" / "formats" / "cochrane"
Z = stats.norm.ppf(0.975)


def load_benchmark():
    spec = importlib.util.spec_from_file_location("audit_benchmark", ROOT / "benchmarks" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


benchmark = load_benchmark()


def test_results_of_reference_data_sets_are_clean():
    """Classical data sets pooled by metafor (DerSimonian-Laird, normal), printed to two or three decimals."""
    checked = 0
    for name, dataset in load_reference()["datasets"].items():
        # effects that are given are printed on their own scale
        measure = dataset["measure"] if dataset["measure"] in bp.MEASURES else "MD"
        yi, vi = np.array(dataset["yi"]), np.array(dataset["vi"])
        for decimals in (2, 3):
            truth = benchmark.Truth(measure, yi, vi, np.full(len(yi), 100), False, decimals, 1)
            fit = dataset["freq"]["DL"]["z"]
            assert truth.tau2 == pytest.approx(fit["tau2"], rel=1e-6)
            assert truth.pooled == pytest.approx((fit["beta"], fit["se"]), rel=1e-6)
            assert audit_reported(benchmark.printed(truth)) == (), name
            checked += 1
    assert checked == 2 * 19


def test_stored_results_of_cochrane_reviews_are_clean():
    """59 totals at 16 digits, of all pooling methods: RevMan's tail probabilities are off in the sixth."""
    if not COCHRANE.exists():
        pytest.skip("the reviews' files are not here: ../shared/formats/cochrane")
    reviews = [read_review(path) for path in sorted(COCHRANE.glob("*.rm5"))]
    assert sum(a.reported is not None for r in reviews for a in r) == 59
    assert [len(audit(r)) for r in reviews] == [0, 0, 0]


def test_simulated_reports_follow_the_projects_own_pooling():
    rng = np.random.default_rng(1)
    for _ in range(20):
        truth = benchmark.draw(rng)
        names = [str(i) for i in range(truth.k)]
        effects = EffectSizes(names, truth.yi, truth.vi**0.5, truth.measure)
        fit = frequentist_fit(effects, tau2="common" if truth.common else "DL", ci="Wald")
        m, s = truth.pooled
        assert (m, m - Z * s, m + Z * s) == pytest.approx((fit.mu.point, fit.mu.lower, fit.mu.upper))


def test_300_clean_reports_raise_no_alarm():
    assert benchmark.false_alarms(300) == []


@pytest.mark.slow
def test_2000_clean_reports_raise_no_alarm():
    assert benchmark.false_alarms(2000) == []


# Smallest share of 200 reports with one seeded error in which it is found: a little below docs/decisions/audit.md.
# What moves all numbers alike (one study entered wrongly, all else pooled faithfully) cannot be seen.
FLOORS = {
    "estimate -/+ SE as the interval": 0.62,
    "90% limits called 95%": 0.52,
    "p of another result": 0.78,
    "one-sided p": 0.92,
    "digits transposed in p": 0.58,
    "digits transposed in Q": 0.92,
    "I2 of another result": 0.88,
    "tau2 of another result": 0.82,
    "tau for tau2": 0.82,
    "digits transposed in tau2": 0.73,
    "SE taken as SD in one study": 0.0,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", benchmark.KINDS)
def test_seeded_errors_are_found(kind):
    rate = benchmark.detection(kind)
    assert rate.reports == 200
    assert rate.found / rate.reports >= FLOORS.get(kind, 0.95)


def test_the_slip_is_named():
    t = benchmark.Truth("SMD", np.array([0.1, 0.9]), np.array([0.02, 0.03]), np.array([200, 130]), False, 3, 1)
    right = benchmark.printed(t)
    assert audit_reported(right) == ()
    (as_tau,) = audit_reported(replace(right, tau2=f"{t.tau2**0.5:.3f}"))
    assert "if it were tau instead of its square" in as_tau.sentence
    (repeated,) = audit_reported(replace(right, tau2=right.q))
    assert "repeats the chi-squared" in repeated.sentence
