"""This package and its peers on the same simulated analyses: time a fit, accuracy beside it, ratios.

Frequentist: REML and Paule-Mandel. Bayesian: flat prior on mu, half-normal on tau. Errors are the largest over the
analyses, against mpmath or a fine fixed grid (``truth``): of mu in standard errors, of tau2 as a share of itself plus
the average variance; of the posterior's median and limits of mu, and its mean of tau, in posterior SDs. Times of one
analysis at a time are medians; compilation, and starting R, are printed apart. What is not installed is said not to be.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from truth import Frequentist, Posterior, frequentist

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit
from bayespip.frequentist.fit import frequentist_batch, frequentist_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIZES, ANALYSES, AT_ONCE = (2, 8, 37), 20, 2000
SCALE = 0.5  # of the half-normal prior
PRIORS = pr.Priors(pr.flat(), pr.half_normal(SCALE))
PROBABILITIES = (0.5, 0.025, 0.975)
MODEL_REFITS = 5
METHODS = ("REML", "PM")


@dataclass(frozen=True)
class Data:
    """Simulated analyses of k studies: effects and variances, shape (n, k)."""

    yi: Array
    vi: Array

    def effects(self) -> list[EffectSizes]:
        labels = [str(i) for i in range(self.yi.shape[1])]
        return [EffectSizes(labels, y, np.sqrt(v), "MD") for y, v in zip(self.yi, self.vi, strict=True)]


def simulated(k: int, count: int, seed: int = 1) -> Data:
    rng = np.random.default_rng([seed, k])
    sei = np.exp(rng.normal(-1.2, 0.6, (count, k)))
    return Data(rng.normal(0.3, np.hypot(sei, 0.3)), sei**2)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def one_by_one(fit: Callable[[Array, Array], Any], data: Data) -> tuple[float, list[Any]]:
    """Median seconds of a fit, after one to warm up, and what each gave."""
    fit(data.yi[0], data.vi[0])
    runs = [timed(lambda y=y, v=v: fit(y, v)) for y, v in zip(data.yi, data.vi, strict=True)]
    return float(np.median([seconds for seconds, _ in runs])), [found for _, found in runs]


def installed(distribution: str) -> bool:
    try:
        print(f"{distribution} {version(distribution)}")
    except PackageNotFoundError:
        print(f"{distribution} not installed")
        return False
    return True


def line(name: str, seconds: float, first: float, errors: tuple[float, float]) -> None:
    print(
        f"  {name:<48}{1e3 * seconds:10.3f} ms{seconds / first:10.1f} : 1{errors[0]:12.0e}{errors[1]:10.0e}", flush=True
    )


def of_ours(tau2: str) -> Callable[[Array, Array], tuple[float, float]]:
    def fit(yi: Array, vi: Array) -> tuple[float, float]:
        found = frequentist_fit(EffectSizes([str(i) for i in range(yi.size)], yi, np.sqrt(vi), "MD"), tau2, "Wald")
        return found.tau2, found.mu.point

    return fit


def python_peers(method: str, present: dict[str, bool]) -> Iterator[tuple[str, Callable[[Array, Array], Any]]]:
    """Estimates of tau2 and mu by each installed package that has the method."""
    if present["pymare"] and method == "REML":
        from pymare.estimators import VarianceBasedLikelihoodEstimator

        def by_pymare(yi: Array, vi: Array) -> Any:
            one = np.ones((yi.size, 1))
            estimator = VarianceBasedLikelihoodEstimator(method="REML", small_sample_correction="wald")
            found = estimator.fit(yi[:, None], vi[:, None], one).params_
            return found["tau2"].item(), found["fe_params"].item()

        yield "PyMARE", by_pymare
    if present["pymetaanalysis"]:
        from meta_analyze import meta_analysis

        def by_pymetaanalysis(yi: Array, vi: Array) -> Any:
            found = meta_analysis(effect=yi, variance=vi, tau2_method=method)
            return found.tau2, found.estimate

        yield "PyMetaAnalysis", by_pymetaanalysis
    if present["statsmodels"] and method == "PM":
        from statsmodels.stats.meta_analysis import combine_effects

        def by_statsmodels(yi: Array, vi: Array) -> Any:
            found = combine_effects(yi, vi, method_re="pm")
            return found.tau2, found.mean_effect_re

        yield "statsmodels", by_statsmodels


def errors_of(found: list[tuple[float, float]], data: Data, truths: list[Frequentist]) -> tuple[float, float]:
    """Largest of mu, in its standard errors, and of tau2, as a share of itself plus the average variance."""
    rows = list(zip(found, data.vi, truths, strict=False))
    return (
        max(abs(mu - t.mu) / t.se for (_, mu), _, t in rows),
        max(abs(tau2 - t.tau2) / (t.tau2 + v.mean()) for (tau2, _), v, t in rows),
    )


def frequentist_part(k: int, method: str, present: dict[str, bool], r: list[dict[str, str]]) -> None:
    data, many = simulated(k, ANALYSES), simulated(k, AT_ONCE)
    truths = [frequentist(y, v, method) for y, v in zip(data.yi, data.vi, strict=True)]
    print(f"{method}, k = {k}{'time a fit':>47}{'ratio':>12}{'error of mu':>15}{'tau2':>10}")
    frequentist_batch(data.yi, data.vi, method, "Wald")
    seconds, batch = timed(lambda: frequentist_batch(many.yi, many.vi, method, "Wald"))
    first = seconds / AT_ONCE
    small = frequentist_batch(data.yi, data.vi, method, "Wald")
    pairs = list(zip(small.tau2.tolist(), small.mu.tolist(), strict=True))
    line(f"bayespip frequentist_batch, {AT_ONCE} at once", first, first, errors_of(pairs, data, truths))
    if present["pymare"] and method == "REML":
        from pymare.estimators import VarianceBasedLikelihoodEstimator

        def at_once() -> Any:
            estimator = VarianceBasedLikelihoodEstimator(method="REML", small_sample_correction="wald")
            return estimator.fit(many.yi.T, many.vi.T, np.ones((k, 1))).params_

        seconds, params = timed(at_once)
        found = [(t, m) for t, m in zip(params["tau2"].ravel(), params["fe_params"].ravel(), strict=True)]
        # the batch was held against mpmath above; these are more analyses than that would take
        wanted = [Frequentist(*row) for row in zip(batch.tau2, batch.mu, batch.se, strict=True)]
        line(f"PyMARE, {AT_ONCE} at once", seconds / AT_ONCE, first, errors_of(found, many, wanted))
    for name, fit in [("bayespip frequentist_fit", of_ours(method)), *python_peers(method, present)]:
        seconds, found = one_by_one(fit, data)
        line(name, seconds, first, errors_of(found, data, truths))
    rows = {row["analysis"]: row for row in r if row["method"] == method and row["analysis"].startswith(f"{k}-")}
    if rows:
        found = [(float(rows[f"{k}-{i}"]["tau2"]), float(rows[f"{k}-{i}"]["mu"])) for i in range(ANALYSES)]
        seconds = float(np.median([float(row["seconds"]) for row in rows.values()]))
        line("metafor, default tolerances", seconds, first, errors_of(found, data, truths))


def bayesian_errors(truth: Posterior, quantiles: tuple[float, ...], mean_tau: float) -> tuple[float, float]:
    of_mu = max(truth.error_of_mu(q, p) for q, p in zip(quantiles, PROBABILITIES, strict=True))
    return of_mu, truth.error_of_mean_tau(mean_tau)


def worst(errors: list[tuple[float, float]]) -> tuple[float, float]:
    return max(e[0] for e in errors), max(e[1] for e in errors)


def of_draws(mu: Array, tau: Array) -> tuple[tuple[float, ...], float]:
    return tuple(float(q) for q in np.quantile(mu, PROBABILITIES)), float(tau.mean())


def bayesian_part(k: int, r: list[dict[str, str]]) -> None:
    data = simulated(k, ANALYSES)
    effects, many = data.effects(), simulated(k, AT_ONCE).effects()
    truths = [Posterior.of(y, v, SCALE) for y, v in zip(data.yi, data.vi, strict=True)]
    print(f"half-normal, k = {k}{'time a fit':>43}{'ratio':>12}{'error of mu':>15}{'tau':>10}")
    small = exact_batch(effects, [PRIORS])
    first = timed(lambda: exact_batch(many, [PRIORS]))[0] / AT_ONCE
    columns = [small[f"mu_{s}"].to_numpy()[:, 0] for s in ("median", "lower", "upper")]
    mean_tau = small["tau_mean"].to_numpy()[:, 0]
    found = [((*map(float, q),), float(m)) for *q, m in zip(*columns, mean_tau, strict=True)]
    errors = [bayesian_errors(t, *f) for t, f in zip(truths, found, strict=True)]
    line(f"bayespip exact_batch, {AT_ONCE} at once", first, first, worst(errors))

    def summarised(yi: Array, vi: Array) -> tuple[tuple[float, ...], float]:
        fit = exact_fit(EffectSizes([str(i) for i in range(k)], yi, np.sqrt(vi), "MD"), PRIORS)
        _ = [(m.point, m.lower, m.upper) for m in (fit.tau, fit.theta_new)]
        return (fit.mu.point, fit.mu.lower, fit.mu.upper), fit.tau.mean

    seconds, found = one_by_one(summarised, data)
    errors = [bayesian_errors(t, *f) for t, f in zip(truths, found, strict=True)]
    line("bayespip exact_fit, nine limits", seconds, first, worst(errors))
    sampled(data, effects, truths, first)
    for row in (row for row in r if row["package"] == "bayesmeta" and row["analysis"].startswith(f"{k}-")):
        quantiles = tuple(float(row[name]) for name in ("mu", "lower", "upper"))
        truth = truths[int(row["analysis"].partition("-")[2])]
        line("bayesmeta", float(row["seconds"]), first, bayesian_errors(truth, quantiles, float(row["tau2"])))


def sampled(data: Data, effects: list[EffectSizes], truths: list[Posterior], first: float) -> None:
    """This package's sampler, compiled once, and plain PyMC, which compiles each model."""
    import pymc as pm

    from bayespip.mcmc.fit import pymc_fit

    apart = timed(lambda: pymc_fit("normal_normal", effects[-1], PRIORS, seed=0))[0]
    runs = [timed(lambda i=i: pymc_fit("normal_normal", effects[i], PRIORS, seed=i)) for i in range(MODEL_REFITS)]
    errors = [
        bayesian_errors(truth, *of_draws(fit.draws("mu"), fit.draws("tau")))
        for truth, (_, fit) in zip(truths, runs, strict=False)
    ]
    name = f"bayespip pymc_fit, checked; the first {apart:.1f} s"
    line(name, float(np.median([seconds for seconds, _ in runs])), first, worst(errors))

    def plain() -> Any:
        with pm.Model():
            mu, tau = pm.Flat("mu"), pm.HalfNormal("tau", SCALE)
            pm.Normal("y", mu, pm.math.sqrt(data.vi[0] + tau**2), observed=data.yi[0])
            return pm.sample(draws=1000, tune=1000, chains=4, target_accept=0.99, random_seed=1, progressbar=False)

    seconds, trace = timed(plain)
    draws = (trace["posterior"][name].to_numpy().ravel() for name in ("mu", "tau"))
    line("plain PyMC, pm.sample, once", seconds, first, bayesian_errors(truths[0], *of_draws(*draws)))


