"""The exact engine: closed forms, equivariance, moments that do not exist, draws, refusals."""

import math

import arviz as az
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.fit import exact_fit

# Of the posterior SD: rounding errors and the quadrature's 1e-12, with room for their sum.
PRECISE = 1e-9
LEVELS = [0.025, 0.5, 0.975]
YI, SEI = np.array([0.3, 0.8, -0.1]), np.array([0.2, 0.35, 0.5])
HALF_NORMAL = pr.Priors(pr.normal(0, 2.82), pr.half_normal(0.5))
FLAT = pr.Priors(pr.flat(), pr.half_normal(0.5))


def effects_of(yi, sei, measure="MD"):
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, measure)


def fit_of(yi=YI, sei=SEI, priors=FLAT, measure="MD", level=0.95):
    return exact_fit(effects_of(yi, sei, measure), priors, level=level)


def test_a_tau_prior_near_zero_gives_the_common_effect():
    fit = fit_of(priors=pr.Priors(pr.flat(), pr.half_normal(1e-9)))
    w = 1 / SEI**2
    common = stats.norm(w @ YI / w.sum(), math.sqrt(1 / w.sum()))
    assert fit.mu.quantile(LEVELS) == pytest.approx(common.ppf(LEVELS), abs=PRECISE)
    assert fit.theta_new.quantile(LEVELS) == pytest.approx(common.ppf(LEVELS), abs=PRECISE)
    assert fit.theta["study 0"].quantile(LEVELS) == pytest.approx(common.ppf(LEVELS), abs=PRECISE)
    # the data say nothing: the posterior of tau is its prior
    assert fit.tau.quantile(LEVELS) == pytest.approx(stats.halfnorm(scale=1e-9).ppf(LEVELS), rel=1e-9)
    assert fit.tau.mean == pytest.approx(1e-9 * math.sqrt(2 / math.pi), rel=1e-9)
    assert fit.weights == pytest.approx(w / w.sum(), abs=1e-12)


@pytest.mark.parametrize("priors", [FLAT, HALF_NORMAL], ids=["flat", "normal"])
def test_a_tau_prior_at_a_point_gives_the_model_with_tau_known(priors):
    tau = 0.4
    # next to a point: tau varies by 1e-7 of itself, and means by as much of a share of that
    fit = fit_of(priors=pr.Priors(priors.mu, pr.log_normal(math.log(tau), 1e-7)))
    w = 1 / (SEI**2 + tau**2)
    prior_precision = 0.0 if priors is FLAT else 2.82**-2
    precision = w.sum() + prior_precision
    mean = w @ YI / precision
    mu = stats.norm(mean, math.sqrt(1 / precision))
    new = stats.norm(mean, math.sqrt(1 / precision + tau**2))
    assert fit.mu.quantile(LEVELS) == pytest.approx(mu.ppf(LEVELS), abs=1e-7)
    assert fit.theta_new.quantile(LEVELS) == pytest.approx(new.ppf(LEVELS), abs=1e-7)
    pull = SEI**2 / (SEI**2 + tau**2)
    for i, marginal in enumerate(fit.theta.values()):
        study = stats.norm(
            YI[i] + pull[i] * (mean - YI[i]),
            math.sqrt(pull[i] * tau**2 + pull[i] ** 2 / precision),
        )
        assert marginal.quantile(LEVELS) == pytest.approx(study.ppf(LEVELS), abs=1e-7)
    assert fit.tau.quantile(LEVELS) == pytest.approx(stats.lognorm(1e-7, scale=tau).ppf(LEVELS), rel=1e-12)
    assert fit.i2.point == pytest.approx(tau**2 / (tau**2 + fit._typical_variance()), abs=1e-7)


