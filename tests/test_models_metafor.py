"""Meta-regression and network at given tau: the likelihood's mode, curvature and height are metafor's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.model_data.moderators import ModeratedEffects
from bayespip.model_data.networks import Network
from bayespip.models import load

REFERENCE = json.loads((Path(__file__).parent / "reference" / "models.json").read_text(encoding="utf-8"))
TAU2 = {"meta_regression": [0, 0.1, 0.5], "network": [0.01, 0.1, 0.5]}
PRIORS = p.Priors(p.normal(0, 1), p.half_normal(0.5))  # of models whose likelihood alone is used
TOLERANCE = 1e-8  # of coefficients, SEs and log likelihoods of order one, which metafor has to 15 digits
FITS = [pytest.param(name, fit, id=f"{name}, tau2 {fit['tau2']}") for name in TAU2 for fit in REFERENCE[name]["fits"]]


def _regression() -> tuple[Any, Any, dict[str, np.ndarray]]:
    """Model and data, and metafor's coefficients from ours: degrees of latitude, not SDs, and not centred."""
    own = REFERENCE["meta_regression"]
    effects = EffectSizes(own["study"], own["yi"], own["sei"], "RR")
    table = pd.DataFrame({name: own[name] for name in ("study", "latitude", "allocation")})
    data = ModeratedEffects(effects, table)
    return load("meta_regression"), data, {"mu": np.zeros(()), "beta": np.zeros(len(data.column))}


def _network() -> tuple[Any, Any, dict[str, np.ndarray]]:
    arms = pd.DataFrame(REFERENCE["network"]["arms"]).rename(columns={"ni": "n", "mi": "mean", "sdi": "sd"})
    data = Network.from_arms(arms, "MD", reference="placebo")
    assert list(data.columns) == REFERENCE["network"]["treatments"]
    return load("network"), data, {"d": np.zeros(len(data.columns))}


def _as_metafor(name: str, data: Any) -> np.ndarray:
    """From our coefficients to metafor's."""
    if name == "network":
        return np.eye(len(data.columns))
    own = REFERENCE["meta_regression"]
    unit, raw = data.unit["latitude"][1], np.column_stack([own["latitude"], *_dummies(own["allocation"])])
    slopes = np.diag([1 / unit, 1, 1])
    # mu is at the average study: the intercept is mu minus the slopes there
    return np.block([[np.ones((1, 1)), -raw.mean(0, keepdims=True) @ slopes], [np.zeros((3, 1)), slopes]])


def _dummies(allocation: list[str]) -> list[np.ndarray]:
    return [np.array([a == category for a in allocation], dtype=float) for category in ("random", "systematic")]


def test_the_reference_is_complete() -> None:
    assert {name: [fit["tau2"] for fit in REFERENCE[name]["fits"]] for name in TAU2} == TAU2
    assert set(REFERENCE["versions"]) == {"R", "metafor", "metadat"}


@pytest.mark.parametrize(("name", "fit"), FITS)
def test_at_given_tau_the_likelihood_is_that_of_metafor(name: str, fit: dict[str, Any]) -> None:
    module, data, zero = {"meta_regression": _regression, "network": _network}[name]()
    sizes = [x.size for x in zero.values()]
    tau = np.sqrt(fit["tau2"])

    def log_likelihood(x: np.ndarray) -> float:
        parts = np.split(x, np.cumsum(sizes)[:-1])
        at = {n: part.reshape(zero[n].shape) for n, part in zip(zero, parts, strict=True)}
        return float(module.log_predictive(data, at | {"tau": np.array(tau)}, np.random.default_rng(1)).sum())

    # a quadratic function: its differences over steps of one are its derivatives
    n = sum(sizes)
    e, base = np.eye(n), log_likelihood(np.zeros(n))
    up, down = (np.array([log_likelihood(s * row) for row in e]) for s in (1, -1))
    both = np.array([[log_likelihood(a + b) for b in e] for a in e])
    information = -(both - up[:, None] - up[None, :] + base)
    mode = np.linalg.solve(information, (up - down) / 2)
    to = _as_metafor(name, data)
    np.testing.assert_allclose(to @ mode, fit["beta"], atol=TOLERANCE)
    np.testing.assert_allclose(np.sqrt(np.diag(to @ np.linalg.inv(information) @ to.T)), fit["se"], atol=TOLERANCE)
    assert log_likelihood(mode) == pytest.approx(fit["ll"], abs=TOLERANCE)


@pytest.mark.parametrize("name", list(TAU2))
def test_the_pymc_model_has_that_likelihood(name: str) -> None:
    module, data, zero = {"meta_regression": _regression, "network": _network}[name]()
    model = module.build(data, PRIORS)
    logp = model.compile_logp(model.observed_RVs, jacobian=False, mode="FAST_COMPILE")
    rng = np.random.default_rng(2)
    at = {n: rng.normal(0, 0.3, x.shape) for n, x in zero.items()}
    expected = module.log_predictive(data, at | {"tau": np.array(0.4)}, rng).sum()
    assert float(logp(at | {"tau_log__": np.log(0.4)})) == pytest.approx(float(expected), abs=TOLERANCE)
