"""Model averaging: against direct integration, the reference file's Bayes factors and metaBMA's published figures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import load_reference
from scipy import integrate, stats
from test_exact_reference import DATASETS, effects_of, priors_of

from bayespip import consistent_studies, load_review
from bayespip import priors as pr
from bayespip.averaging import HYPOTHESES, average
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit
from bayespip.exact.marginals import MixtureMarginal
from bayespip.measures import MEASURES
from bayespip.published_only.consistent import Points
from bayespip.spiked import SpikedMarginal

# As the issue promises; of logs of marginal likelihoods and of probabilities.
PROMISED = 1e-6
# The direct integrals are asked for 1e-10.
DIRECT = 1e-9
YI, SEI = np.array([0.3, 0.8, -0.1]), np.array([0.2, 0.35, 0.5])
NORMAL = pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5))
CAUCHY = pr.Priors(pr.student_t(0.1, 0.6, 3), pr.inverse_gamma(1, 0.15))


def effects(yi=YI, sei=SEI, measure="RR"):
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, measure)


def log_evidence(averaged):
    return {m.hypothesis: m.log_evidence for m in averaged.models}


class Direct:
    """The four marginal likelihoods and P(mu > 0) as plain integrals of the densities over (mu, tau)."""

    TAUS = (0.0, 0.02, 0.1, 0.4, 1.0, 4.0, 60.0, 2000.0)
    MUS = (-40.0, -4.0, -1.0, 0.0, 0.4, 1.0, 4.0, 40.0)

    def __init__(self, priors, *break_points):
        self.priors = priors
        self.tau, self.w_tau = self.grid(self.TAUS)
        self.mu, self.w_mu = self.grid(sorted((*self.MUS, *break_points)))

    @staticmethod
    def grid(edges):
        nodes, weights = np.polynomial.legendre.leggauss(60)
        low, half = np.array(edges[:-1])[:, None], np.diff(edges)[:, None] / 2
        return (low + half * (1 + nodes)).ravel(), (half * weights).ravel()

    def likelihood(self, mu, tau):
        mu, tau = np.asarray(mu)[..., None], np.asarray(tau)[..., None]
        return stats.norm.pdf(YI, mu, np.sqrt(SEI**2 + tau**2)).prod(axis=-1)

    def evidence(self):
        mu = np.exp(self.priors.mu.logpdf(self.mu)) * self.w_mu
        tau = np.exp(self.priors.tau.logpdf(self.tau)) * self.w_tau
        values = (
            float(self.likelihood(0.0, 0.0)),
            float(mu @ self.likelihood(self.mu, 0.0)),
            float(tau @ self.likelihood(0.0, self.tau)),
            float(mu @ self.likelihood(self.mu[:, None], self.tau) @ tau),
        )
        return dict(zip(HYPOTHESES, values, strict=True))

    def joint_with_mu(self, function):
        """Integral of function(mu) times the average of both models with mu free."""
        mu = np.exp(self.priors.mu.logpdf(self.mu)) * self.w_mu * function(self.mu)
        tau = np.exp(self.priors.tau.logpdf(self.tau)) * self.w_tau
        both = self.likelihood(self.mu[:, None], self.tau) @ tau
        return float(mu @ (both + self.likelihood(self.mu, 0.0)))


def test_the_direct_integral_is_the_adaptive_one():
    """Gauss-Legendre panels serve the tests below; SciPy's adaptive rule in two dimensions agrees with them."""
    found, _ = integrate.dblquad(
        lambda mu, tau: (
            math.exp(
                sum(
                    -0.5 * (y - mu) ** 2 / (s**2 + tau**2) - 0.5 * math.log(2 * math.pi * (s**2 + tau**2))
                    for y, s in zip(YI.tolist(), SEI.tolist(), strict=True)
                )
                - 0.5 * (mu / 2.82) ** 2
                - math.log(2.82 * math.sqrt(2 * math.pi))
                - 2 * tau**2
            )
            * 2
            * math.sqrt(2 / math.pi)
        ),
        0.0,
        5.0,
        -8.0,
        8.0,
        epsabs=0,
        epsrel=1e-9,
    )
    assert Direct(NORMAL).evidence()["random, mu free"] == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("priors", [NORMAL, CAUCHY], ids=["normal", "student-t"])
