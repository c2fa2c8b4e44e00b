"""How far a conclusion depends on bias: the grid against the exact engine, the tipping bias against its definition."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from bayespip import load_review
from bayespip import priors as p
from bayespip.effects import EffectSizes, effect_sizes
from bayespip.exact.fit import exact_fit
from bayespip.model_data.bias import BiasedEffects, DiscountedEffects
from bayespip.sensitivity import bias_sensitivity, tipping_bias

WEAK = p.Priors(p.normal(0, 2.82), p.half_normal(0.5))
# Simulated.
EFFECTS = EffectSizes(["a", "b", "c", "d"], [0.5, 0.62, 0.4, 0.9], [0.2, 0.15, 0.1, 0.3], "SMD")
HIGH = np.array([True, False, False, True])
NEARLY_COMMON = p.half_normal(1e-9)
# A quantile of mu is sensitive to 1e-12 in the bias; the quantile itself is that exact.
CROSSING = 1e-10


def _bcg() -> tuple[EffectSizes, np.ndarray]:
    table = load_review("bcg")["1.1"].studies
    return effect_sizes(table, "RR"), (table["allocation"] != "random").to_numpy()


def test_every_setting_is_a_row_of_the_exact_engine() -> None:
    effects, high = _bcg()
    table = bias_sensitivity(
        effects, high, WEAK, bias_means=[-0.3, 0, 0.3], bias_sds=[0, 0.2], a0s=[0, 0.5, 1], favours="lower", level=0.9
    )
    assert table["model"].tolist() == ["normal_normal"] + ["bias_adjusted"] * 6 + ["power_prior"] * 3
    assert table["towards"].tolist() == [
        "",
        *["experimental arm"] * 2,
        *["neither arm"] * 2,
        *["control arm"] * 2,
        *[""] * 3,
    ]
    assert table["k"].tolist() == [13] * 7 + [7, 13, 13]
    for _, row in table.iterrows():
        if row["model"] == "bias_adjusted":
            data = BiasedEffects(effects, high, row["bias_mean"], row["bias_sd"], favours="lower").adjusted
            assert np.isnan(row["a0"])
        elif row["model"] == "power_prior":
            data = DiscountedEffects(effects, high, row["a0"]).adjusted
            assert np.isnan(row["bias_mean"])
        else:
            data = effects
        fit = exact_fit(data, WEAK, level=0.9)
        assert (row["point_model"], row["lower_model"]) == (fit.mu.point, fit.mu.lower)
        assert row["upper"] == pytest.approx(math.exp(fit.mu.upper), rel=1e-15)
        assert row["prob_positive"] == fit.prob_positive
        assert row["excludes_no_effect"] == (fit.mu.upper < 0)
    as_published, unbiased, counted_whole = (table.iloc[i]["point_model"] for i in (0, 3, 9))
    assert as_published == unbiased == counted_whole


def test_where_all_trials_are_at_high_risk_the_bias_shifts_mu() -> None:
    shifted = bias_sensitivity(
        EFFECTS, [True] * 4, p.Priors(p.flat(), WEAK.tau), bias_means=[0.25], bias_sds=[0], a0s=[], favours="higher"
    )
    assert shifted["point"].iloc[0] - shifted["point"].iloc[1] == pytest.approx(0.25, abs=1e-12)


def test_the_grid_has_no_default() -> None:
    for missing in ("bias_means", "bias_sds", "a0s", "favours"):
        given = {"bias_means": [0], "bias_sds": [0], "a0s": [1], "favours": "higher"}
        del given[missing]
        with pytest.raises(TypeError, match=missing):
            bias_sensitivity(EFFECTS, HIGH, WEAK, **given)
    with pytest.raises(TypeError, match="bias_sd"):
        tipping_bias(EFFECTS, HIGH, WEAK, favours="higher")


def test_one_trial_must_be_at_high_risk() -> None:
    with pytest.raises(ValueError, match="high_risk must mark at least one study; it marks none of a, b, c, d"):
        tipping_bias(EFFECTS, [False] * 4, WEAK, bias_sd=0, favours="higher")
    with pytest.raises(ValueError, match="high_risk must mark at least one study"):
        bias_sensitivity(EFFECTS, [False] * 4, WEAK, bias_means=[0], bias_sds=[0], a0s=[1], favours="higher")


@pytest.mark.parametrize("bias_sd", [0.0, 0.3])
def test_under_a_common_effect_the_tipping_bias_is_a_closed_form(bias_sd: float) -> None:
    priors = p.Priors(p.flat(), NEARLY_COMMON)
    found = tipping_bias(EFFECTS, HIGH, priors, bias_sd=bias_sd, favours="higher")
    w = 1 / (EFFECTS.vi + np.where(HIGH, bias_sd**2, 0))
    # mean - 1.96 / sqrt(sum w) = 0
    expected = ((w * EFFECTS.yi).sum() - ndtri(0.975) * np.sqrt(w.sum())) / w[HIGH].sum()
    assert found.bias_mean == pytest.approx(expected, abs=1e-7)  # tau is not quite zero
    assert found.answer == "tips"


@pytest.mark.parametrize(("claim", "level"), [("interval", 0.95), ("interval", 0.8), (0.9, 0.95)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bias_sd", [0, 0.2])
def test_at_the_tipping_bias_the_claim_is_just_lost(
    claim: str | float, level: float, sign: int, bias_sd: float
) -> None:
    effects = EffectSizes(EFFECTS.study, sign * EFFECTS.yi, EFFECTS.sei, "SMD")
    found = tipping_bias(effects, HIGH, WEAK, bias_sd=bias_sd, favours="higher", claim=claim, level=level)
    assert found.answer == "tips"
    assert math.copysign(1, found.bias_mean) == sign
    assert found.side == ("above" if sign > 0 else "below")
    adjusted = BiasedEffects(effects, HIGH, found.bias_mean, bias_sd, favours="higher").adjusted
    fit = exact_fit(adjusted, WEAK, level=level)
    near_null = fit.mu.lower if sign > 0 else -fit.mu.upper
    if claim == "interval":
        assert abs(near_null) < CROSSING
    else:
        assert (fit.prob_positive if sign > 0 else 1 - fit.prob_positive) == pytest.approx(0.9, abs=CROSSING)
    assert (found.interval_at.lower, found.interval_at.upper) == (fit.mu.lower, fit.mu.upper)
    # held all the way to it
    for share in np.linspace(0, 0.999, 20):
        half_way = BiasedEffects(effects, HIGH, share * found.bias_mean, bias_sd, favours="higher").adjusted
        p_side = exact_fit(half_way, WEAK).mu.prob_greater(0.0)
        p_side = p_side if sign > 0 else 1 - p_side
        assert p_side > (0.9 if claim != "interval" else (1 + level) / 2)


def test_it_is_said_in_words() -> None:
    effects, high = _bcg()
    found = tipping_bias(effects, high, WEAK, bias_sd=0.2, favours="lower")
    ratio = f"{math.exp(found.bias_mean):.3g}"
    assert str(found) == (
        f"lost once trials at high risk have a mean bias of {found.bias_mean:+.3g}, a ratio of {ratio}, towards the "
        "experimental arm (SD 0.2)"
    )
    assert "towards the control arm" in str(tipping_bias(effects, high, WEAK, bias_sd=0.2, favours="higher"))


def test_a_claim_that_does_not_hold_has_no_tipping_bias() -> None:
    found = tipping_bias(EFFECTS, HIGH, WEAK, bias_sd=0, favours="higher", claim=0.999999)
    assert (found.answer, found.bias_mean) == ("always", 0)
    assert math.isnan(found.interval_at.point)
    assert str(found) == "does not hold even if trials at high risk have a mean bias of 0"


def test_a_claim_that_no_bias_removes() -> None:
    # one trial, whose bias has so large an SD that it says nothing however far it is shifted
    effects = EffectSizes(["a", "b", "c"], [0.5, 0.6, 0.4], [0.05, 0.05, 0.05], "SMD")
    found = tipping_bias(effects, [True, False, False], p.Priors(p.normal(0, 2), p.half_normal(0.05)), bias_sd=1e4,
                         favours="higher", claim=0.6)  # fmt: skip
    assert found.answer == "never"
    assert found.bias_mean == math.inf
    assert (
        str(found)
        == "holds whatever mean bias up to +1e+06 towards the experimental arm (SD 1e+04) trials at high risk have"
    )
