"""The explorer's data: every number stored is one of exact_fit, and the curves are its densities."""

import base64
import json
import math
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reanalyses import published, study_data
from scipy.special import ndtri
from simulated import simulated

import bayespip as bp
from bayespip import priors
from bayespip.priors.sets import default_priors
from bayespip.report.explorer import ROUNDING, _inside, explorer, explorer_data, explorer_head
from bayespip.report.explorer_grid import SCALES, grid_of
from bayespip.sensitivity.grid import default_grid

# Of single precision; and of a Student-t prior's fewer components, relative to the width of the interval.
COMPONENTS = 1e-7
ON_SCREEN = 1 / 200  # of a curve's height: half a pixel of 90
SPREAD = 2e-5  # of the curves that find extremes among members (sensitivity.curves), on a probability


@cache
def simulated_data():
    return bp.reanalyse(simulated(), with_pymc=False)


@cache
def data_of(make, index):
    return explorer_data(make(), index)


# Trials, two and four possible studies, a mean difference, and a unit of which nothing is known.
CASES = [(study_data, 0), (published, 0), (published, 4), (simulated_data, 1), (simulated_data, 4)]


def singles(text, *shape):
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(float).reshape(*shape)


def shares(text, *shape):
    return np.frombuffer(base64.b64decode(text), dtype="<u2").reshape(*shape) / (2**16 - 1)


def pairs_of(data):
    """Priors on mu and on tau, from the calls that are shown."""
    names = {"bp": bp, "math": math}
    mus = [eval(mu["call"], names) for mu in data["mus"]]  # noqa: S307
    taus = [eval(call, names) for family in data["families"] for call in family["calls"]]  # noqa: S307
    return mus, taus


def density(prior):
    """What makes two priors one, whatever their sources."""
    return prior.family, prior.parameters


def values_of(data):
    mus, taus = pairs_of(data)
    return singles(data["values"], len(mus), len(taus), 10 + 3 * data["k"])


def exact_values(fit):
    marginals = (fit.mu, fit.tau, fit.theta_new, *fit.theta.values())
    numbers = [x for m in marginals for x in (m.point, m.lower, m.upper)]
    return np.array([*numbers[:9], fit.prob_positive, *numbers[9:]])


def agrees(stored, fit):
    exact = exact_values(fit)
    width = np.array([*np.repeat(exact[[2, 5, 8]] - exact[[1, 4, 7]], 3), 1.0])
    width = np.concatenate([width, np.repeat(exact[12::3] - exact[11::3], 3)])
    return np.abs(stored - exact) <= 1.01 * ROUNDING * np.abs(exact) + COMPONENTS * width


@pytest.mark.parametrize(("make", "index"), CASES)
def test_numbers_under_the_priors_in_use_are_those_of_exact_fit(make, index):
    result, data = make(), data_of(make, index)
    case, (mus, taus), stored = result.cases[index], pairs_of(data), values_of(data)
    of_mu, of_tau = [density(p) for p in mus], [density(p) for p in taus]
    assert stored.shape[2] == 10 + 3 * case.k
    for one in result.sets[index]:
        mu, tau = one.priors.mu, one.priors.tau
        place = of_mu.index(density(mu)), of_tau.index(density(tau))
        fit = bp.exact_fit(case.effects, one.priors, level=result.settings["level"])
        assert agrees(stored[place], fit).all()


@given(st.data())
@settings(max_examples=40)
def test_every_number_is_that_of_the_call_shown_beside_it(draw):
    make, index = draw.draw(st.sampled_from(CASES))
    data = data_of(make, index)
    mus, taus = pairs_of(data)
    i, j = draw.draw(st.integers(0, len(mus) - 1)), draw.draw(st.integers(0, len(taus) - 1))
    effects = eval(data["call"], {"result": make()})  # noqa: S307
    assert agrees(values_of(data)[i, j], bp.exact_fit(effects, bp.Priors(mus[i], taus[j]))).all()


