"""The packed sampler: its C function against PyMC's own log density, and nutpie's own way where it must."""

import ctypes
from typing import Any

import numpy as np
import pytest

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.mcmc import compiling, sampling
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import pymc_fit
from bayespip.models import load

PAIR = EffectSizes(["a", "b"], [0.1, 0.9], [0.2, 0.3], "SMD")
TRIO = EffectSizes("abc", [0.3, -0.5, 1.2], [0.15, 0.4, 0.25], "SMD")
STRUCTURES = [
    (p.Priors(p.flat(), p.half_cauchy(0.5)), p.Priors(p.flat(), p.half_cauchy(0.3))),
    (p.Priors(p.normal(0, 2.82), p.uniform(0, 2)), p.Priors(p.normal(0.2, 1.5), p.uniform(0.1, 3))),
    (
        p.Priors(p.student_t(0, 0.55, 5), p.inverse_gamma(1.62, 0.45)),
        p.Priors(p.student_t(0.1, 0.4, 3), p.inverse_gamma(1.2, 0.3)),
    ),
]
POINTS = np.random.default_rng(9).normal(size=(10, 2))
TOLERANCE = 1e-12  # relative: one log density, rewritten by PyTensor in two ways
MCSE_BOUND = 5  # as everywhere: a normal deviate exceeds it once in 1.7 million
C_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)


def _call(sampler: Any, point: np.ndarray, size: int = 2) -> tuple[int, float, np.ndarray]:
    """Return code, log density and gradient, as nutpie gets them."""
    gradient, logp = np.full(size, np.nan), np.full(1, np.nan)
    arrays = (np.array(point, dtype=float), gradient, logp, sampler.user_data)
    function = C_FUNCTION(sampler.compiled_logp_func.address)
    return function(size, *(array.ctypes.data for array in arrays)), float(logp[0]), gradient


@pytest.mark.parametrize(("first", "then"), STRUCTURES, ids=str)
def test_log_density_and_gradient_are_those_of_pymc_after_the_data_are_swapped(first: p.Priors, then: p.Priors) -> None:
    build = load("normal_normal").build
    compiled = compiling.compile_sampler(build(PAIR, first))
    assert isinstance(compiled, compiling._PackedModel)
    swapped = compiled.with_data(**sampling._inputs(load("normal_normal"), TRIO, then))
    for sampler, model in ((compiled, build(PAIR, first)), (swapped, build(TRIO, then))):
        names = [value.name for value in model.value_vars]
        logp, dlogp = model.compile_logp(), model.compile_dlogp()
        for point in POINTS:
            named = dict(zip(names, point, strict=True))
            code, found, gradient = _call(sampler, point)
            assert code == 0
            assert found == pytest.approx(float(logp(named)), rel=TOLERANCE, abs=TOLERANCE)
            np.testing.assert_allclose(gradient, dlogp(named), rtol=TOLERANCE, atol=TOLERANCE)


def test_points_without_a_finite_density_are_reported() -> None:
    sampler = compiling.compile_sampler(load("normal_normal").build(PAIR, STRUCTURES[0][0]))
    assert _call(sampler, np.array([np.nan, 0.0]))[0] == 3  # no gradient
    assert _call(sampler.with_data(tau_scale=-1.0), np.zeros(2))[0] == 4  # a density of zero
    assert _call(sampler, np.zeros(2), size=3)[0] == -1


def test_data_of_different_lengths_or_names_are_refused() -> None:
    sampler = compiling.compile_sampler(load("normal_normal").build(PAIR, STRUCTURES[0][0]))
    with pytest.raises(ValueError, match="one value a study; got lengths yi 3, sei 2"):
        sampler.with_data(yi=TRIO.yi)
    with pytest.raises(ValueError, match="data must be among tau_scale, yi, sei; got mu_sd"):
        sampler.with_data(mu_sd=1.0)


@pytest.mark.parametrize("form", ["centred", "non-centred"])
def test_parameters_of_studies_travel_in_the_vector_too(form: str) -> None:
    priors, build = STRUCTURES[1][0], load("normal_normal").build
    compiled = compiling.compile_sampler(build(PAIR, priors, parameterisation=form))
    assert isinstance(compiled, compiling._PackedModel)
    other = EffectSizes("ab", TRIO.yi[:2], TRIO.sei[:2], "SMD")
    swapped = compiled.with_data(**sampling._inputs(load("normal_normal"), other, STRUCTURES[1][1]))
    for sampler, effects, its in ((compiled, PAIR, priors), (swapped, other, STRUCTURES[1][1])):
        model = build(effects, its, parameterisation=form)
        logp, dlogp = model.compile_logp(), model.compile_dlogp()
        for point in np.random.default_rng(2).normal(size=(5, 4)):
            named = {v.name: x for v, x in zip(model.value_vars, (point[0], point[1], point[2:]), strict=True)}
            code, found, gradient = _call(sampler, point, size=4)
            assert code == 0
            assert found == pytest.approx(float(logp(named)), rel=TOLERANCE, abs=TOLERANCE)
            np.testing.assert_allclose(gradient, dlogp(named), rtol=TOLERANCE, atol=TOLERANCE)


def test_a_model_compiled_for_two_studies_takes_no_third() -> None:
    model = load("normal_normal").build(PAIR, STRUCTURES[0][0], parameterisation="centred")
    with pytest.raises(ValueError, match=r"yi must have the shape \(2,\) it was compiled with; got \(3,\)"):
        compiling.compile_sampler(model).with_data(yi=TRIO.yi, sei=TRIO.sei)


@pytest.mark.slow
def test_another_series_of_nutpie_compiles_by_its_own_means(monkeypatch: pytest.MonkeyPatch) -> None:
    priors = STRUCTURES[1][0]
    packed = pymc_fit("normal_normal", TRIO, priors, seed=4)
    monkeypatch.setattr(sampling, "_compiled", {})
    monkeypatch.setattr(compiling, "NUTPIE_SERIES", "0.0.")
    own = pymc_fit("normal_normal", TRIO, priors, seed=4)
    (compiled,) = sampling._compiled.values()
    assert not isinstance(compiled.sampler, compiling._PackedModel)
    tables = [diagnose(fit).set_index("variable") for fit in (packed, own)]
    for name in ("mu", "tau"):
        error = np.hypot(*(table.loc[name, "mcse_median"] for table in tables))
        assert abs(getattr(packed, name).point - getattr(own, name).point) <= MCSE_BOUND * error