def test_averages_are_direct_integrals(priors):
    averaged, direct = average(effects(), priors), Direct(priors)
    evidence = direct.evidence()
    assert log_evidence(averaged) == pytest.approx({h: math.log(x) for h, x in evidence.items()}, abs=DIRECT)
    total = sum(evidence.values())
    free = [evidence[h] for h in HYPOTHESES if h.endswith("free")]
    random = [evidence[h] for h in HYPOTHESES if h.startswith("random")]
    assert averaged.effect.posterior_prob == pytest.approx(sum(free) / total, abs=DIRECT)
    assert averaged.heterogeneity.posterior_prob == pytest.approx(sum(random) / total, abs=DIRECT)
    # equal prior probabilities: posterior odds are Bayes factors
    assert math.exp(averaged.effect.log_bf) == pytest.approx(sum(free) / (total - sum(free)), rel=DIRECT)
    assert math.exp(averaged.heterogeneity.log_bf) == pytest.approx(sum(random) / (total - sum(random)), rel=DIRECT)
    mu = averaged.mu_given_effect
    norm = direct.joint_with_mu(np.ones_like)
    assert mu.prob_greater(0.0) == pytest.approx(direct.joint_with_mu(lambda m: m > 0) / norm, abs=DIRECT)
    assert mu.mean == pytest.approx(direct.joint_with_mu(lambda m: m) / norm, abs=DIRECT)
    second = direct.joint_with_mu(lambda m: (m - mu.mean) ** 2) / norm
    assert mu.sd == pytest.approx(math.sqrt(second), abs=DIRECT)
    assert averaged.prob_positive == pytest.approx(direct.joint_with_mu(lambda m: m > 0) / total, abs=DIRECT)
    # the averaged limits, by the density integrated up to them
    for limit, p in ((mu.lower, 0.025), (mu.point, 0.5), (mu.upper, 0.975)):
        up_to = Direct(priors, limit)
        assert up_to.joint_with_mu(lambda m, at=limit: m < at) / norm == pytest.approx(p, abs=DIRECT)


def test_bayes_factors_are_those_of_the_reference():
    compared = 0
    for name in DATASETS:
        dataset = load_reference()["datasets"][name]
        data = effects_of(dataset)
        for key, entry in dataset["bayes"].items():
            if entry["mu_prior"] == "flat" or not entry["tau_prior_proper"]:
                continue
            found = log_evidence(average(data, priors_of(entry, data)))
            expected = {
                "random, mu free": entry["exact"]["log_marginal_likelihood"],
                "random, mu = 0": entry["exact"]["log_p_y_given_mu0"],
                "common, mu free": entry["exact"]["log_p_y_given_tau0"],
            }
            compared += 1
            for hypothesis, value in expected.items():
                assert found[hypothesis] == pytest.approx(value, abs=PROMISED), (name, key, hypothesis)
            for null, bf in (("random, mu = 0", "bf_mu0"), ("common, mu free", "bf_tau0")):
                if 0 < (entry["exact"][bf] or 0) < math.inf:
                    log_bf = found[null] - found["random, mu free"]
                    assert log_bf == pytest.approx(math.log(entry["exact"][bf]), abs=PROMISED), (name, key, bf)
    assert compared >= 100


