"""The PyMC models: their log densities against closed forms, without sampling."""

from pathlib import Path

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.models import available, load

COACHING = EffectSizes(  # Rubin 1981
    list("ABCDEFGH"),
    [28.39, 7.94, -2.75, 6.82, -0.64, 0.63, 18.01, 12.16],
    [14.9, 10.2, 16.3, 11.0, 9.4, 11.4, 10.4, 17.6],
    "MD",
)
PAIR = EffectSizes(["a", "b"], [0.1, 0.9], [0.2, 0.3], "SMD")
PRIORS = [
    p.Priors(p.normal(0.2, 2.82), p.half_normal(0.5)),
    p.Priors(p.student_t(0.1, 0.55, 5), p.inverse_gamma(1.62, 0.45)),
    p.Priors(p.flat(), p.lomax(0.5, 1.5)),
    p.Priors(p.normal(-0.4, 1.55), p.exponential(0.3)),
    p.Priors(p.flat(), p.log_normal(-1.78, 0.87)),
    p.Priors(p.student_t(0, 1, 2), p.uniform(0, 2)),
    p.Priors(p.normal(0, 1), p.uniform(0, np.inf)),
    p.Priors(p.normal(0, 1), p.half_cauchy(0.5)),
    p.Priors(p.normal(0, 1), p.half_t(0.5, 4)),
    p.Priors(p.flat(), p.log_t(-1.72, 1.295, 5)),
    p.Priors(p.flat(), p.root_inverse_gamma(1.14, 0.08)),
    p.Priors(p.flat(), p.uniform_shrinkage(PAIR.sei)),
    p.Priors(p.flat(), p.jeffreys(PAIR.sei)),
    p.Priors(p.normal_mixture([0.4, 0.6], [0.61, 1.42]), p.du_mouchel(PAIR.sei)),
]
LOGP_TOLERANCE = 1e-12  # relative: both sides are closed forms in double precision
HALF_LOG_2 = {"half-t", "half-cauchy"}  # PyMC 6.4 has their log 2 in single precision: see test_priors
POINTS = np.random.default_rng(5).normal(size=(10, 2))
DRAWS = 200_000


def _log_likelihood(effects: EffectSizes, mu: float, tau: float) -> np.ndarray:
    return stats.norm(mu, np.sqrt(effects.sei**2 + tau**2)).logpdf(effects.yi)


def _parameters(model: pm.Model, unconstrained: dict[str, float]) -> tuple[float, float]:
    """The point on the natural scale, by the model's own transforms."""
    transform = model.rvs_to_transforms[model["tau"]]
    tau = transform.backward(unconstrained["tau"], *model["tau"].owner.inputs) if transform else unconstrained["tau"]
    return unconstrained["mu"], float(tau.eval())


FUNCTIONS = ("build", "values", "complete", "draw_prior", "draw_data")


def test_the_models_are_the_files_of_the_folder() -> None:
    files = {path.stem for path in Path(load("normal_normal").__file__).parent.glob("[!_]*.py")}
    assert set(available()) == files >= {"normal_normal"}


@pytest.mark.parametrize("name", list(available()))
def test_every_model_says_what_it_is_and_has_what_the_engine_calls(name: str) -> None:
    module = load(name)
    assert all(callable(getattr(module, function)) for function in FUNCTIONS)
    assert hasattr(module, "data_of") != hasattr(module, "data_of_cases")
    assert set(module.__all__) >= {"ABOUT", *FUNCTIONS}
    told = (getattr(module.ABOUT, field) for field in ("question", "likelihood", "priors", "needs", "reference"))
    assert all(isinstance(text, str) and text for text in (*told, module.ABOUT.predictive))
    assert module.ABOUT.question.endswith("?")


def test_an_unknown_model_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"model must be one of .*normal_normal.*; got 'binomial'"):
        load("binomial")


