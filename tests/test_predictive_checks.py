"""Predictive checks: against closed forms of the marginal model."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayespip import priors as p
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.outcomes import Outcomes
from bayespip.model_data.two_arms import Counts, Means
from bayespip.predictive_checks import predictive_checks, prior_predictive

FAR = EffectSizes("abcd", [0.1, 0.2, 0.0, 3.0], [0.2, 0.3, 0.25, 0.2], "SMD")
PRIORS = p.Priors(p.normal(0, 1.55), p.half_normal(0.5))
DRAWS = 4000
SE = 5 * 0.5 / np.sqrt(1000)  # five standard errors of a probability, at a quarter of the draws as effective sample


@pytest.fixture(scope="module")
def fit() -> PymcFit:
    return pymc_fit("normal_normal", FAR, PRIORS, seed=5)


def test_probabilities_are_those_of_the_replicates_of_a_new_effect(fit: PymcFit) -> None:
    table = predictive_checks(fit).set_index("statistic")
    assert list(table.index) == [*(f"estimate[{s}]" for s in FAR.study), "Q", "range"]
    mu, tau = fit.draws("mu"), fit.draws("tau")
    for study, yi, sei in zip(FAR.study, FAR.yi, FAR.sei, strict=True):
        expected = stats.norm.sf(yi, mu, np.hypot(tau, sei)).mean()
        assert abs(table.loc[f"estimate[{study}]", "p"] - expected) <= SE
    w = 1 / FAR.vi
    q = (w * (FAR.yi - np.average(FAR.yi, weights=w)) ** 2).sum()
    assert table.loc["Q", "observed"] == pytest.approx(q, rel=1e-12)
    assert table.loc["range", "observed"] == pytest.approx(3.0)
    assert table.loc["estimate[d]", "p"] == table["p"].min()
    assert (table["lower"] < table["median"]).all()


def test_a_statistic_that_is_always_met_has_a_p_of_one_half(fit: PymcFit) -> None:
    groups = fit.data.copy()
    groups["posterior_predictive"]["y"] = groups["posterior_predictive"]["y"] * 0 + fit.data["observed_data"]["y"]
    same = PymcFit(fit.effects, fit.priors, fit.model, fit.level, groups)
    assert (predictive_checks(same)["p"] == 0.5).all()


def test_counts_and_means_are_compared_as_the_effects_they_give() -> None:
    """Simulated: of each kind of arm three trials; observed estimates are those of the usual formulas."""
    counts = Counts(["a", "b", "c"], [4, 0, 7], [23, 20, 31], [11, 3, 9], [25, 22, 30], "OR")
    means = Means(["a", "b"], [1.1, 0.4], [1.0, 0.8], [12, 19], [0.2, 0.1], [1.3, 0.7], [15, 17], "SMD")
    for name, data, columns in (
        ("binomial_normal", counts, ("event_e", "n_e", "event_c", "n_c")),
        ("normal_arms", means, ("mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c")),
    ):
        rows = pd.DataFrame({"study": data.study} | {column: getattr(data, column) for column in columns})
        expected = effect_sizes(rows, data.measure)
        table = predictive_checks(pymc_fit(name, data, PRIORS, seed=1))
        np.testing.assert_allclose(table["observed"][: data.k], expected.yi, rtol=1e-12)
        w = 1 / expected.vi
        q = (w * (expected.yi - np.average(expected.yi, weights=w)) ** 2).sum()
        assert table["observed"].iloc[-2] == pytest.approx(q, rel=1e-12)
        assert (table["lower"] < table["upper"]).all()  # replicates vary


def test_a_model_of_several_effects_a_study_is_refused() -> None:
    shared = Outcomes({"A": FAR, "B": FAR}, rho_within=0.3)
    with pytest.raises(ValueError, match="multivariate has no replicate of one effect a study"):
        predictive_checks(pymc_fit("multivariate", shared, PRIORS, seed=1))


def test_the_prior_predictive_distribution_follows_the_priors_and_ignores_the_estimates() -> None:
    drawn = prior_predictive("normal_normal", FAR, PRIORS, seed=1, draws=DRAWS)
    moved = EffectSizes(FAR.study, FAR.yi + 100, FAR.sei, FAR.measure)
    again = prior_predictive("normal_normal", moved, PRIORS, seed=1, draws=DRAWS)
    assert drawn["y"].dims == ("draw", "study")
    np.testing.assert_array_equal(drawn["y"], again["y"])
    for name, prior in (("mu", PRIORS.mu), ("tau", PRIORS.tau)):
        assert stats.kstest(drawn[name].values, prior.cdf).pvalue > 0.01
    sd = np.sqrt(1.55**2 + 0.5**2 + FAR.vi)
    z = (drawn["y"] / sd).std("draw").values
    # E tau^2 = 0.25 for half-normal(0.5); five standard errors of an SD
    np.testing.assert_allclose(z, 1, atol=5 / np.sqrt(2 * DRAWS))


def test_an_improper_prior_predicts_nothing() -> None:
    with pytest.raises(ValueError, match="the prior predictive distribution needs proper priors; flat on mu is not"):
        prior_predictive("normal_normal", FAR, p.Priors(p.flat(), p.half_normal(0.5)), seed=1)