# Power posing, all participants: the data set power_pose of metaBMA, as RoBMA's vignette "Reproducing BMA" prints it.
POWER_POSE = EffectSizes(
    ["Bailey", "Ronay", "Klaschinski", "Bombari", "Latu", "Keller"],
    [0.2507640, 0.2275180, 0.3186069, 0.2832082, 0.1463949, 0.1509773],
    [0.2071399, 0.1931046, 0.1423228, 0.1421356, 0.1416107, 0.1221166],
    "SMD",
)


@pytest.mark.parametrize(
    ("mu", "common", "random", "inclusion", "median"),
    [
        (pr.student_t(0, 1 / math.sqrt(2), 1), 89.570, 9.374, 33.136, 0.22),
        (pr.student_t(0.34999, 0.1021, 3), 191.751, 20.689, 71.373, 0.26),
    ],
    ids=["Cauchy", "informed t"],
)
def test_published_figures_of_metabma(mu, common, random, inclusion, median):
    """Gronau et al. 2017, also pinned in metaBMA's tests: mu > 0 for testing, all mu for estimation.

    A prior cut at zero multiplies the marginal likelihood by P(mu > 0 | y) / P(mu > 0) (Klugkist & Hoijtink
    2007, Comput Stat Data Anal 51:6367). Their inclusion Bayes factor is the formula in bayespip.averaging.
    """
    averaged = average(POWER_POSE, pr.Priors(mu, pr.inverse_gamma(1, 0.15)))
    prior_above = 1 - float(mu.cdf(0.0))
    evidence = {
        m.hypothesis: math.exp(m.log_evidence) * (m.posterior.prob_greater(0.0) / prior_above if m.posterior else 1.0)
        for m in averaged.models
    }
    null_c, free_c, null_r, free_r = (evidence[h] for h in HYPOTHESES)
    # as printed, to three decimals
    assert free_c / null_c == pytest.approx(common, abs=6e-4)
    assert free_r / null_r == pytest.approx(random, abs=6e-4)
    assert (free_c + free_r) / (null_c + null_r) == pytest.approx(inclusion, abs=6e-4)
    assert averaged.mu_given_effect.point == pytest.approx(median, abs=0.005)


def test_inclusion_bayes_factors_follow_metabmas_formula():
    weights = dict(zip(HYPOTHESES, (2.0, 1.0, 3.0, 0.5), strict=True))
    averaged = average(effects(), NORMAL, weights=weights)
    logml = np.array([m.log_evidence for m in averaged.models])
    prior = np.array(list(weights.values())) / 6.5
    post = np.exp(logml) * prior / np.sum(np.exp(logml) * prior)
    table = averaged.table()
    assert table["hypothesis"].tolist() == list(HYPOTHESES)
    assert table["prior_prob"].to_numpy() == pytest.approx(prior, abs=1e-15)
    assert table["posterior_prob"].to_numpy() == pytest.approx(post, abs=1e-13)
    for include, found in (([1, 3], averaged.effect), ([2, 3], averaged.heterogeneity)):
        odds = prior[include].sum() / (1 - prior[include].sum())
        bf = post[include].sum() / (1 - post[include].sum()) / odds
        assert math.exp(found.log_bf) == pytest.approx(bf, rel=1e-12)
    single = [p / (1 - p) / (q / (1 - q)) for p, q in zip(post, prior, strict=True)]
    assert table["bf_inclusion"].to_numpy() == pytest.approx(single, rel=1e-12)


