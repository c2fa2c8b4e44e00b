"""Studies left out by refits: against the exact engine's evidence, and what is refused."""

import arviz as az
import numpy as np
import pytest

from bayespip import priors as p
from bayespip.cross_validation import compare_models, leave_one_out
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.models import load

TRIO = EffectSizes("abc", [0.3, -0.5, 1.2], [0.15, 0.4, 0.25], "SMD")
PRIORS = p.Priors(p.normal(0, 1.55), p.half_normal(0.5))
MCSE_BOUND = 5  # a normal deviate exceeds it once in 1.7 million


@pytest.fixture(scope="module")
def fit() -> PymcFit:
    return pymc_fit("normal_normal", TRIO, PRIORS, seed=2)


def _without(i: int) -> EffectSizes:
    others = [j for j in range(TRIO.k) if j != i]
    return EffectSizes([TRIO.study[j] for j in others], TRIO.yi[others], TRIO.sei[others], TRIO.measure)


def test_leaving_a_study_out_is_the_ratio_of_the_evidences(fit: PymcFit) -> None:
    table = leave_one_out(fit)
    assert list(table["study"]) == list(TRIO.study)
    whole = exact_fit(TRIO, PRIORS).log_evidence
    for i, found in enumerate(table["elpd"]):
        rest = _without(i)
        refit = pymc_fit("normal_normal", rest, PRIORS, seed=2)
        alone = EffectSizes([TRIO.study[i]], TRIO.yi[[i]], TRIO.sei[[i]], TRIO.measure)
        draws = {name: refit.data["posterior"][name].values for name in ("mu", "tau")}
        density = np.exp(load("normal_normal").log_predictive(alone, draws, np.random.default_rng(0))[..., 0])
        assert found == pytest.approx(np.log(density.mean()), abs=1e-12)
        error = float(az.mcse(density, method="mean", chain_axis=0, draw_axis=1)) / density.mean()
        assert abs(found - (whole - exact_fit(rest, PRIORS).log_evidence)) <= MCSE_BOUND * error


def test_models_are_compared_with_the_caution_that_few_studies_need(fit: PymcFit) -> None:
    other = pymc_fit("normal_normal", TRIO, PRIORS, seed=2, parameterisation="non-centred")
    with pytest.warns(UserWarning, match="with 3 studies a difference in elpd and its standard error say next to"):
        table = compare_models({"marginal": fit, "non-centred": other})
    assert table.attrs["caution"].startswith("with 3 studies")
    assert set(table.index) == {"marginal", "non-centred"}
    assert table.loc["marginal", "elpd"] == pytest.approx(leave_one_out(fit)["elpd"].sum(), abs=1e-12)
    assert table["weight"].sum() == pytest.approx(1)


def test_what_cannot_be_compared_is_refused(fit: PymcFit) -> None:
    with pytest.raises(ValueError, match="fits must be two or more; got one"):
        compare_models({"one": fit})
    pair = pymc_fit("normal_normal", _without(0), PRIORS, seed=2)
    with pytest.raises(ValueError, match="fits must be of the same data; those of one and other differ"):
        compare_models({"one": fit, "other": pair})
    single = EffectSizes(["a"], [0.3], [0.15], "SMD")
    with pytest.raises(ValueError, match="leaving a study out needs two or more; got 1"):
        leave_one_out(pymc_fit("normal_normal", single, PRIORS, seed=2))
