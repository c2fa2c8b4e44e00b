"""The grid of priors: equal to the fits it is made of, as a table and as an array, and over families of data."""

from __future__ import annotations

import math

import numpy as np
import pytest

import bayespip as bp
from bayespip import priors as pr
from bayespip.published_only.bounds import bounds
from bayespip.published_only.consistent import consistent_studies
from bayespip.reanalysis.quantities import Bayesian
from bayespip.sensitivity.grid import FREQUENTIST, SCALE_FAMILIES, SCALES, as_dataset, default_grid, prior_grid

THREE = bp.EffectSizes(list("abc"), [0.3, 1.4, 0.6], [0.35, 0.5, 0.3], "OR")
MD = bp.EffectSizes(list("ab"), [3.0, 12.0], [2.0, 2.5], "MD")
PRIORS = [
    bp.Priors(pr.flat(), pr.half_normal(0.5), name="HN"),
    bp.Priors(pr.normal(0, 1), pr.log_normal(-1.3, 0.9), name="LN"),
    bp.Priors(pr.student_t(0, 0.4, 5), pr.inverse_gamma(1.6, 0.4), name="IG"),
]
INSIDE = 0.03  # of an interval's width: how far the extremes over few members may lie inside the true bounds
REVIEW = bp.load_review("pip")


def test_every_cell_is_the_fit_of_that_method():
    grid = prior_grid(THREE, PRIORS)
    fits = [bp.frequentist_fit(THREE, tau2, ci) for tau2, ci in FREQUENTIST]
    fits += [bp.exact_fit(THREE, p) for p in PRIORS]
    assert len(grid) == 3 * len(fits)
    blocks = [grid.iloc[3 * i : 3 * i + 3].set_index("parameter") for i in range(len(fits))]
    for fit, block in zip(fits, blocks, strict=True):
        # the tables say "common", as reanalyse does
        assert set(block["method"]) == {fit.method.replace("common effect", "common")}
        assert set(block["prior"]) == {fit.prior}
        for parameter in ("mu", "tau", "theta_new"):
            estimate = getattr(fit, parameter)
            model = [estimate.point, estimate.lower, estimate.upper]
            np.testing.assert_array_equal(block.loc[parameter, ["point_model", "lower_model", "upper_model"]], model)
            shown = model if parameter == "tau" else np.exp(model)
            found = block.loc[parameter, ["point", "lower", "upper"]].astype(float)
            np.testing.assert_allclose(found, shown, rtol=1e-15)
        np.testing.assert_array_equal(block.loc["mu", "prob_positive"], fit.prob_positive)
        assert block.loc[["tau", "theta_new"], "prob_positive"].isna().all()
    assert grid["point_min_model"].isna().all()
    assert set(grid["value_of"]) == {"study data"}


def test_family_scale_and_median_of_the_prior():
    grid = prior_grid(THREE, PRIORS).set_index("prior")
    assert list(grid.loc[["HN", "LN", "IG"], "family"].unique()) == ["half-normal", "log-normal", "inverse-gamma"]
    assert grid.loc["HN", "scale"].iloc[0] == 0.5
    assert grid.loc["LN", "scale"].iloc[0] == pytest.approx(math.exp(-1.3))
    assert grid.loc["LN", "tau_median"].iloc[0] == pytest.approx(math.exp(-1.3))
    assert grid.loc["IG", "scale"].iloc[0] == 0.4
    assert grid.loc["IG", "prior_mu"].iloc[0] == "student-t(0, 0.4, 5)"


@pytest.mark.parametrize("measure", ["OR", "RR", "HR", "SMD", "RD", "MD"])
def test_the_default_grid_has_every_family_at_five_scales(measure):
    spec = bp.MEASURES[measure]
    grid = default_grid(spec, 2.0)
    mus = dict.fromkeys(p.mu for p in grid)
    assert len(grid) == len(mus) * len(SCALE_FAMILIES) * 5
    assert next(iter(mus)).family == "flat"
    assert len({p.label for p in grid}) == len(grid)
    half_normals = [p.tau.parameters[0] for p in grid if p.tau.family == "half-normal" and p.mu.family == "flat"]
    expected = {"SMD": [0.0551, 0.138, 0.276, 0.551, 1.1], "RD": [0.5, 1, 2, 4, 8], "MD": [0.5, 1, 2, 4, 8]}
    assert half_normals == expected.get(measure, list(SCALES))


