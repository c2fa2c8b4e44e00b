"""Operating characteristics against theory: closed forms, independent integrals, and truths drawn from the prior."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayespip import priors as p
from bayespip.calibration import TRIALS, Arms, Errors, Scenario, operating_characteristics
from bayespip.calibration.operating import STATISTICS
from bayespip.calibration.scenarios import simulated
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.priors.sets import default_priors

NORMAL = stats.norm
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
MOST = 4.0  # Monte Carlo standard errors, of the theory's value: one comparison in 16,000 of a right program
EXTREME = 3.29  # of the tests of coverage under the prior: 99.9%


def of_equal_errors(k, sei, tau, mu, critical, *, truncated):
    """Coverage, width, power, errors of sign and RMSE where all standard errors are equal, by an integral.

    Then the mean is normal with variance V/k, V = sei^2 + tau^2, independent of its residual variance s^2 ~ V chi^2 on
    k - 1 degrees of freedom over k - 1. DL and REML both estimate tau^2 by max(0, s^2 - sei^2): Wald's standard error
    and the floored HKSJ's are sqrt(max(sei^2, s^2)/k), HKSJ's is s/sqrt(k).
    """
    total = sei**2 + tau**2
    spread, df = math.sqrt(total / k), k - 1

    kink, beyond = math.sqrt(df * sei**2 / total), math.sqrt(df) + 12  # of the chi distribution of s sqrt(df / V)

    def average(statistic):
        found = 0.0
        for start, end in ((0.0, min(kink, beyond)), (min(kink, beyond), beyond)):
            x = start + (end - start) * (NODES + 1) / 2
            variance = total * x**2 / df
            se = np.sqrt((np.maximum(variance, sei**2) if truncated else variance) / k)
            found += (end - start) / 2 * (WEIGHTS * stats.chi.pdf(x, df) * statistic(critical * se)).sum()
        return found

    above = average(lambda half: NORMAL.sf((half - mu) / spread))
    below = average(lambda half: NORMAL.cdf((-half - mu) / spread))
    return {
        "coverage": average(lambda half: 2 * NORMAL.cdf(half / spread) - 1),
        "width": average(lambda half: 2 * half),
        "power": above + below,
        "type_s": below / (above + below),
        "rmse": spread,
        "bias": 0.0,
    }


@pytest.mark.parametrize(("k", "tau"), [(2, 0.0), (2, 0.5), (3, 0.1), (5, 0.25), (10, 1.0)])
def test_frequentist_intervals_of_equal_errors_are_as_theory_has_them(k, tau):
    sei, mu, replicates = 0.4, 0.5, 4000
    found = operating_characteristics(Scenario(k, tau, "equal", mu=mu), priors=[], replicates=replicates)
    t, z = stats.t.ppf(0.975, k - 1), NORMAL.ppf(0.975)
    expected = {"Wald": (z, True), "HKSJ": (t, False), "HKSJ floored": (t, True)}
    for row in found.to_dict("records"):
        critical, truncated = expected[row["method"].split(", ")[1]]
        theory = of_equal_errors(k, sei, tau, mu, critical, truncated=truncated)
        for name in ("coverage", "power"):
            assert abs(row[name] - theory[name]) < apart(theory[name], replicates), (row["method"], name)
        for name in ("width", "rmse", "bias"):
            assert abs(row[name] - theory[name]) < MOST * row[f"{name}_se"], (row["method"], name)
        excluding = row["power"] * replicates
        if excluding:
            assert abs(row["type_s"] - theory["type_s"]) < apart(theory["type_s"], excluding)


def test_hksj_of_equal_errors_is_a_t_interval_whatever_tau():
    for tau in (0.0, 0.3, 2.0):
        theory = of_equal_errors(4, 0.4, tau, 0.0, stats.t.ppf(0.975, 3), truncated=False)
        assert theory["coverage"] == pytest.approx(0.95, abs=1e-9)
        assert theory["power"] == pytest.approx(0.05, abs=1e-9)


def apart(share, count):
    """How far a share of so many may be from its probability: a few counts where hardly any are expected."""
    return MOST * math.sqrt(max(share * (1 - share), 0.0) / count) + 3 / count


UNDER_THE_PRIOR = {
    "flat, half-normal, equal": (2, 0.5, p.half_normal(0.5), "equal", 0.95),
    "flat, Turner 2012, as in Cochrane": (3, 0.5, p.published("turner2012/any"), "as in Cochrane", 0.5),
    "flat, Bartos 2023, very unequal": (5, -1.0, p.published("bartos2023/OR/cochrane/tau"), "very unequal", 0.95),
    "normal, half-Cauchy, as in Cochrane": (2, p.normal(0, 2.82), p.half_cauchy(0.5), "as in Cochrane", 0.5),
}


@pytest.mark.parametrize("case", list(UNDER_THE_PRIOR))
def test_coverage_is_exactly_the_level_where_tau_is_drawn_from_the_prior(case):
    """Of a proper prior on mu, if mu is drawn from it too; of a flat one for any mu, since all shifts alike."""
    k, mu, tau, trials, level = UNDER_THE_PRIOR[case]
    prior = p.Priors(mu if isinstance(mu, p.Prior) else p.flat(), tau)
    replicates = 1500
    row = operating_characteristics(
        Scenario(k, tau, trials, mu=mu), frequentist=[], priors=[prior], replicates=replicates, level=level, seed=3
    ).iloc[0]
    assert row["no_result"] == 0
    assert abs(row["coverage"] - level) < EXTREME * math.sqrt(level * (1 - level) / replicates)


def test_shortest_intervals_are_no_wider_and_have_the_level_too():
    replicates, tau = 1000, p.half_normal(0.5)
    scenario, pairs = Scenario(2, tau, "very unequal", mu=0.5), [p.Priors(p.flat(), tau)]
    central, shortest = (
        operating_characteristics(
            scenario, frequentist=[], priors=pairs, interval=interval, replicates=replicates
        ).iloc[0]
        for interval in ("central", "shortest")
    )
    assert shortest["width"] < central["width"]
    assert shortest["rmse"] == central["rmse"]
    for found in (central, shortest):
        assert abs(found["coverage"] - 0.95) < EXTREME * math.sqrt(0.95 * 0.05 / replicates)


def test_a_prior_that_is_not_the_truth_is_found_out():
    narrow = p.Priors(p.flat(), p.half_normal(0.1))
    scenario = Scenario(3, p.half_normal(1.0), "equal", mu=0.5)
    row = operating_characteristics(scenario, frequentist=[], priors=[narrow], replicates=1000).iloc[0]
    assert row["coverage"] < 0.95 - 10 * row["coverage_se"]


def coverage_of_two(prior, sei, tau):
    """Of a posterior of two trials of equal precision under a flat mu, by quadrature over their difference.

    The posterior is symmetric about their mean, which is independent of it: half its width depends on the difference.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    total = sei**2 + tau**2
    found = 0.0
    for node, weight in zip(nodes[20:], weights[20:], strict=True):
        difference = node * math.sqrt(2 * total)
        fit = exact_fit(EffectSizes(["simulated 1", "simulated 2"], [0, difference], [sei, sei], "OR"), prior)
        half = (fit.mu.upper - fit.mu.lower) / 2
        found += 2 * weight / math.sqrt(2 * math.pi) * (2 * NORMAL.cdf(half / math.sqrt(total / 2)) - 1)
    return found


