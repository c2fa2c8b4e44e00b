"""Standard errors of trials by their size: those of the measures' own formulas, and large-sample limits."""

import math

import numpy as np
import pandas as pd
import pytest

from bayespip.effects import EffectSizes, effect_sizes
from bayespip.model_data.new_trials import PLANNED, TrialSize, TrialToCome, standard_error

EXACT = 1e-12  # relative: the same closed forms
ROUNDED = 1e-9  # relative: effects recovered from means that were computed from them


@pytest.mark.parametrize(("measure", "effect"), [("RR", 0.7), ("OR", 0.6), ("PETO", 0.6), ("RD", -0.1)])
def test_of_counts_it_is_that_of_a_trial_with_the_expected_counts(measure: str, effect: float) -> None:
    risk = {"RR": 0.28, "RD": 0.3}.get(measure, 0.4 * 0.6 / (0.6 + 0.4 * 0.6))
    table = pd.DataFrame({"study": ["a"], "event_e": [50 * risk], "n_e": [50], "event_c": [24.0], "n_c": [60]})
    expected = effect_sizes(table, measure)
    found = standard_error(measure, 50, 60, effect=effect, control_risk=0.4)
    assert found == pytest.approx(expected.sei[0], rel=EXACT)
    if measure in ("RR", "OR", "RD"):
        assert float(expected.measure.display(expected.yi)[0]) == pytest.approx(effect, rel=ROUNDED)


@pytest.mark.parametrize("smd", ["revman5", "metafor"])
def test_of_an_smd_it_is_that_of_a_trial_with_this_estimate(smd: str) -> None:
    found = standard_error("SMD", 20, 31, effect=0.4, smd=smd)
    shift = {"revman5": 1 - 3 / (4 * 51 - 9)}.get(smd, math.exp(math.lgamma(24.5) - math.lgamma(24)) / math.sqrt(24.5))
    row = {"study": ["a"], "mean_e": [0.4 / shift], "sd_e": [1.0], "n_e": [20]}
    expected = effect_sizes(pd.DataFrame(row | {"mean_c": [0.0], "sd_c": [1.0], "n_c": [31]}), "SMD", smd=smd)
    assert expected.yi[0] == pytest.approx(0.4, rel=ROUNDED)
    assert found == pytest.approx(expected.sei[0], rel=ROUNDED)


def test_known_values() -> None:
    assert standard_error("MD", 16, 25, effect=3.0, sd=2.0) == pytest.approx(2 * math.sqrt(1 / 16 + 1 / 25), rel=EXACT)
    # 1/a - 1/n in either arm of a log risk ratio
    assert standard_error("RR", 100, 100, effect=1.0, control_risk=0.2) == pytest.approx(
        math.sqrt(2 * (1 / 20 - 1 / 100)), rel=EXACT
    )
    assert standard_error("SMD", 1e8, 1e8, effect=0.0) == pytest.approx(math.sqrt(2e-8), rel=1e-6)


@pytest.mark.parametrize("measure", PLANNED)
def test_four_times_the_size_halves_it(measure: str) -> None:
    more = {"control_risk": 0.3} if measure in ("RR", "OR", "PETO", "RD") else {"sd": 2.0} if measure == "MD" else {}
    effect = 1.0 if measure in ("RR", "OR", "PETO") else 0.0
    one, four = (standard_error(measure, n, n, effect=effect, **more) for n in (2000, 8000))
    assert one / four == pytest.approx(2, rel=1e-3)  # N - 3.94 and N - 1 in the formulas of SMD and PETO


@pytest.mark.parametrize(
    ("measure", "sizes", "more", "message"),
    [
        ("HR", (50, 50), {"effect": 0.8}, "known for RR, OR, PETO, RD, MD, SMD; HR needs se_new"),
        ("RR", (50, 50), {"effect": 0.8}, "control_risk must be given for the standard error of a trial of RR"),
        ("RR", (50, 50), {"effect": 0.8, "control_risk": 1.0}, r"control_risk must lie in \(0, 1\); got 1.0"),
        ("RR", (50, 50), {"effect": 4.0, "control_risk": 0.5}, "RR 4 at 0.5 gives 2. Give another effect"),
        ("RR", (50, 50), {"effect": -1.0, "control_risk": 0.5}, "effect must be finite and between 0 and inf"),
        ("RR", (50, 50), {"effect": 0.8, "control_risk": 0.5, "sd": 1.0}, "sd has no meaning for RR"),
        ("SMD", (50, 50), {"effect": 0.2, "control_risk": 0.5}, "control_risk has no meaning for SMD"),
        ("SMD", (50, 50), {"effect": 0.2, "sd": 2.0}, "sd has no meaning for SMD"),
        ("SMD", (50, 50), {"effect": 0.2, "smd": "hedges"}, "smd must be one of revman5, metafor; got 'hedges'"),
        ("MD", (50, 50), {"effect": 0.2}, "sd, that within arms, must be given for MD"),
        ("SMD", (1, 50), {"effect": 0.2}, "n_e must be at least 2 and finite; got 1"),
        ("SMD", (50, math.inf), {"effect": 0.2}, "n_c must be at least 2 and finite; got inf"),
    ],
)
def test_what_is_missing_or_impossible_is_named(
    measure: str, sizes: tuple[float, float], more: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        standard_error(measure, *sizes, **more)


def test_a_size_plans_at_its_own_effect_or_the_one_at_hand() -> None:
    effects = EffectSizes(["a"], [0.1], [0.2], "SMD")
    own, other = TrialSize(40, 40, effect=0.8), TrialSize(40, 40)
    assert own.standard_error(effects.measure, 0.1) == standard_error("SMD", 40, 40, effect=0.8)
    assert other.standard_error(effects.measure, 0.1) == standard_error("SMD", 40, 40, effect=0.1)


def test_a_trial_to_come_has_the_face_of_its_studies() -> None:
    effects = EffectSizes(["a", "b", "c"], [0.1, 0.2, 0.3], [0.2, 0.3, 0.4], "SMD")
    data = TrialToCome(effects, 0.25)
    assert (data.study, data.k, data.measure.name) == (("a", "b", "c"), 3, "SMD")
    kept = data.take(np.array([0, 2]))
    assert (kept.study, kept.yi.tolist(), kept.sei.tolist(), kept.se_new) == (("a", "c"), [0.1, 0.3], [0.2, 0.4], 0.25)
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="se_new must be positive and finite"):
            TrialToCome(effects, bad)