def test_lindleys_bayes_factors_of_p2():
    """BF01 0.60, 1.30, 2.23 for N(0, 1), N(0, 2.82^2), N(0, 5^2): half-normal(0.5) on tau, equal variances.

    The pooled effect and its standard error are the printed estimate, log 0.48, and the printed interval's
    width, and Q is half the 90% point of chi-squared on 1 df, as in ``illustration``. That moves log 0.48 inside
    its rounding to where the printed limits fit best, and the figures by up to 1%.
    """
    reported = load_review("pip")["P2"].reported
    family = consistent_studies(reported)
    m, s = math.log(0.48), math.log(0.95 / 0.24) / (2 * stats.norm.ppf(0.975))
    q = stats.chi2.ppf(0.9, 1) / 2
    one = np.ones(1)
    at = Points(one * m, one * s, np.zeros((1, 1)), one * q, np.array([[-1.0, 1.0]]), one, np.zeros(1, dtype=np.intp))
    data = family.members(at)
    for member, expected, tolerance in (
        (family.effects(data.yi[0], data.vi[0]), (0.60, 1.30, 2.23), {"abs": 0.005}),
        (family.illustration(), (0.60, 1.30, 2.23), {"rel": 0.01}),
    ):
        assert member.sei[0] == pytest.approx(member.sei[1], rel=1e-12)
        averaged = average(member, NORMAL, weights={"random, mu = 0": 1, "random, mu free": 1})
        shown = averaged.evidence(widths=(1 / 2.82, 1, 5 / 2.82)).query("component == 'effect'")
        assert shown["mu_prior"].tolist() == ["normal(0, 1)", "normal(0, 2.82)", "normal(0, 5)"]
        assert shown["bf01"].tolist() == pytest.approx(expected, **tolerance)


def test_the_output_shows_what_the_width_of_the_prior_does():
    averaged = average(effects(), NORMAL)
    shown = averaged.evidence().query("component == 'effect'")
    assert shown["width"].tolist() == [0.25, 0.5, 1, 2, 4]
    assert np.all(np.diff(shown["bf01"]) > 0)
    half, once, double = (f"{x:.2f}" for x in shown["bf01"].iloc[1:4])
    assert f"is {once} under the priors on mu as given, {half} under priors half as wide" in averaged.notes[0]
    assert f"{double} under priors twice as wide" in str(averaged)
    # for wide priors the density at zero, and so BF10, halves with every doubling
    wide = averaged.evidence(widths=(1e4, 2e4)).query("component == 'effect'")
    assert wide["bf01"].iloc[1] / wide["bf01"].iloc[0] == pytest.approx(2, rel=1e-6)


DUMOUCHEL = pr.density(lambda t: np.log(0.3) - 2 * np.log(0.3 + t), "DuMouchel", tail=2)


@pytest.mark.parametrize("priors", [CAUCHY, pr.Priors(pr.normal(0, 1), DUMOUCHEL)], ids=["t", "given density"])
def test_within_a_hypothesis_bayes_factors_are_savage_dickey_ratios(priors):
    averaged = average(effects(), priors)
    evidence = log_evidence(averaged)
    prior = float(np.exp(priors.mu.logpdf(0.0)))
    for model in averaged.models:
        if model.posterior is not None:
            null = evidence[model.hypothesis.replace("mu free", "mu = 0")]
            ratio = float(model.posterior.pdf(0.0)) / prior
            assert math.exp(null - model.log_evidence) == pytest.approx(ratio, rel=1e-10)