def test_names_dimensions_and_data() -> None:
    model = load("normal_normal").build(COACHING, PRIORS[0])
    assert model.coords["study"] == COACHING.study
    assert [v.name for v in model.free_RVs] == ["mu", "tau"]
    assert [v.name for v in model.observed_RVs] == ["y"]
    assert model.named_vars_to_dims == {"yi": ("study",), "sei": ("study",), "y": ("study",)}
    assert {v.name for v in model.data_vars} == {"yi", "sei", "mu_mean", "mu_sd", "tau_scale"}


@pytest.mark.parametrize("priors", PRIORS, ids=str)
def test_the_log_density_is_the_closed_form(priors: p.Priors) -> None:
    model = load("normal_normal").build(PAIR, priors)
    value_names = {rv.name: model.rvs_to_values[rv].name for rv in model.free_RVs}
    logp = model.compile_logp(jacobian=False)
    offset = np.log(2) - float(np.log(np.float32(2))) if priors.tau.family in HALF_LOG_2 else 0.0
    for u in POINTS:
        mu, tau = _parameters(model, {"mu": u[0], "tau": u[1]})
        expected = _log_likelihood(PAIR, mu, tau).sum() + priors.mu.logpdf(mu) + priors.tau.logpdf(tau)
        found = float(logp({value_names["mu"]: u[0], value_names["tau"]: u[1]})) + offset
        assert found == pytest.approx(float(expected), rel=LOGP_TOLERANCE, abs=LOGP_TOLERANCE)


def test_all_data_can_be_replaced_also_by_more_studies() -> None:
    new = p.Priors(p.normal(3.0, 7.0), p.half_normal(4.0))
    swapped = load("normal_normal").build(PAIR, PRIORS[0])
    pm.set_data(
        {"yi": COACHING.yi, "sei": COACHING.sei, "mu_mean": 3.0, "mu_sd": 7.0, "tau_scale": 4.0},
        model=swapped,
        coords={"study": COACHING.study},
    )
    built = load("normal_normal").build(COACHING, new)
    point = {"mu": 1.3, "tau_log__": 0.4}
    assert float(swapped.compile_logp()(point)) == float(built.compile_logp()(point))


def test_a_density_of_the_user_is_refused() -> None:
    priors = p.Priors(p.flat(), p.density(stats.halfnorm.logpdf, "my prior", tail=np.inf))
    with pytest.raises(ValueError, match="my prior is a density given as a Python function: only the exact"):
        load("normal_normal").build(PAIR, priors)


@pytest.mark.parametrize("tau", [0.0, 1e-8, 0.3, 50.0])
def test_what_the_model_integrates_out_follows_its_conditional_distribution(tau: float) -> None:
    mu, rng = 0.4, np.random.default_rng(8)
    draws = {"mu": np.full((2, DRAWS // 2), mu), "tau": np.full((2, DRAWS // 2), tau)}
    drawn = load("normal_normal").complete(PAIR, draws, rng)
    assert {name: v.shape for name, v in drawn.items()} == {
        "theta": (2, DRAWS // 2, 2),
        "theta_new": (2, DRAWS // 2),
        "y": (2, DRAWS // 2, 2),
    }
    v, t = PAIR.sei**2, tau**2
    expected = {
        "theta": ((t * PAIR.yi + v * mu) / (t + v), np.sqrt(v * t / (t + v))),
        "theta_new": (mu, tau),
        "y": (mu, np.sqrt(v + t)),
    }
    rounding = DRAWS * np.finfo(float).eps
    for name, (mean, sd) in expected.items():
        values = drawn[name].reshape(DRAWS, -1)
        # five standard errors of the mean and of the SD of normal draws, and the rounding of their sums
        assert np.all(np.abs(values.mean(0) - mean) <= 5 * sd / np.sqrt(DRAWS) + rounding)
        assert np.all(np.abs(values.std(0) - sd) <= 5 * sd / np.sqrt(2 * DRAWS) + rounding)
    if tau:
        both = np.corrcoef(drawn["theta"].reshape(DRAWS, 2), rowvar=False)[0, 1]
        assert abs(both) < 5 / np.sqrt(DRAWS)  # independent given mu and tau
