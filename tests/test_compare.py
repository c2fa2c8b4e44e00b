"""Fits set side by side: every row is what the fit says, on both scales."""

import numpy as np
import pandas as pd
import pytest

import bayespip as bp
from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.fits import Estimate, compare

COLUMNS = [
    "analysis",
    "measure",
    "k",
    "method",
    "prior",
    "parameter",
    "point",
    "lower",
    "upper",
    "point_model",
    "lower_model",
    "upper_model",
    "level",
    "prob_positive",
]
RATIO = EffectSizes(["Cooper 2003", "Sleed 2013"], [-0.4, -0.1], [0.2, 0.3], "RR")
DIFFERENCE = EffectSizes(["a", "b", "c"], [0.3, 0.1, 0.6], [0.2, 0.25, 0.4], "SMD")


@pytest.fixture
def fits():
    priors = pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5))
    named = pr.Priors(pr.flat(), pr.half_cauchy(0.5), name="wide")
    return exact_fit(RATIO, priors), exact_fit(DIFFERENCE, named, level=0.8)


def test_a_row_a_fit_and_parameter(fits):
    table = compare(*fits, analysis="P1")
    assert list(table.columns) == COLUMNS
    assert table["parameter"].tolist() == [
        *("mu", "tau", "theta_new", "theta[Cooper 2003]", "theta[Sleed 2013]"),
        *("mu", "tau", "theta_new", "theta[a]", "theta[b]", "theta[c]"),
    ]
    assert set(table["analysis"]) == {"P1"}
    first, second = table.iloc[0], table.iloc[5]
    assert (first["measure"], first["k"], first["level"]) == ("RR", 2, 0.95)
    assert (second["measure"], second["k"], second["level"]) == ("SMD", 3, 0.8)
    assert first["prior"] == "mu normal(0, 2.82), tau half-normal(0.5)"
    assert second["prior"] == "wide"
    assert set(table["method"]) == {"exact normal-normal"}


def test_ratios_are_shown_as_ratios_and_tau_as_it_is(fits):
    table = compare(fits[0]).set_index("parameter")
    for name, marginal in (("mu", fits[0].mu), ("theta_new", fits[0].theta_new), ("tau", fits[0].tau)):
        model = [marginal.point, marginal.lower, marginal.upper]
        assert table.loc[name, ["point_model", "lower_model", "upper_model"]].tolist() == model
        shown = model if name == "tau" else np.exp(model).tolist()
        assert table.loc[name, ["point", "lower", "upper"]].tolist() == shown


def test_differences_are_shown_as_they_are(fits):
    table = compare(fits[1])
    for column in ("point", "lower", "upper"):
        assert table[column].tolist() == table[f"{column}_model"].tolist()


def test_the_probability_stands_beside_mu_only(fits):
    table = compare(*fits).set_index("parameter")
    assert table.loc["mu", "prob_positive"].tolist() == [fit.prob_positive for fit in fits]
    assert table.drop(index="mu")["prob_positive"].isna().all()


def test_the_order_of_the_fits_is_kept(fits):
    forwards, backwards = compare(*fits), compare(*fits[::-1])
    reordered = pd.concat([forwards[5:], forwards[:5]], ignore_index=True)
    pd.testing.assert_frame_equal(reordered, backwards)


def test_nothing_to_compare_gives_an_empty_table():
    table = compare()
    assert list(table.columns) == COLUMNS
    assert table.empty


def test_an_estimate_is_frozen():
    estimate = Estimate(0.1, -0.2, 0.4)
    with pytest.raises(AttributeError):
        estimate.point = 0.0


def test_a_fit_prints_what_it_says_on_the_scale_of_its_measure():
    effects = bp.EffectSizes(["A", "B"], [-0.35, -0.92], [0.31, 0.42], "RR")
    fit = bp.exact_fit(effects, bp.Priors(bp.priors.flat(), bp.priors.half_normal(0.5)))
    first, mu, tau, new = str(fit).splitlines()
    assert first == "Risk ratio, k = 2; exact normal-normal, mu flat, tau half-normal(0.5); 95% intervals"
    shown = bp.compare(fit).set_index("parameter")
    assert mu == "mu         {point:.4g} ({lower:.4g} to {upper:.4g})".format(**shown.loc["mu"])
    assert tau == "tau        {point:.4g} ({lower:.4g} to {upper:.4g}), log scale".format(**shown.loc["tau"])
    assert new.startswith("theta_new  ")
    assert "tau        0, no interval, log scale" in str(bp.frequentist_fit(effects, "common", "Wald"))
    assert "nodes" not in repr(fit)