def test_one_study_under_a_flat_mu_leaves_tau_to_its_prior():
    """mu = theta - (theta - mu): normal given tau, so its density is one integral over the prior."""
    fit = fit_of([0.4], [0.3])
    assert fit.log_evidence == pytest.approx(0.0, abs=1e-12)
    assert fit.tau.quantile(LEVELS) == pytest.approx(stats.halfnorm(scale=0.5).ppf(LEVELS), rel=1e-10)
    assert fit.theta["study 0"].quantile(LEVELS) == pytest.approx(stats.norm(0.4, 0.3).ppf(LEVELS), abs=PRECISE)
    assert fit.mu.mean == pytest.approx(0.4, abs=1e-14)
    assert fit.mu.sd == pytest.approx(math.sqrt(0.3**2 + 0.5**2), rel=1e-11)
    for x in (-0.5, 0.4, 1.3):
        density = integrate.quad(
            lambda t, x=x: stats.norm.pdf(x, 0.4, math.hypot(0.3, t)) * stats.halfnorm.pdf(t, scale=0.5), 0, 8
        )[0]
        assert float(fit.mu.pdf(x)) == pytest.approx(density, rel=1e-9)
    assert math.isnan(fit.i2.point)
    assert math.isnan(fit.i2_mean)


def test_the_posterior_of_tau_is_prior_times_likelihood():
    fit = fit_of(priors=pr.Priors(pr.flat(), pr.uniform(0, 2)))
    tau = np.array([1e-9, 0.01, 0.2, 0.9, 1.999])

    def posterior(t):
        w = 1 / (SEI**2 + t**2)
        ybar = w @ YI / w.sum()
        return math.sqrt(np.prod(w) / w.sum()) * math.exp(-0.5 * (w @ (YI - ybar) ** 2)) / 2

    total = integrate.quad(posterior, 0, 2, epsrel=1e-12)[0]
    assert fit.log_evidence == pytest.approx(math.log(total / (2 * math.pi)), abs=1e-11)
    assert fit.tau.pdf(tau) == pytest.approx([posterior(t) / total for t in tau], rel=1e-10)
    below = [integrate.quad(posterior, 0, t, epsrel=1e-12)[0] / total for t in tau]
    assert fit.tau.cdf(tau) == pytest.approx(below, rel=1e-9)
    for t, p in zip(tau, below, strict=True):
        assert fit.tau.prob_greater(t) == pytest.approx(1 - p, rel=1e-9)
    assert fit.tau.pdf([-0.1, 2.1]).tolist() == [0, 0]
    assert fit.tau.cdf([-0.1, 2.1]).tolist() == [0, pytest.approx(1, abs=1e-12)]


def test_a_uniform_prior_narrower_than_anything_the_data_see():
    fit = fit_of(priors=pr.Priors(pr.flat(), pr.uniform(0, 1e-9)))
    assert fit.tau.quantile(LEVELS) == pytest.approx(1e-9 * np.array(LEVELS), rel=1e-9)
    assert fit.tau.quantile([0, 1]) == pytest.approx([0, 1e-9])
    assert fit.tau.cdf(3e-10) == pytest.approx(0.3, rel=1e-9)


def test_a_log_normal_prior_far_below_the_data_keeps_its_shape():
    """Tails of tau below the first panel follow the prior, not a straight line."""
    prior = pr.log_normal(-20, 2)
    fit = fit_of(priors=pr.Priors(pr.flat(), prior))
    p = np.array([1e-9, 1e-4, 0.025, 0.5, 0.975])
    assert fit.tau.quantile(p) == pytest.approx(prior.quantile(p), rel=1e-8)
    assert fit.tau.cdf(prior.quantile(p)) == pytest.approx(p, rel=1e-8)


@pytest.mark.parametrize(("lower", "upper"), [(0.3, 0.7), (0.5, 0.51)])
def test_a_density_with_jumps_is_the_family_it_equals(lower, upper):
    def logpdf(t):
        return np.where((t > lower) & (t < upper), -math.log(upper - lower), -math.inf)

    given_density = pr.density(logpdf, "plateau", tail=math.inf, proper=False)
    ours = fit_of(priors=pr.Priors(pr.flat(), given_density))
    family = fit_of(priors=pr.Priors(pr.flat(), pr.uniform(lower, upper)))
    assert ours.log_evidence == pytest.approx(family.log_evidence, abs=1e-10)
    for name in ("mu", "tau", "theta_new"):
        a, b = getattr(ours, name), getattr(family, name)
        assert [a.mean, a.sd] == pytest.approx([b.mean, b.sd], rel=1e-9)
        assert a.quantile(LEVELS) == pytest.approx(b.quantile(LEVELS), abs=PRECISE)


