"""Meta-regression and its moderators: columns, the posterior against quadrature, limits, calibration."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from grid_posterior import MCSE_BOUND
from scipy import stats

from bayespip import priors as p
from bayespip.catalogue import load_review
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.moderators import ModeratedEffects, how_much_is_prior
from bayespip.models import load

MODEL = load("meta_regression")
WEAK = p.Priors(p.normal(0, 2.82), p.half_normal(0.5))
# Simulated.
EFFECTS = EffectSizes("abcde", [0.1, 0.4, 0.9, 0.2, 0.6], [0.2, 0.25, 0.1, 0.3, 0.15], "SMD")
TABLE = pd.DataFrame(
    {"study": list("edcba"), "weeks": [8.0, 24, 30, 12, 10], "risk": ["low", "some", "high", "low", "some"]}
)
LOGP_TOLERANCE = 1e-12  # relative: closed forms in double precision
DRAWS = 200_000
POINTS = np.random.default_rng(5).normal(size=(10, 5))


@pytest.fixture
def moderated() -> ModeratedEffects:
    return ModeratedEffects(EFFECTS, TABLE)


def test_numbers_are_standardised_and_categories_coded(moderated: ModeratedEffects) -> None:
    assert moderated.column == ("weeks [per 9.65]", "risk [low]", "risk [some]")
    weeks = np.array([10, 12, 30, 24, 8.0])
    low, some = np.array([0, 1, 0, 0, 1.0]), np.array([1, 0, 0, 1, 0.0])
    columns = np.column_stack([weeks / weeks.std(ddof=1), low, some])
    np.testing.assert_allclose(moderated.design, columns - columns.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(moderated.unit["weeks"], (weeks.mean(), weeks.std(ddof=1)))
    with pytest.raises(ValueError, match="read-only"):
        moderated.design[0, 0] = 1


def test_the_first_category_is_that_of_the_categorical() -> None:
    levels = pd.Categorical(TABLE["risk"], categories=["some", "low", "unclear", "high"])
    found = ModeratedEffects(EFFECTS, TABLE.assign(risk=levels)[["study", "risk"]])
    assert found.column == ("risk [low]", "risk [high]")


BAD = [
    ({"weeks": 12.0}, r"weeks must differ between studies; it is 12.0 in all 5"),
    ({"risk": "low"}, r"risk must differ between studies; it is 'low' in all 5"),
    ({"weeks": [8.0, np.nan, 30, 12, 10]}, r"weeks must not be missing; not so for d \(row 4: nan\)"),
    ({"risk": ["low", None, "high", "low", "some"]}, "risk must not be missing; not so for d"),
    ({"weeks": [8.0, np.inf, 30, 12, 10]}, "weeks must be finite; not so for d"),
    ({"study": list("edcbz")}, "table must have every study of the effects; missing a"),
    ({"months": TABLE["weeks"] / 4}, r"months \[per 2.41\] follows from weeks \[per 9.65\], risk"),
]


@pytest.mark.parametrize(("columns", "message"), BAD, ids=[f"{next(iter(c))}-{i}" for i, (c, _) in enumerate(BAD)])
def test_moderators_that_cannot_be_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModeratedEffects(EFFECTS, TABLE.assign(**columns))


def test_studies_without_effects_are_refused() -> None:
    more = pd.concat([TABLE, TABLE.assign(study=list("vwxyz"))])
    with pytest.raises(ValueError, match="no other study than the effects; it has v, w, x, y, z"):
        ModeratedEffects(EFFECTS, more)


def test_the_log_density_is_the_closed_form(moderated: ModeratedEffects) -> None:
    model = MODEL.build(moderated, WEAK, beta_sd=0.7)
    assert model.named_vars_to_dims["beta"] == ("coefficient",)
    logp = model.compile_logp()
    for u in POINTS:
        mu, tau, beta = u[0], np.exp(u[1]), u[2:]
        expected = WEAK.mu.logpdf(mu) + WEAK.tau.logpdf(tau) + u[1] + stats.norm(0, 0.7).logpdf(beta).sum()
        mean, sd = mu + moderated.design @ beta, np.sqrt(EFFECTS.sei**2 + tau**2)
        expected += stats.norm(mean, sd).logpdf(EFFECTS.yi).sum()
        found = float(logp({"mu": mu, "tau_log__": u[1], "beta": beta}))
        assert found == pytest.approx(float(expected), rel=LOGP_TOLERANCE, abs=LOGP_TOLERANCE)
        draws = {"mu": np.array(mu), "tau": np.array(tau), "beta": beta}
        each = MODEL.log_predictive(moderated, draws, np.random.default_rng(1))
        np.testing.assert_allclose(each, stats.norm(mean, sd).logpdf(EFFECTS.yi), rtol=1e-12)


def test_what_is_integrated_out_follows_its_conditional_distribution(moderated: ModeratedEffects) -> None:
    mu, tau, beta = 0.3, 0.2, np.array([0.2, -0.1, 0.4])
    draws = {"mu": np.full(DRAWS, mu), "tau": np.full(DRAWS, tau), "beta": np.broadcast_to(beta, (DRAWS, 3))}
    drawn = MODEL.complete(moderated, draws, np.random.default_rng(4))
    mean, own = mu + moderated.design @ beta, EFFECTS.sei**2
    total = np.sqrt(own + tau**2)
    expected = {
        "theta": ((tau**2 * EFFECTS.yi + own * mean) / total**2, np.sqrt(own) * tau / total),
        "theta_new": (mu, tau),
        "y": (mean, total),
    }
    for name, (centre, spread) in expected.items():
        assert np.all(np.abs(drawn[name].mean(axis=0) - centre) < 5 * spread / np.sqrt(DRAWS)), name
        assert np.all(np.abs(drawn[name].std(axis=0) - spread) < 5 * spread / np.sqrt(2 * DRAWS)), name


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (EFFECTS, {}, "meta_regression needs ModeratedEffects; got EffectSizes"),
        (ModeratedEffects(EFFECTS, TABLE), {"beta_sd": 0}, "beta_sd must be positive and finite; got 0"),
        (
            ModeratedEffects(EffectSizes("abcde", EFFECTS.yi, EFFECTS.sei, "MD"), TABLE),
            {},
            "beta_sd must be given for MD",
        ),
    ],
    ids=["effects", "beta_sd", "unit"],
)
def test_what_the_model_cannot_take_is_refused(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODEL.check(data, WEAK, **options)


def _assert_near(fit: PymcFit, variables: list[str], expected: np.ndarray) -> None:
    """2.5, 50 and 97.5% points, one row a label of the variables."""
    table = diagnose(fit, variables).set_index("variable")
    for label, points in zip(table.index, expected, strict=True):
        shown, row = fit.parameters[label], table.loc[label]
        for found, value, column in zip(
            (shown.lower, shown.point, shown.upper), points, ("mcse_lower", "mcse_median", "mcse_upper"), strict=True
        ):
            assert abs(found - value) <= MCSE_BOUND * row[column], (label, column)


def _bcg(*columns: str) -> ModeratedEffects:
    rows = load_review("bcg").analyses[0].rows()
    effects = effect_sizes(rows[["study", "event_e", "n_e", "event_c", "n_c"]], "RR")
    return ModeratedEffects(effects, rows[["study", *columns]])


def _quadrature(data: ModeratedEffects, beta_sd: float) -> np.ndarray:
    """Points of mu, each beta and tau: given tau (mu, beta) are normal, and tau is summed over."""
    tau = np.linspace(0, 3, 6001)
    x = np.column_stack([np.ones(data.k), data.design])
    prior_sd = np.array([2.82, *np.full(len(data.column), beta_sd)])
    log_mass, means, sds = np.empty(tau.size), [], []
    for i, t in enumerate(tau):
        sd = np.sqrt(data.effects.vi + t**2)
        marginal = np.diag(sd**2) + (x * prior_sd**2) @ x.T
        log_mass[i] = stats.multivariate_normal(np.zeros(data.k), marginal).logpdf(data.effects.yi)
        covariance = np.linalg.inv(np.diag(prior_sd**-2.0) + (x.T / sd**2) @ x)
        means.append(covariance @ (x.T @ (data.effects.yi / sd**2)))
        sds.append(np.sqrt(np.diag(covariance)))
    log_mass += WEAK.tau.logpdf(tau)
    mass = np.exp(log_mass - log_mass.max())
    mass[0] /= 2
    mass /= mass.sum()
    found = []
    for m, s in zip(np.array(means).T, np.array(sds).T, strict=True):
        grid = np.linspace((m - 5 * s).min(), (m + 5 * s).max(), 4001)
        below = sum(w * stats.norm.cdf((grid - a) / b) for w, a, b in zip(mass, m, s, strict=True) if w > 1e-12)
        found.append(np.interp([0.025, 0.5, 0.975], below, grid))
    return np.array([*found, np.interp([0.025, 0.5, 0.975], np.cumsum(mass), tau + (tau[1] - tau[0]) / 2)])


@pytest.mark.slow
def test_bcg_with_latitude_is_what_a_quadrature_gives() -> None:
    data = _bcg("latitude")
    fit = pymc_fit("meta_regression", data, WEAK, seed=3)
    _assert_near(fit, ["mu", "beta", "tau"], _quadrature(data, 0.5))
    told = how_much_is_prior(fit).iloc[0]
    assert told["prior_sd"] == 0.5
    assert told["upper"] < 0  # the further from the equator, the more BCG protects: Berkey 1995
    assert told["prior_share"] == pytest.approx((fit.draws("beta").std() / 0.5) ** 2)
    assert 0.03 < told["prior_share"] < 0.08
    share = f"{told['prior_share']:.0%}"
    assert told["sentence"] == f"latitude [per 14.4]: the data speak ({share} of its precision is the prior's)."


@pytest.mark.slow
def test_a_coefficient_of_which_the_data_say_nothing_is_its_prior() -> None:
    vague = EffectSizes("abcde", EFFECTS.yi, np.full(5, 20.0), "SMD")
    fit = pymc_fit("meta_regression", ModeratedEffects(vague, TABLE), WEAK, seed=3, beta_sd=0.7)
    told = how_much_is_prior(fit)
    assert (told["prior_sd"] == 0.7).all()
    np.testing.assert_allclose(told["ratio"], 1, atol=0.1)
    assert told["sentence"].str.contains("the coefficient is its prior").all()


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "beta_sd"), [([], None), (["weeks"], 1e-6)], ids=["none", "of no effect"])
def test_without_moderators_it_is_the_normal_model(columns: list[str], beta_sd: float | None) -> None:
    fit = pymc_fit(
        "meta_regression", ModeratedEffects(EFFECTS, TABLE[["study", *columns]]), WEAK, seed=2, beta_sd=beta_sd
    )
    exact = exact_fit(EFFECTS, WEAK)
    marginals = [exact.mu, exact.tau, exact.theta_new, *exact.theta.values()]
    expected = np.array([[m.lower, m.point, m.upper] for m in marginals])
    _assert_near(fit, ["mu", "tau", "theta_new", "theta"], expected)


@pytest.mark.slow
def test_parameters_are_recovered() -> None:
    rng, k = np.random.default_rng(12), 60
    labels = [f"simulated {i}" for i in range(k)]
    table = pd.DataFrame({"study": labels, "weeks": rng.uniform(4, 40, k), "risk": rng.choice(["high", "low"], k)})
    sei = rng.uniform(0.05, 0.3, k)
    blank = ModeratedEffects(EffectSizes(labels, np.zeros(k), sei, "SMD"), table)
    theta = rng.normal(0.4 + blank.design @ [0.3, -0.5], 0.2)
    data = blank.with_effects(EffectSizes(labels, rng.normal(theta, sei), sei, "SMD"))
    found = pymc_fit("meta_regression", data, WEAK, seed=7).parameters
    for name, true in {"mu": 0.4, "tau": 0.2, "beta[risk [low]]": -0.5, f"beta[{data.column[0]}]": 0.3}.items():
        assert found[name].lower < true < found[name].upper
        assert found[name].upper - found[name].lower < 0.4