def test_several_priors_share_their_hypotheses():
    other = pr.Priors(NORMAL.mu, pr.half_cauchy(0.5))
    averaged = average(effects(), [NORMAL, other])
    table = averaged.table()
    # both have the same mu: one common-effect model for two priors, and one null of it
    assert table["prior_prob"].tolist() == [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    alone = [log_evidence(average(effects(), p)) for p in (NORMAL, other)]
    evidence = {h: np.mean([math.exp(a[h]) for a in alone]) for h in HYPOTHESES}
    free = evidence["common, mu free"] + evidence["random, mu free"]
    null = evidence["common, mu = 0"] + evidence["random, mu = 0"]
    assert math.exp(averaged.effect.log_bf) == pytest.approx(free / null, rel=1e-12)
    again, once = average(effects(), [NORMAL, NORMAL]), average(effects(), NORMAL)
    assert again.mu.quantile([0.1, 0.9]) == pytest.approx(once.mu.quantile([0.1, 0.9]), abs=1e-13)
    assert len(again.models) == 4
    assert (once.method, again.prior) == ("exact model average", f"{NORMAL}; {NORMAL}")


def test_a_flat_prior_serves_where_mu_is_not_tested():
    flat = pr.Priors(pr.flat(), pr.half_normal(0.5))
    averaged = average(effects(), flat, null=False)
    bf = exact_fit(effects(), flat).bayes_factor("tau = 0")
    assert math.exp(-averaged.heterogeneity.log_bf) == pytest.approx(bf, rel=1e-12)
    assert math.isnan(averaged.effect.log_bf)
    assert (averaged.effect.prior_prob, averaged.effect.posterior_prob, averaged.mu.spike) == (1, 1, 0)
    assert "no evidence for or against an effect" in averaged.notes[0]
    common = next(m for m in averaged.models if m.tau is None).posterior
    w = 1 / SEI**2
    assert common.point == pytest.approx(w @ YI / w.sum(), abs=1e-12)
    assert common.sd == pytest.approx(w.sum() ** -0.5, rel=1e-12)
    assert common.upper == pytest.approx(stats.norm.ppf(0.975, w @ YI / w.sum(), w.sum() ** -0.5), abs=1e-12)


@pytest.mark.parametrize(("yi", "at_spike"), [([0.2, -0.1, -0.2], True), ([-0.6, -0.1, -0.5], False)])
def test_overall_limits_hold_the_spike(yi, at_spike):
    averaged = average(effects(yi=np.array(yi)), NORMAL)
    rows = averaged.estimates().set_index("given")
    overall = rows.loc["all models"]
    assert rows.loc["effect present", "probability"] == averaged.effect.posterior_prob
    assert overall["spike"] == pytest.approx(1 - averaged.effect.posterior_prob, abs=1e-15)
    assert overall["prob_positive"] + overall["prob_negative"] + overall["spike"] == pytest.approx(1, abs=1e-14)
    assert overall["mean_model"] == pytest.approx(averaged.effect.posterior_prob * averaged.mu_given_effect.mean)
    # RR: a limit at the spike is exactly no effect, which it is where less than 2.5% lies below
    assert (overall["lower"] == 1) == (overall["prob_negative"] <= 0.025) == at_spike
    assert (overall["point"] == 1) == (max(overall["prob_negative"], overall["prob_positive"]) <= 0.5)


def test_evidence_beyond_the_range_of_doubles():
    averaged = average(effects(yi=np.array([90.0, 91.0, 89.0])), pr.Priors(pr.normal(0, 50), pr.half_normal(0.05)))
    assert averaged.effect.log_bf > 1000
    shown = averaged.evidence(widths=[1]).query("component == 'effect'").iloc[0]
    assert (shown["bf10"], shown["bf01"], shown["posterior_prob"]) == (math.inf, 0.0, 1.0)
    assert averaged.mu.lower > 80
    one = average(effects(yi=[0.2], sei=[0.3]), NORMAL)
    assert one.probabilities.sum() == pytest.approx(1, abs=1e-14)


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.05, 1)), min_size=1, max_size=4))
@settings(max_examples=15)
def test_mirrored_data_give_mirrored_averages(studies):
    yi, sei = np.array(studies).T
    there, back = average(effects(yi, sei), NORMAL), average(effects(-yi, sei), NORMAL)
    assert back.probabilities == pytest.approx(there.probabilities, abs=1e-10)
    assert back.mu.lower == pytest.approx(-there.mu.upper, abs=1e-9)
    assert back.prob_positive == pytest.approx(there.mu.prob_less(0.0), abs=1e-10)