@pytest.mark.parametrize(("make", "index"), CASES)
def test_curves_are_the_densities_of_exact_fit(make, index):
    data = data_of(make, index)
    mus, taus = pairs_of(data)
    tau, mu = singles(data["tau_at"], -1), singles(data["mu_at"], -1)
    shape = len(mus), len(taus)
    prior, posterior = shares(data["prior"], len(taus), -1), shares(data["posterior"], *shape, tau.size)
    average, peaks = shares(data["average"], *shape, mu.size), singles(data["posterior_peaks"], *shape)
    prior_peaks = singles(data["prior_peaks"], -1)
    assert (mu == 0).sum() == 1
    assert (np.diff(mu) > 0).all()
    for i in range(len(mus)):
        for j in range(i, len(taus), 13):
            fit = bp.exact_fit(make().cases[index].effects, bp.Priors(mus[i], taus[j]))
            of_tau, of_mu = fit.tau.pdf(tau), fit.mu.pdf(mu)
            assert peaks[i, j] == pytest.approx(of_tau.max(), rel=1e-5)
            np.testing.assert_allclose(posterior[i, j], of_tau / of_tau.max(), atol=1e-4)
            np.testing.assert_allclose(average[i, j], of_mu / of_mu.max(), atol=ON_SCREEN)
            of_prior = np.exp(taus[j].logpdf(tau))
            assert prior_peaks[j] == pytest.approx(of_prior.max(), rel=1e-6)
            np.testing.assert_allclose(prior[j], of_prior / of_prior.max(), atol=1e-4)


def test_the_range_over_members_is_that_of_exact_fit_at_the_members_of_the_extremes():
    result, data = published(), data_of(published, 0)
    mus, taus = pairs_of(data)
    spread = singles(data["range"], len(mus), len(taus), 2)
    rows = result.extremes
    rows = rows[(rows["analysis"] == "P1") & rows["quantity"].isin(["mu_lower", "mu_upper", "prob_positive"])]
    sets = rows.sort_values("study").groupby(["method", "prior", "quantity", "end"])[["yi", "sei"]]
    members = {tuple(map(tuple, group.to_numpy())) for _, group in sets}
    assert data["members"] == len(members) > 4
    for i in range(len(mus)):
        for j in (0, 7, 17, 25, 40, 60, 71):
            both = bp.Priors(mus[i], taus[j])
            fits = [bp.exact_fit(bp.EffectSizes(["a", "b"], *np.transpose(m), "RR"), both) for m in members]
            above = [fit.prob_positive for fit in fits]
            np.testing.assert_allclose(spread[i, j], [min(above), max(above)], atol=SPREAD)


def test_the_range_holds_in_the_bounds_that_were_searched_for():
    result, data = published(), data_of(published, 0)
    mus, taus = pairs_of(data)
    spread = singles(data["range"], len(mus), len(taus), 2)
    rows = result.table[(result.table["analysis"] == "P1") & (result.table["parameter"] == "mu")].set_index("prior")
    for one in result.sets[0]:
        place = [*map(density, mus)].index(density(one.priors.mu)), [*map(density, taus)].index(density(one.priors.tau))
        row = rows.loc[one.priors.label]
        np.testing.assert_allclose(spread[place], [row["prob_above_null_min"], row["prob_above_null_max"]], atol=SPREAD)


def test_study_data_have_no_range_and_possible_data_say_so():
    assert data_of(study_data, 0)["range"] == ""
    assert data_of(study_data, 0)["data"] is True
    html = explorer(published(), 0, "p1")
    assert "An illustration, not data." in html
    assert "consistent-with-reported" in html
    assert "An illustration" not in explorer(study_data(), 0, "bcg")


def test_the_first_pair_shown_is_the_first_in_use():
    for make, index in CASES:
        data = data_of(make, index)
        mus, taus = pairs_of(data)
        first = make().sets[index][0].priors
        start = mus[data["start"][0]], taus[data["start"][1]]
        assert [*map(density, start)] == [density(first.mu), density(first.tau)]