def test_a_grid_for_mean_differences_follows_their_unit():
    one, tenfold = (prior_grid(e) for e in (MD, bp.EffectSizes(list("ab"), 10 * MD.yi, 10 * MD.sei, "MD")))
    np.testing.assert_allclose(tenfold["scale"], 10 * one["scale"], rtol=6e-3)  # scales have three digits
    reml = one["method"] == "REML, HKSJ floored"
    np.testing.assert_allclose(tenfold.loc[reml, "point"], 10 * one.loc[reml, "point"])


def test_the_array_holds_the_table():
    grid = prior_grid(THREE)
    cube = as_dataset(grid)
    assert dict(cube.sizes) == {"prior_mu": 2, "family": 4, "scale": 5, "parameter": 3}
    for priors in default_grid(THREE.measure, 1.0)[::7]:
        at = {"prior_mu": str(priors.mu), "family": priors.tau.family, "scale": priors.tau.parameters[-1]}
        fit = bp.exact_fit(THREE, priors)
        for parameter in cube["parameter"].values:
            cell = cube.sel(**at, parameter=parameter)
            assert float(cell["point"]) == getattr(fit, str(parameter)).point
            assert float(cell["upper"]) == getattr(fit, str(parameter)).upper
        assert float(cube["prob_positive"].sel(**at)) == fit.prob_positive
    assert not cube["lower"].isnull().any()


def test_what_has_no_place_in_the_array_is_named():
    two = [bp.Priors(pr.flat(), pr.half_t(0.5, df), name=f"t{df}") for df in (3, 4)]
    with pytest.raises(ValueError, match="these repeat another: t4"):
        as_dataset(prior_grid(THREE, two))
    user = bp.Priors(pr.flat(), pr.density(lambda t: -t, "mine", tail=math.inf))
    with pytest.raises(ValueError, match=r"must have a scale; not so for .*mine"):
        as_dataset(prior_grid(THREE, [user]))
    with pytest.raises(ValueError, match="different names; got HN, HN"):
        prior_grid(THREE, [PRIORS[0], PRIORS[0]])
    with pytest.raises(ValueError, match="at least one"):
        prior_grid(THREE, [])


@pytest.mark.parametrize("key", ["P2", "P9"])
def test_extremes_over_a_family_are_just_inside_the_bounds(key):
    family = consistent_studies(REVIEW[key].reported)
    priors = [bp.Priors(pr.flat(), pr.half_normal(s)) for s in (0.1, 0.5, 2.0)]
    grid = prior_grid(family, priors)
    true = bounds(family, [Bayesian(priors[1])])[0]
    rows = grid[grid["prior"] == priors[1].label].set_index("parameter")
    for parameter in ("mu", "tau", "theta_new"):
        width = true.of(f"{parameter}_upper")[1] - true.of(f"{parameter}_lower")[0]
        for edge in ("point", "lower", "upper"):
            low, high = true.of(f"{parameter}_{edge}")
            assert -0.01 * width <= rows.loc[parameter, f"{edge}_min_model"] - low <= INSIDE * width
            assert -0.01 * width <= high - rows.loc[parameter, f"{edge}_max_model"] <= INSIDE * width
    reference = bp.exact_fit(family.illustration(), priors[1])
    assert rows.loc["mu", "point_model"] == reference.mu.point
    assert (grid["value_of"] == "equal-variance member").all()
    common = grid[grid["method"] == "common, Wald"]
    assert len(common) == 3
    assert np.isfinite(common.loc[common["parameter"] == "mu", ["lower_min", "upper_max"]].astype(float)).all(axis=None)


def test_given_members_are_used_as_they_are():
    family = consistent_studies(REVIEW["P2"].reported)
    one = family.illustration()
    grid = prior_grid(family, PRIORS[:1], members=(one.yi[None], one.vi[None]))
    exact = grid[grid["prior"] == "HN"]
    np.testing.assert_allclose(exact["lower_min_model"], exact["lower_model"], atol=1e-3)
    np.testing.assert_array_equal(exact["lower_min_model"], exact["lower_max_model"])