@given(st.floats(0, 1), st.floats(-3, 3), st.floats(0.1, 2))
@settings(max_examples=40)
def test_a_spiked_marginal_is_a_distribution(spike, mean, sd):
    one = np.ones(1)
    m = SpikedMarginal.around(
        MixtureMarginal("mu", MEASURES["RR"], 0.9, mean, sd, (), one, mean * one, sd * one), spike
    )
    p = np.linspace(0.001, 0.999, 51)
    x = m.quantile(p)
    assert np.all(np.diff(x) >= 0)
    # the quantile function is the generalised inverse: cdf(x-) <= p <= cdf(x)
    assert np.all(m.cdf(x) >= p - 1e-9)
    assert np.all(m.cdf(np.nextafter(x, -np.inf)) <= p + 1e-9)
    assert m.prob_less(0.0) + m.spike + m.prob_greater(0.0) == pytest.approx(1, abs=1e-14)
    assert m.cdf(0.0) - m.cdf(-1e-300) == pytest.approx(spike, abs=1e-12)
    draws = np.concatenate([np.zeros(1), m.continuous.quantile((np.arange(4000) + 0.5) / 4000)])
    weight = np.concatenate([[spike], np.full(4000, (1 - spike) / 4000)])
    assert m.mean == pytest.approx(weight @ draws, abs=1e-3)
    assert m.sd == pytest.approx(math.sqrt(weight @ (draws - m.mean) ** 2), abs=5e-3)
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\]"):
        m.quantile([0.5, 1.5])


def test_a_spike_has_no_shortest_interval():
    mu = average(effects(), NORMAL).mu
    assert mu.interval(0.9) == tuple(mu.quantile([0.05, 0.95]))
    assert mu.mode == 0
    x = np.array([-1.0, 0.5])
    assert mu.pdf(x) == pytest.approx((1 - mu.spike) * mu.continuous.pdf(x), rel=1e-15)
    with pytest.raises(ValueError, match="kind must be central for mu, which has a spike at zero; got 'shortest'"):
        mu.interval(kind="shortest")


@pytest.mark.parametrize(
    ("priors", "options", "message"),
    [
        (
            pr.Priors(pr.flat(), pr.half_normal(0.5)),
            {},
            r"proper priors on mu: against mu = 0 the Bayes factor of flat \(priors mu flat, tau half-normal\(0.5\)\)",
        ),
        (
            pr.Priors(pr.normal(0, 1), pr.uniform(0, math.inf), "Gelman"),
            {},
            r"proper priors on tau: .* improper uniform \(priors Gelman\) is undefined",
        ),
        ([NORMAL, pr.Priors(pr.flat(), pr.half_normal(1))], {"null": False}, r"against normal\(0, 2.82\) is undefined"),
        ([], {}, "priors must be Priors or a sequence of them"),
        (NORMAL, {"level": 1}, r"level must lie in \(0, 1\); got 1"),
        (NORMAL, {"weights": [1, 1, 1, 1]}, "weights must be a mapping"),
        (NORMAL, {"weights": {"fixed": 1}}, "weights must name common, mu = 0; .*; got 'fixed'"),
        (NORMAL, {"weights": {"common, mu free": -1}}, r"not so for common, mu free \(-1.0\)"),
        (NORMAL, {"weights": {"common, mu = 0": 1}}, "weights must be positive for common, mu free or random, mu free"),
        (NORMAL, {"weights": dict.fromkeys(HYPOTHESES, 1), "null": False}, "weights without null must name"),
    ],
)
def test_refusals(priors, options, message):
    with pytest.raises(ValueError, match=message):
        average(effects(), priors, **options)


def test_widths_are_refused_where_there_is_none():
    averaged = average(effects(), pr.Priors(pr.flat(), pr.half_normal(0.5)), null=False)
    assert len(averaged.evidence(widths=[1])) == 2
    with pytest.raises(ValueError, match=r"widths must be 1 for flat on mu, which has none; got 2\.0"):
        averaged.evidence(widths=[2])
    with pytest.raises(ValueError, match=r"widths must be positive and finite; got 0\.0"):
        averaged.evidence(widths=[0])