studies = st.lists(
    st.tuples(st.floats(-3, 3), st.floats(math.log(0.05), math.log(2)).map(math.exp)), min_size=1, max_size=5
)
equivariant = settings(max_examples=25)


def summaries(fit):
    return np.array([getattr(fit, name).quantile(LEVELS) for name in ("mu", "tau", "theta_new")])


def assert_same(ours, wanted):
    scales = np.maximum(wanted[:, 2] - wanted[:, 0], 1e-300)[:, None]
    assert (np.abs(ours - wanted) <= PRECISE * scales).all()


@equivariant
@given(studies=studies, shift=st.floats(-50, 50))
def test_shifting_the_data_shifts_mu_and_leaves_tau(studies, shift):
    yi, sei = map(np.array, zip(*studies, strict=True))
    moved = pr.Priors(pr.normal(0.3 + shift, 2), FLAT.tau)
    for before, after in ((FLAT, FLAT), (pr.Priors(pr.normal(0.3, 2), FLAT.tau), moved)):
        wanted = summaries(fit_of(yi, sei, before)) + np.array([[shift], [0], [shift]])
        assert_same(summaries(fit_of(yi + shift, sei, after)), wanted)


@equivariant
@given(studies=studies, log_scale=st.floats(-7, 7))
def test_scaling_data_and_priors_scales_everything(studies, log_scale):
    yi, sei = map(np.array, zip(*studies, strict=True))
    scale = math.exp(log_scale)
    for mu, scaled in ((pr.normal(0.1, 1), pr.normal(0.1 * scale, scale)), (pr.flat(), pr.flat())):
        wanted = fit_of(yi, sei, pr.Priors(mu, pr.half_cauchy(0.5)))
        ours = fit_of(yi * scale, sei * scale, pr.Priors(scaled, pr.half_cauchy(0.5 * scale)))
        assert_same(summaries(ours), scale * summaries(wanted))
        # under a flat mu the evidence is a density of k - 1 contrasts
        powers = len(yi) - (mu.family == "flat")
        assert ours.log_evidence == pytest.approx(wanted.log_evidence - powers * log_scale, abs=1e-8)


@equivariant
@given(studies=studies)
def test_changing_the_sign_mirrors_mu(studies):
    yi, sei = map(np.array, zip(*studies, strict=True))
    wanted = summaries(fit_of(yi, sei, HALF_NORMAL)) * np.array([[-1], [1], [-1]])
    wanted[[0, 2]] = wanted[[0, 2], ::-1]
    assert_same(summaries(fit_of(-yi, sei, HALF_NORMAL)), wanted)