def from_r() -> list[dict[str, str]]:
    """What metafor and bayesmeta give, in one process of R."""
    if shutil.which("Rscript") is None:
        print("R not installed: no metafor, no bayesmeta")
        return []
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, "analyses.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["analysis", "yi", "vi"])
            for k in SIZES:
                data = simulated(k, ANALYSES)
                for i in range(ANALYSES):
                    rows.writerows([f"{k}-{i}", y, v] for y, v in zip(data.yi[i], data.vi[i], strict=True))
        start = timed(lambda: subprocess.run(["Rscript", "-e", "1"], capture_output=True, check=True))[0]  # noqa: S607
        script = Path(__file__).with_suffix(".R")
        command = ["Rscript", str(script), folder, str(SCALE), "20"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{script.name} failed:\n{done.stderr}")
        print(done.stdout.strip(), f"\nstarting R takes {start:.2f} s, left out below", sep="")
        with Path(folder, "found.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))


def main() -> None:
    """Print the tables."""
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
    present = {name: installed(name) for name in ("pymare", "pymetaanalysis", "statsmodels", "pymc")}
    print("None of PyMARE, PyMetaAnalysis and statsmodels fits the Bayesian model without another program.")
    r = from_r()
    for method in METHODS:
        for k in SIZES:
            frequentist_part(k, method, present, r)
    for k in SIZES:
        bayesian_part(k, r)


if __name__ == "__main__":
    main()
