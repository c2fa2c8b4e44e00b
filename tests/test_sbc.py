"""Simulation-based calibration: uniform where the model is right, not uniform where it is wrong."""

import numpy as np
import pytest

from bayespip import priors as p
from bayespip.calibration import sbc, sbc_table
from bayespip.calibration.ranks import _pit
from bayespip.effects import EffectSizes
from bayespip.models import load

DESIGNS = {
    2: EffectSizes(["simulated 1", "simulated 2"], [0, 0], [0.2, 0.35], "SMD"),
    5: EffectSizes([f"simulated {i}" for i in range(5)], np.zeros(5), [0.1, 0.2, 0.3, 0.4, 0.8], "SMD"),
}
PRIORS = p.Priors(p.normal(0, 1), p.half_normal(0.5))


def test_the_place_of_a_true_value_is_uniform_also_with_ties() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.normal(size=(2000, 4, 99)), rng.integers(0, 3, size=(2000, 4, 99)).astype(float)):
        true = rng.permuted(values.reshape(2000, -1), axis=1)[:, 0]
        others = np.delete(values.reshape(2000, -1), 0, axis=1)
        places = _pit(others[:, None, :], true, rng)
        assert ((places > 0) & (places < 1)).all()
        assert abs(places.mean() - 0.5) < 5 / np.sqrt(12 * 2000)


def test_the_same_seed_gives_the_same_ranks() -> None:
    first, again = (sbc("normal_normal", DESIGNS[2], PRIORS, replicates=3, seed=4) for _ in range(2))
    assert first.identical(again)
    assert list(first["parameter"].values) == ["mu", "tau", "theta[simulated 1]", "theta[simulated 2]", "theta_new"]
    assert first.attrs["refused"] == 0


def test_the_exact_engine_is_calibrated() -> None:
    places = sbc("exact", DESIGNS[5], PRIORS, replicates=300, seed=7)
    assert sbc_table(places)["inside"].all()
    assert list(places["parameter"].values) == list(sbc("normal_normal", DESIGNS[5], PRIORS, replicates=1).parameter)
    with pytest.raises(ValueError, match="the exact engine takes no options; got parameterisation"):
        sbc("exact", DESIGNS[5], PRIORS, replicates=1, parameterisation="centred")


@pytest.mark.parametrize("name", ["exact", pytest.param("normal_normal", marks=pytest.mark.slow)])
def test_a_wrong_model_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("normal_normal")
    right = module.draw_data

    def too_spread(effects: EffectSizes, truth: dict, rng: np.random.Generator, **options: object) -> EffectSizes:
        wrong = EffectSizes(effects.study, effects.yi, 2 * effects.sei, effects.measure)
        drawn = right(wrong, truth, rng, **options)
        return EffectSizes(effects.study, drawn.yi, effects.sei, effects.measure)

    monkeypatch.setattr(module, "draw_data", too_spread)
    table = sbc_table(sbc(name, DESIGNS[5], PRIORS, replicates=200, seed=7))
    assert not table["inside"].all()


def test_an_improper_prior_cannot_be_drawn_from() -> None:
    with pytest.raises(ValueError, match="improper"):
        sbc("normal_normal", DESIGNS[2], p.Priors(p.flat(), p.half_normal(0.5)), replicates=1)