@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_coverage_of_a_posterior_at_a_fixed_tau_is_that_of_an_independent_integral(tau):
    prior = p.Priors(p.flat(), p.half_normal(0.5))
    replicates = 3000
    row = operating_characteristics(
        Scenario(2, tau, "equal", mu=0.5), frequentist=[], priors=[prior], replicates=replicates
    ).iloc[0]
    expected = coverage_of_two(prior, 0.4, tau)
    assert abs(row["coverage"] - expected) < MOST * math.sqrt(expected * (1 - expected) / replicates)


def test_standard_errors_are_the_spread_of_repeated_simulations():
    scenario = Scenario(3, 0.5, "very unequal", mu=0.3)
    methods = [("DL", "Wald")]
    runs = pd.concat(
        operating_characteristics(scenario, frequentist=methods, priors=[], replicates=400, seed=seed)
        for seed in range(200)
    )
    for name in STATISTICS:
        if name != "no_result":
            # 200 runs know a standard deviation to 5%
            assert runs[name].std() / runs[f"{name}_se"].mean() == pytest.approx(1, abs=0.2), name


def test_flat_priors_and_common_random_numbers_make_all_but_power_independent_of_mu():
    kept = ["coverage", "width", "median_width", "bias", "rmse"]
    pair = [p.Priors(p.flat(), p.half_normal(0.5))]
    one, other = (
        operating_characteristics(Scenario(3, 0.3, "as in Cochrane", mu=mu), priors=pair, replicates=100)
        for mu in (0.0, 0.5)
    )
    np.testing.assert_allclose(one[kept], other[kept], rtol=1e-7, atol=1e-9)
    assert (other["power"] >= one["power"]).all()
    assert one["type_s"].isna().all()
    assert one.loc[:3, "power"].to_numpy() == pytest.approx(1 - one.loc[:3, "coverage"].to_numpy())