@equivariant
@given(studies=studies, seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_studies_does_not_matter(studies, seed):
    yi, sei = map(np.array, zip(*studies, strict=True))
    order = np.random.default_rng(seed).permutation(len(yi))
    before, after = fit_of(yi, sei), fit_of(yi[order], sei[order])
    assert_same(summaries(after), summaries(before))
    assert after.weights == pytest.approx(before.weights[order], abs=1e-10)


def test_moments_that_do_not_exist_are_said_not_to():
    fit = fit_of([0.3, 0.8], [0.2, 0.35], pr.Priors(pr.flat(), pr.half_cauchy(0.5)))
    assert math.isfinite(fit.tau.mean)
    assert fit.tau.sd == math.inf
    assert fit.tau.notes == ("The posterior SD of tau does not exist: its tail is too heavy for this k and prior.",)
    assert math.isfinite(fit.mu.mean)
    assert fit.mu.sd == math.inf
    assert fit.theta_new.sd == math.inf
    assert fit.theta["study 0"].notes == ()
    assert math.isfinite(fit.theta["study 0"].sd)
    alone = fit_of([0.3], [0.2], pr.Priors(pr.flat(), pr.half_cauchy(0.5)))
    assert alone.tau.mean == math.inf
    assert math.isnan(alone.tau.sd)
    assert math.isnan(alone.mu.mean)
    assert math.isnan(alone.mu.sd)
    assert alone.mu.notes == ("The posterior mean of mu does not exist: its tail is too heavy for this k and prior.",)


def test_a_moment_that_exists_but_is_out_of_reach_is_not_called_absent():
    """Lomax tail 2.05 and k = 1: the mean exists, as 1 / 0.05 scales, mostly beyond the range of doubles."""
    fit = fit_of([0.3], [0.2], pr.Priors(pr.flat(), pr.lomax(0.5, 1.05)))
    assert math.isnan(fit.tau.mean)
    assert "mean of tau exists, but" in fit.tau.notes[0]


def test_a_slow_moment_within_reach_is_right():
    """k = 1, flat mu: the posterior is the prior, and a Lomax of shape a has the mean scale / (a - 1)."""
    fit = fit_of([0.3], [0.2], pr.Priors(pr.flat(), pr.lomax(0.5, 1.15)))
    assert fit.tau.mean == pytest.approx(0.5 / 0.15, rel=1e-9)


def test_all_moments_exist_without_a_note():
    fit = fit_of(priors=HALF_NORMAL)
    for marginal in (fit.mu, fit.tau, fit.theta_new, *fit.theta.values()):
        assert marginal.notes == ()
        assert math.isfinite(marginal.mean)
        assert math.isfinite(marginal.sd)


@pytest.mark.parametrize(("k", "mu"), [(2, pr.flat()), (1, pr.flat()), (1, pr.normal(0, 1))])
def test_improper_posteriors_are_refused(k, mu):
    with pytest.raises(ValueError, match=rf"is improper for k = {k} stud"):
        fit_of(YI[:k], SEI[:k], pr.Priors(mu, pr.uniform(0, math.inf)))


def test_bayes_factors_need_proper_priors():
    fit = fit_of(priors=pr.Priors(pr.flat(), pr.uniform(0, math.inf)))
    with pytest.raises(ValueError, match="Bayes factor for mu = 0 needs a proper prior; flat is improper"):
        fit.bayes_factor("mu = 0")
    with pytest.raises(ValueError, match="Bayes factor for tau = 0 needs a proper prior; improper uniform"):
        fit.bayes_factor("tau = 0")
    with pytest.raises(ValueError, match="null must be 'mu = 0' or 'tau = 0'; got 'mu'"):
        fit.bayes_factor("mu")


def test_bayes_factors_are_savage_dickey_ratios():
    """Posterior over prior density at the null (Dickey 1971), which the engine does not use."""
    fit = fit_of(priors=HALF_NORMAL)
    mu = float(fit.mu.pdf(0.0)) / stats.norm.pdf(0.0, 0, 2.82)
    assert fit.bayes_factor("mu = 0") == pytest.approx(mu, rel=1e-10)
    tau = float(fit.tau.pdf(0.0)) / stats.halfnorm.pdf(0.0, scale=0.5)
    assert fit.bayes_factor("tau = 0") == pytest.approx(tau, rel=1e-10)


def test_the_evidence_at_mu_zero_under_overwhelming_conflict():
    """An effect of 700,000 SE, a prior on tau that cannot follow: at mu = 0 a tau of 1e-6 SE already matters.

    There the log likelihood is -y^2 / 2 (1 - tau^2), so the half-normal integral is 1 / sqrt(1 - (1e-6 y)^2).
    """
    y = 7e5
    fit = fit_of([y], [1.0], pr.Priors(pr.normal(0, 1e6), pr.half_normal(1e-6)))
    expected = -0.5 * math.log(2 * math.pi) - 0.5 * math.log(1 - 0.49)
    # a double of this size has a last digit of 3e-5
    assert fit._log_evidence_of("mu = 0") + 0.5 * y**2 == pytest.approx(expected, abs=1e-3)
    assert fit.bayes_factor("mu = 0") == 0.0


def test_overwhelming_evidence_for_a_null_is_infinite_without_a_warning():
    fit = fit_of([0.0, 0.0], [0.1, 0.1], pr.Priors(pr.normal(1e3, 1.0), pr.half_normal(0.5)))
    assert fit.bayes_factor("mu = 0") == math.inf


@pytest.mark.parametrize("name", ["mu", "tau", "theta_new"])
def test_draws_follow_the_distribution(name):
    marginal = getattr(fit_of(priors=HALF_NORMAL), name)
    draws = marginal.rvs(4000, seed=1)
    assert stats.kstest(draws, marginal.cdf).pvalue > 0.01
    assert np.array_equal(draws, marginal.rvs(4000, np.random.default_rng(1)))


@pytest.mark.parametrize("mu", [pr.normal(0, 2.82), pr.flat(), pr.student_t(0, 0.5, 3)], ids=str)
def test_the_datatree_is_arviz_ready(mu):
    fit = fit_of(priors=pr.Priors(mu, pr.half_normal(0.5)))
    tree = fit.to_datatree(4000, seed=7)
    posterior = tree["posterior"]
    assert dict(posterior.sizes) == {"chain": 1, "draw": 4000, "study": 3}
    assert posterior["study"].to_numpy().tolist() == list(fit.effects.study)
    assert tree["observed_data"]["y"].to_numpy().tolist() == YI.tolist()
    summary = az.summary(tree)
    marginals = {"mu": fit.mu, "tau": fit.tau, "theta_new": fit.theta_new}
    marginals |= {f"theta[{study}]": marginal for study, marginal in fit.theta.items()}
    assert sorted(summary.index) == sorted(marginals)
    for name, marginal in marginals.items():
        variable = posterior[name.split("[")[0]]
        draws = (variable.sel(study=name[6:-1]) if "[" in name else variable).to_numpy().ravel()
        # the joint draws are independent: quantiles stray by root(p (1 - p) / n) in probability
        for p in (0.025, 0.25, 0.5, 0.75, 0.975):
            error = (draws <= marginal.quantile(p)).mean() - p
            assert abs(error) <= 4 * math.sqrt(p * (1 - p) / draws.size)
    assert tree.attrs["method"] == "exact normal-normal"


def test_the_draws_are_joint():
    fit = fit_of(priors=HALF_NORMAL)
    posterior = fit.to_datatree(20_000, seed=3)["posterior"]
    mu, tau, new = (posterior[name].to_numpy().ravel() for name in ("mu", "tau", "theta_new"))
    z = (new - mu) / tau
    assert stats.kstest(z, stats.norm.cdf).pvalue > 0.01
    assert abs(np.corrcoef(z, mu)[0, 1]) < 4 / math.sqrt(z.size)
    assert abs(np.corrcoef(z**2, tau)[0, 1]) < 4 / math.sqrt(z.size)


def test_the_same_seed_gives_the_same_draws():
    fit = fit_of()
    first, second = fit.to_datatree(50, seed=5), fit.to_datatree(50, seed=5)
    assert first["posterior"].equals(second["posterior"])


def test_the_summary_numbers_belong_together():
    fit = fit_of(priors=HALF_NORMAL, level=0.9)
    reported = [fit.mu.lower, fit.mu.point, fit.mu.upper]
    assert reported == pytest.approx(fit.mu.quantile([0.05, 0.5, 0.95]), rel=1e-14)
    assert fit.mu.interval() == (fit.mu.lower, fit.mu.upper)
    assert fit.prob_positive == fit.mu.prob_greater(0.0)
    assert fit.prob_positive + float(fit.mu.cdf(0.0)) == pytest.approx(1, abs=1e-14)
    assert fit.prior == "mu normal(0, 2.82), tau half-normal(0.5)"
    assert list(fit.theta) == list(fit.effects.study)
    assert fit.i2.lower < fit.i2.point < fit.i2.upper < 1


def test_the_weights_are_those_of_the_posterior_mean():
    flat = fit_of()
    assert flat.weights.sum() == pytest.approx(1, abs=1e-12)
    assert flat.weights @ YI == pytest.approx(flat.mu.mean, abs=1e-12)
    assert 0 < fit_of(priors=HALF_NORMAL).weights.sum() < 1


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95, math.nan])
def test_a_level_outside_zero_to_one_is_refused(level):
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\); got"):
        fit_of(level=level)
