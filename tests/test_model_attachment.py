"""attachment: against SciPy, binomial_normal, the multivariate normal model, and its own simulator."""

import numpy as np
import pytest
from reference_data import load_reference
from scipy import special, stats

from bayespip import compare, pymc_fit
from bayespip import priors as p
from bayespip.catalogue import load_review
from bayespip.mcmc.diagnostics import diagnose
from bayespip.model_data.categories import Categories
from bayespip.model_data.two_arms import Counts
from bayespip.model_parts.parameterising import along_axes
from bayespip.models import load
from bayespip.reanalysis.cases import cases

MODEL = load("attachment")
NAMES = ("secure", "avoidant", "resistant", "disorganised")
# Simulated, shaped like the review's attachment outcome: two trials of 40 to 60 an arm.
SIMULATED = Categories(
    ["simulated 1", "simulated 2"], [[30, 5, 6, 9], [28, 6, 0, 14]], [[20, 6, 7, 17], [22, 8, 1, 17]], NAMES, "secure"
)
PRIORS = p.Priors(p.normal(0.2, 1.5), p.half_normal(0.5))
LOGP_TOLERANCE = 1e-10  # relative: SciPy's and PyMC's log gamma functions differ in the last digits
MCSE_BOUND = 5  # as everywhere: a normal deviate exceeds it once in 1.7 million
DRAWS = 100_000
QUICK = "FAST_COMPILE"  # of a few evaluations; what the sampler compiles is compared in test_compiling
P = np.array([[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]])


def _natural(model):
    """From a point to every variable at it."""
    function = model.compile_fn(model.unobserved_value_vars, inputs=model.value_vars, mode=QUICK)
    names = [v.name for v in model.unobserved_value_vars]
    return lambda point: dict(zip(names, function(point), strict=True))


def _log_volume(natural, point: dict, name: str, deviation: str) -> float:
    """Log determinants of the matrices from each trial's deviations to its variables."""
    zero = natural(point | {deviation: np.zeros_like(point[deviation])})[name]
    m = zero.shape[1]
    slopes = []
    for axis in range(m):
        unit = np.zeros_like(point[deviation])
        unit[:, axis] = 1
        slopes.append(natural(point | {deviation: unit})[name] - zero)
    return float(np.linalg.slogdet(np.stack(slopes, axis=-1))[1].sum())


def test_the_log_density_is_the_closed_form() -> None:
    model = MODEL.build(SIMULATED, PRIORS)
    assert [v.name for v in model.free_RVs] == ["mu", "tau", "z", "w"]
    assert model.named_vars_to_dims["theta"] == model.named_vars_to_dims["baseline"] == ("study", "contrast")
    logp = model.compile_logp(jacobian=False, mode=QUICK)
    natural, rng = _natural(model), np.random.default_rng(3)
    for _ in range(3):
        point = {name: rng.normal(size=np.shape(x)) for name, x in model.initial_point().items()}
        at = natural(point)
        expected = float(PRIORS.mu.logpdf(at["mu"]).sum() + PRIORS.tau.logpdf(at["tau"]))
        for i in range(SIMULATED.k):
            a, theta = at["baseline"][i], at["theta"][i]
            expected += stats.multivariate_normal.logpdf(theta, at["mu"], at["tau"] ** 2 * P)
            expected += stats.norm.logpdf(a, 0, 10).sum()
            for counts, x in ((SIMULATED.counts_e[i], a + theta / 2), (SIMULATED.counts_c[i], a - theta / 2)):
                expected += stats.multinomial.logpmf(counts, counts.sum(), special.softmax([0, *x]))
        expected += _log_volume(natural, point, "theta", "z") + _log_volume(natural, point, "baseline", "w")
        assert float(logp(point)) == pytest.approx(expected, rel=LOGP_TOLERANCE)
        assert at["rr"] @ SIMULATED.control == pytest.approx(1, rel=1e-14)
        np.testing.assert_allclose(at["rr"], MODEL.risk_ratios(SIMULATED.control, at["mu"]), rtol=1e-13)