def test_counts_become_the_effects_that_effect_sizes_makes_of_them():
    trials = Arms("invented", (12, 9), (0.1, 0.3))
    replicates = simulated(Scenario(2, 0.5, trials, mu=-0.4), 500, np.random.default_rng(1)).trials
    for column, n in enumerate(trials.n):
        counts = pd.DataFrame([(e, c) for e in range(n + 1) for c in range(n + 1)], columns=["event_e", "event_c"])
        counts = counts.assign(study=[f"invented {i}" for i in counts.index], n_e=n, n_c=n)
        with pytest.warns(UserWarning, match="excluded"):
            possible = effect_sizes(counts, "OR")
        pairs = {(round(y, 12), round(s, 12)) for y, s in zip(possible.yi, possible.sei, strict=True)}
        told = replicates.informative[:, column]
        yi, sei = replicates.yi[told, column], replicates.sei[told, column]
        seen = {(round(y, 12), round(s, 12)) for y, s in zip(yi, sei, strict=True)}
        assert len(seen) > 20
        assert seen <= pairs
        assert (replicates.yi[~told, column] == 0).all()


def test_replicates_without_an_event_have_no_result_and_the_others_go_by_what_they_tell():
    n, risk, k, replicates = 5, 0.02, 2, 4000
    scenario = Scenario(k, 0.0, Arms("invented", (n,), (risk,)))
    found = operating_characteristics(
        scenario, priors=[p.Priors(p.flat(), p.half_normal(0.5))], replicates=replicates, seed=2
    )
    none = ((1 - risk) ** (2 * n) + risk ** (2 * n)) ** k
    assert (abs(found["no_result"] - none) < MOST * math.sqrt(none * (1 - none) / replicates)).all()
    assert (found["no_result"] == found["no_result"][0]).all()
    with_result = replicates * (1 - found["no_result"])
    assert (found["power"] <= with_result / replicates).all()
    share = (found["coverage"] * (1 - found["coverage"]) / with_result) ** 0.5
    np.testing.assert_allclose(found["coverage_se"], share)


def test_log_odds_ratios_of_large_arms_are_about_the_truth():
    scenario = Scenario(4, 0.3, Arms("invented", (200_000,), (0.3,)), mu=0.5)
    row = operating_characteristics(scenario, frequentist=[("DL", "HKSJ")], priors=[], replicates=2000).iloc[0]
    assert abs(row["bias"]) < MOST * row["bias_se"]
    assert abs(row["coverage"] - 0.95) < MOST * math.sqrt(0.95 * 0.05 / 2000)
    assert row["rmse"] == pytest.approx(0.3 / 2, abs=MOST * row["rmse_se"])