@pytest.mark.parametrize("measure", ["RR", "SMD"])
def test_scales_hold_those_of_the_default_priors_and_of_the_default_grid(measure):
    effects = bp.EffectSizes(["a", "b"], [0.1, 0.4], [0.2, 0.3], measure)
    sets = default_priors(measure)
    result = next(r for r in (study_data(), published()) if any(c.measure.name == measure for c in r.cases))
    case = next(c for c in result.cases if c.measure.name == measure)
    offered = {(p.family, p.parameters) for p in grid_of(case, sets).taus}
    assert {(s.priors.tau.family, s.priors.tau.parameters) for s in sets} <= offered
    some = {p.tau.parameters for p in default_grid(effects.measure, 0.3) if p.tau.family == "half-normal"}
    assert some <= {p.parameters for p in grid_of(case, sets).families[0].priors}
    assert SCALES[0] == 0.1
    assert SCALES[-1] == 5.0
    assert all(math.isclose(b / a, 10**0.1, rel_tol=0.03) for a, b in pairwise(SCALES))


def test_priors_that_are_on_no_grid_are_offered_by_themselves():
    given = [
        bp.Priors(priors.flat(), priors.half_normal(0.3), name="a"),
        bp.Priors(priors.student_t(0.1, 1.0, 4), priors.uniform(0, math.inf), name="b"),
        bp.Priors(priors.flat(), priors.uniform_shrinkage([0.2, 0.4]), name="c"),
    ]
    result = bp.reanalyse(bp.load_review("bcg"), given, with_pymc=False)
    data = explorer_data(result, 0)
    mus, taus = pairs_of(data)
    single = [f for f in data["families"] if not f["scales"]]
    assert [f["name"] for f in single] == [str(p.tau) for p in given]
    assert [density(taus[f["first"]]) for f in single] == [density(p.tau) for p in given]
    stored = values_of(data)
    for i, mu in enumerate(mus):
        for f in single:
            fit = bp.exact_fit(result.cases[0].effects, bp.Priors(mu, taus[f["first"]]))
            assert agrees(stored[i, f["first"]], fit).all()
    assert np.isnan(singles(data["prior_peaks"], -1)[single[1]["first"]])


def test_a_pair_without_a_posterior_says_why():
    table = pd.DataFrame({"study": ["Simulated 1", "Simulated 2"], "yi": [0.1, 0.4], "sei": [0.2, 0.3]})
    analysis = bp.Analysis(
        id="1", comparison="", outcome="Simulated", timepoint="", measure=bp.MEASURES["RR"], studies=table
    )
    review = bp.Review(id="two", title="", doi="", provenance="simulated", analyses=(analysis,))
    given = [
        bp.Priors(priors.normal(0, 1), priors.uniform(0, math.inf), name="proper mu"),
        bp.Priors(priors.flat(), priors.half_normal(1), name="proper tau"),
    ]
    data = explorer_data(bp.reanalyse(review, given, with_pymc=False), 0)
    mus, taus = pairs_of(data)
    place = mus.index(priors.flat()) * len(taus) + taus.index(priors.uniform(0, math.inf))
    assert list(data["reasons"]) == [str(place)]
    assert "improper" in data["reasons"][str(place)]
    stored = values_of(data).reshape(len(mus) * len(taus), -1)
    assert np.isnan(stored).any(axis=1).nonzero()[0].tolist() == [place]


def test_probabilities_next_to_certainty_are_not_certain():
    stored = _inside(np.array([0.0, 1e-300, 0.25, 1 - 1e-12, 1.0])).astype(np.float32)
    assert stored[0] == 0
    assert 0 < stored[1] < stored[2] == 0.25 < stored[3] < stored[4] == 1


def test_the_data_are_json_and_names_are_text_in_the_page():
    result = simulated_data()
    html = explorer(result, 0, "x")
    text = html.partition('class="data">')[2].partition("</script>")[0]
    assert json.loads(text) == json.loads(json.dumps(explorer_data(result, 0)))
    assert "<" not in text
    head = explorer_head()
    assert head.count("</script>") == 2
    assert head.count("</style>") == 1


def test_observed_intervals_are_of_the_level_asked_for():
    assert data_of(study_data, 0)["z"] == pytest.approx(float(ndtri(0.975)))