def test_two_categories_are_binomial_normal() -> None:
    two = Categories(["a", "b", "c"], [[19, 4], [20, 0], [10, 0]], [[14, 11], [19, 3], [11, 1]], ["no", "yes"], "no")
    counts = Counts(two.study, two.counts_e[:, 1], two.n_e, two.counts_c[:, 1], two.n_c, "OR")
    ours, theirs = MODEL.build(two, PRIORS), load("binomial_normal").build(counts, PRIORS)
    natural, rng = _natural(ours), np.random.default_rng(3)
    logps = [model.compile_logp(mode=QUICK) for model in (ours, theirs)]
    for _ in range(3):
        point = {name: rng.normal(size=np.shape(x)) for name, x in ours.initial_point().items()}
        at = natural(point)
        other = {
            "mu": at["mu"][0],
            "tau_log__": np.log(at["tau"]),
            "z": at["z"][:, 0],
            "baseline": at["baseline"][:, 0],
        }
        expected = float(logps[1](other)) + _log_volume(natural, point, "baseline", "w")
        assert float(logps[0](point)) == pytest.approx(expected, rel=LOGP_TOLERANCE)


def test_axes_on_which_estimates_and_effects_are_independent() -> None:
    rng = np.random.default_rng(1)
    root, e = rng.normal(size=(5, 3, 3)), rng.normal(size=(5, 3))
    s = root @ root.transpose(0, 2, 1)
    axes, estimate, error = along_axes(e, s, P)
    turned = axes.transpose(0, 2, 1)
    np.testing.assert_allclose(turned @ P @ axes, np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(turned @ s @ axes, error[:, :, None] ** 2 * np.eye(3), atol=1e-11)
    np.testing.assert_allclose((P @ axes @ estimate[..., None])[..., 0], e, rtol=1e-10)


def test_draws_from_the_priors_and_new_trials() -> None:
    rng = np.random.default_rng(4)
    drawn = MODEL.draw_prior(SIMULATED, PRIORS, rng, (DRAWS,))
    assert drawn["theta"].shape == drawn["baseline"].shape == (DRAWS, 2, 3)
    root = np.linalg.inv(np.linalg.cholesky(P))
    scaled = (drawn["theta"][:, 1] - drawn["mu"]) / drawn["tau"][:, None] @ root.T
    new = (drawn["theta_new"] - drawn["mu"]) / drawn["tau"][:, None] @ root.T
    standard = {"mu": (drawn["mu"][:, 2] - 0.2) / 1.5, "baseline": drawn["baseline"][:, 1, 2] / 10}
    standard |= {f"theta {j}": scaled[:, j] for j in range(3)} | {f"theta_new {j}": new[:, j] for j in range(3)}
    for name, values in standard.items():
        assert stats.kstest(values, stats.norm.cdf).pvalue > 0.001, name
    assert stats.kstest(drawn["tau"] / 0.5, stats.halfnorm.cdf).pvalue > 0.001
    np.testing.assert_allclose(np.corrcoef(scaled.T), np.eye(3), atol=5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(drawn["rr"] @ SIMULATED.control, 1, rtol=1e-12)


def test_new_counts_have_the_moments_of_the_model() -> None:
    n, a, mu, tau = DRAWS, np.array([[-1.0, -2, 0.5], [0.3, -3, -1]]), np.array([0.8, -0.4, 0.1]), 0.6
    draws = {"mu": np.tile(mu, (n, 1)), "tau": np.full(n, tau), "baseline": np.tile(a, (n, 1, 1))}
    drawn = MODEL.complete(SIMULATED, draws | {"theta": np.tile(mu, (n, 2, 1))}, np.random.default_rng(5))
    z, w = np.polynomial.hermite_e.hermegauss(15)
    grid = np.stack(np.meshgrid(z, z, z, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    weight = (w[:, None, None] * w[:, None] * w).ravel() / w.sum() ** 3
    theta = mu + tau * grid @ np.linalg.cholesky(P).T
    for name, size, sign in (("y_e", SIMULATED.n_e, 1), ("y_c", SIMULATED.n_c, -1)):
        x = a + sign * theta / 2
        risks = special.softmax(np.concatenate([np.zeros_like(x[..., :1]), x], axis=-1), axis=-1)
        expected = size[:, None] * (weight[:, None, None] * risks).sum(0)
        assert np.all(drawn[name].sum(-1) == size)
        assert np.all(np.abs(drawn[name].mean(0) - expected) <= 5 * drawn[name].std(0) / np.sqrt(n))


def test_risk_ratios_of_trials_are_ratios_of_their_risks() -> None:
    a, theta = np.array([[0.2, -1.0, -0.5], [1.0, 0.0, -2.0]]), np.array([[0.4, -0.3, 0.1], [0.0, 0.0, 0.0]])
    draws = {"mu": np.zeros(3), "tau": np.array(0.1), "baseline": a, "theta": theta}
    found = MODEL.complete(SIMULATED, draws, np.random.default_rng(1))["rr_study"]
    e, c = (special.softmax([0, *x]) for x in (a[0] + theta[0] / 2, a[0] - theta[0] / 2))
    np.testing.assert_allclose(found[0], e / c, rtol=1e-13)
    np.testing.assert_allclose(found[0] @ c, 1, rtol=1e-13)
    np.testing.assert_allclose(found[1], 1, rtol=1e-13)
    np.testing.assert_allclose(MODEL.risk_ratios(c, theta[0]), found[0], rtol=1e-13)


def test_bad_data_are_refused() -> None:
    def made(e, c):
        return Categories(["a", "b"], e, c, NAMES[:3], "secure")

    counts = Counts(["a"], [1], [10], [2], [10], "OR")
    with pytest.raises(ValueError, match=r"attachment needs Categories, .*; got Counts"):
        MODEL.check(counts, PRIORS)
    with pytest.raises(ValueError, match=r"every category; none is in avoidant\."):
        MODEL.check(made([[5, 0, 5]] * 2, [[5, 0, 5]] * 2), PRIORS)
    with pytest.raises(ValueError, match=r"must have participants; not so for b \(row 2: 0\)"):
        MODEL.check(made([[5, 5, 5], [0, 0, 0]], [[5, 5, 5], [0, 0, 0]]), PRIORS)
    with pytest.raises(ValueError, match=r"attachment needs proper priors; got .* on mu"):
        MODEL.check(SIMULATED, p.Priors(p.flat(), p.half_normal(1)))


def test_a_published_result_is_left_with_the_reason() -> None:
    review = load_review("pip")
    todo, _ = cases(review.id, [review["P1"], review["P2"]], review.studies)
    found = MODEL.data_of_cases(todo)
    assert found.data == ()
    assert found.left["P1"] == "P1 has only its published result; attachment needs the participants in every category."


def _within_error(fit, name: str, expected: np.ndarray) -> None:
    """The 2.5, 50 and 97.5% points of each element of a variable."""
    table = diagnose(fit, (name,))
    draws = fit.draws(name).reshape(-1, len(table))
    found = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
    errors = table[["mcse_lower", "mcse_median", "mcse_upper"]].to_numpy(dtype=float).T
    assert np.all(np.abs(found - expected) <= MCSE_BOUND * errors), (name, (found - expected) / errors)


@pytest.mark.slow
def test_two_categories_of_real_trials_give_what_binomial_normal_gives() -> None:
    data = load_reference()["datasets"]["bcg_rr"]
    a, n1, c, n2 = (np.array(data["table"][name]) for name in ("ai", "n1i", "ci", "n2i"))
    two = Categories(data["labels"], np.stack([n1 - a, a], 1), np.stack([n2 - c, c], 1), ["no", "yes"], "no")
    ours = pymc_fit("attachment", two, PRIORS, seed=1)
    theirs = pymc_fit("binomial_normal", Counts(data["labels"], a, n1, c, n2, "OR"), PRIORS, seed=2)
    for name in ("mu", "tau", "theta"):
        both = [diagnose(fit, (name,))[["mcse_lower", "mcse_median", "mcse_upper"]].to_numpy(float).T
                for fit in (ours, theirs)]  # fmt: skip
        found, expected = (
            np.quantile(fit.draws(name).reshape(4000, -1), [0.025, 0.5, 0.975], axis=0) for fit in (ours, theirs)
        )
        assert np.all(np.abs(found - expected) <= MCSE_BOUND * np.hypot(*both)), name


@pytest.mark.slow
def test_the_reference_does_not_matter_under_wide_priors() -> None:
    wide = p.Priors(p.normal(0, 10), p.half_normal(0.5))
    one = pymc_fit("attachment", SIMULATED, wide, seed=1)
    order = [SIMULATED.categories.index(name) for name in ("resistant", "secure", "avoidant", "disorganised")]
    turned = Categories(
        SIMULATED.study, SIMULATED.counts_e[:, order], SIMULATED.counts_c[:, order],
        [NAMES[j] for j in order], "resistant",
    )  # fmt: skip
    other = pymc_fit("attachment", turned, wide, seed=2)
    a, b = one.data["posterior"]["rr"], other.data["posterior"]["rr"].sel(category=list(NAMES))
    errors = [diagnose(fit, ("rr",)).set_index("variable") for fit in (one, other)]
    for name in NAMES:
        error = np.hypot(*(table.loc[f"rr[{name}]", "mcse_median"] for table in errors))
        assert abs(float(a.sel(category=name).median() - b.sel(category=name).median())) <= MCSE_BOUND * error
    _within_error(one, "tau", np.quantile(other.draws("tau"), [0.025, 0.5, 0.975])[:, None])


# Simulated: ten thousand participants an arm, so that log odds ratios are normal to 1 in 100 of an SD of 0.3.
NORMAL_ERROR = 0.02


@pytest.mark.slow
def test_with_many_participants_it_is_the_multivariate_normal_model() -> None:
    e = np.array([[4700, 1600, 1100, 2600], [5200, 1500, 1400, 1900], [4300, 1500, 1500, 2700]])
    c = np.array([[4000, 1500, 1500, 3000], [4300, 1400, 1400, 2900], [4500, 1200, 1200, 3100]])
    data = Categories(["simulated 1", "simulated 2", "simulated 3"], e, c, NAMES, "secure")
    fit = pymc_fit("attachment", data, PRIORS, seed=3)
    y = (np.log(e[:, 1:] / e[:, :1]) - np.log(c[:, 1:] / c[:, :1])).ravel()
    v = 1 / e + 1 / c
    s = np.zeros((9, 9))
    for i in range(3):
        s[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = np.diag(v[i, 1:]) + v[i, 0]
    x = np.tile(np.eye(3), (3, 1))
    grid = np.linspace(0, 2.5, 2001)[1:]
    log, means, covariances = [], [], []
    for tau in grid:  # mu integrated out in closed form under its normal prior
        total = s + tau**2 * np.kron(np.eye(3), P)
        whole = total + 1.5**2 * x @ x.T
        log.append(stats.multivariate_normal.logpdf(y, np.full(9, 0.2), whole) + PRIORS.tau.logpdf(tau))
        precision = x.T @ np.linalg.solve(total, x) + np.eye(3) / 1.5**2
        covariances.append(np.linalg.inv(precision))
        means.append(covariances[-1] @ (x.T @ np.linalg.solve(total, y) + 0.2 / 1.5**2))
    weight = np.exp(np.array(log) - max(log))
    weight /= weight.sum()
    mean = weight @ np.array(means)
    variance = weight @ (np.array(covariances).diagonal(axis1=1, axis2=2) + (np.array(means) - mean) ** 2)
    table = diagnose(fit, ("mu", "tau")).set_index("variable")
    draws = fit.draws("mu")
    for j, contrast in enumerate(data.contrasts):
        error = MCSE_BOUND * table.loc[f"mu[{contrast}]", "mcse_mean"] + NORMAL_ERROR * np.sqrt(variance[j])
        assert abs(draws[:, j].mean() - mean[j]) <= error
        assert draws[:, j].std() == pytest.approx(np.sqrt(variance[j]), rel=0.1)
    tau_mean = weight @ grid
    error = MCSE_BOUND * table.loc["tau", "mcse_mean"] + NORMAL_ERROR * np.sqrt(weight @ grid**2 - tau_mean**2)
    assert abs(fit.draws("tau").mean() - tau_mean) <= error


@pytest.mark.slow
def test_a_known_truth_is_found() -> None:
    k, rng = 30, np.random.default_rng(12)
    e, c = rng.integers(150, 400, (2, k))
    one = np.eye(4, dtype=int)[0]
    control = dict(zip(NAMES, [0.5, 0.15, 0.1, 0.25], strict=True))
    design = Categories(range(k), np.outer(e, one), np.outer(c, one), NAMES, "secure", control=control)
    mu = np.array([-0.4, 0.0, -0.8])
    truth = {"mu": np.tile(mu, 1), "tau": np.array(0.3), "baseline": rng.normal([-1.2, -1.6, -0.7], 0.4, (k, 3))}
    own = rng.normal(0, 0.3 / np.sqrt(2), (k, 4))
    truth["theta"] = mu + own[:, 1:] - own[:, :1]
    fit = pymc_fit("attachment", MODEL.draw_data(design, truth, rng), PRIORS, seed=1)
    lower, upper = np.quantile(fit.draws("mu"), [0.025, 0.975], axis=0)
    assert np.all((lower < mu) & (mu < upper))
    assert np.all(upper - lower < 0.45)
    assert fit.tau.lower < 0.3 < fit.tau.upper
    assert fit.tau.upper - fit.tau.lower < 0.25
    rr = np.quantile(fit.draws("rr"), [0.025, 0.975], axis=0)
    expected = MODEL.risk_ratios(np.array(list(control.values())), mu)
    assert np.all((rr[0] < expected) & (expected < rr[1]))
    inside = np.quantile(fit.draws("theta"), [0.025, 0.975], axis=0)
    assert np.mean((inside[0] < truth["theta"]) & (truth["theta"] < inside[1])) > 0.88


@pytest.mark.slow
def test_every_dimension_is_named_and_one_number_is_refused() -> None:
    fit = pymc_fit("attachment", SIMULATED, PRIORS, seed=1)
    dims = {name: variable.dims[2:] for name, variable in fit.data["posterior"].data_vars.items()}
    assert dims == {
        "mu": ("contrast",), "tau": (), "z": ("study", "axis"), "w": ("study", "axis"),
        "theta": ("study", "contrast"), "theta_new": ("contrast",), "baseline": ("study", "contrast"),
        "rr": ("category",), "rr_new": ("category",), "rr_study": ("study", "category"),
    }  # fmt: skip
    assert fit.data["posterior"]["rr_study"].shape[2:] == (2, 4)
    assert list(fit.parameters)[:2] == ["mu[avoidant vs secure]", "mu[resistant vs secure]"]
    log_likelihood = fit.data["log_likelihood"]["y"].isel(chain=0, draw=0)
    first = fit.data["posterior"].isel(chain=0, draw=0)
    x, theta = first["baseline"].values, first["theta"].values
    expected = [
        sum(
            stats.multinomial.logpmf(counts[i], counts[i].sum(), special.softmax([0, *(x[i] + sign * theta[i] / 2)]))
            for counts, sign in ((SIMULATED.counts_e, 1), (SIMULATED.counts_c, -1))
        )
        for i in range(2)
    ]
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-9)
    table = compare(fit).set_index("parameter")["point"]
    draws = fit.data["posterior"]
    log_or, rr = draws["mu"].sel(contrast="avoidant vs secure"), draws["rr"].sel(category="avoidant")
    assert table["mu[avoidant vs secure]"] == pytest.approx(np.exp(np.median(log_or)), rel=1e-12)
    assert table["rr[avoidant]"] == pytest.approx(np.median(rr), rel=1e-12)
    for name in ("mu", "theta_new", "theta"):
        with pytest.raises(ValueError, match=f"attachment has a {name} for each contrast"):
            getattr(fit, name)