def test_a_world_in_which_nothing_can_be_told_has_no_numbers():
    scenario = Scenario(2, 0.0, Arms("invented", (1,), (1e-12,)))
    row = operating_characteristics(scenario, frequentist=[("DL", "Wald")], priors=[], replicates=20).iloc[0]
    assert row["no_result"] == 1
    assert row["power"] == 0
    assert row[["coverage", "width", "median_width", "bias", "rmse", "type_s"]].isna().all()


def test_errors_are_drawn_from_their_distribution():
    trials = TRIALS["as in Cochrane"]
    sizes = 16 / simulated(Scenario(10, 0.0, trials), 20_000, np.random.default_rng(1)).trials.sei ** 2
    # Mallett & Clarke 2002: median 118, quartiles 60 and 241, which no log-normal has at once
    assert np.median(sizes) == pytest.approx(118, rel=0.02)
    low, high = np.quantile(sizes, [0.25, 0.75])
    assert high / low == pytest.approx(241 / 60, rel=0.03)
    np.testing.assert_allclose(TRIALS["very unequal"].sei, [0.4, 0.4 / math.sqrt(10)])
    given = simulated(Scenario(3, 0.0, "very unequal"), 2, np.random.default_rng(1)).trials
    np.testing.assert_allclose(given.sei[1], [0.4, 0.4 / math.sqrt(10), 0.4])


def test_the_table_says_what_was_simulated_and_repeats_itself():
    scenario = Scenario(2, p.half_normal(0.5), Errors("invented", (0.2, 0.3)), mu=1, measure="SMD")
    one, other = (operating_characteristics(scenario, replicates=20, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    assert list(one["method"][:2]) == ["DL, Wald", "DL, HKSJ"]
    assert list(one["prior"][5:]) == [choice.priors.label for choice in default_priors("SMD")]
    head = one.iloc[0][["k", "tau", "mu", "trials", "measure", "level", "replicates"]].to_list()
    assert head == [2, "half-normal(0.5)", 1.0, "invented", "SMD", 0.95, 20]
    assert list(one.columns[9:]) == [c for name in STATISTICS for c in (name, f"{name}_se")]
    assert not one.equals(operating_characteristics(scenario, replicates=20, seed=5))


REFUSED = {
    "k must be a whole number from 2; got 1": lambda: Scenario(1, 0.0),
    "tau must be finite and not negative, or a prior": lambda: Scenario(2, -0.1),
    "mu must be finite, or a prior": lambda: Scenario(2, 0.1, mu=math.inf),
    "tau needs a prior on tau": lambda: Scenario(2, p.normal(0, 1)),
    "mu must be drawn from a proper family": lambda: Scenario(2, 0.1, mu=p.flat()),
    "trials must be Errors, Arms, or one of equal, very unequal": lambda: Scenario(2, 0.1, "uneven"),
    "measure must be one of RR, OR": lambda: Scenario(2, 0.1, measure="odds"),
    "measure must be OR for trials of two arms": lambda: Scenario(2, 0.1, "rare events", measure="RR"),
    "sei must be positive and finite, one or more of them; got 0.0": lambda: Errors("invented", (0.1, 0.0)),
    "sei must be positive and finite, one or more of them; got none": lambda: Errors("invented", ()),
    "n must be a positive whole number": lambda: Arms("invented", (10, 0), (0.1,)),
    "risk must lie in": lambda: Arms("invented", (10,), (1.0,)),
    "replicates must be 2 or more; got 1": lambda: operating_characteristics(Scenario(2, 0.1), replicates=1),
    "interval must be one of central, shortest; got 'HPD'": lambda: operating_characteristics(
        Scenario(2, 0.1), interval="HPD"
    ),
    "must name at least one method": lambda: operating_characteristics(Scenario(2, 0.1), frequentist=[], priors=[]),
    "tau2 must be one of common": lambda: operating_characteristics(Scenario(2, 0.1), frequentist=[("D", "Wald")]),
}


@pytest.mark.parametrize("message", list(REFUSED))
def test_what_cannot_be_is_refused_by_name(message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        REFUSED[message]()
