"""Sizes of the trials of the bundled review, and which sampling variances arms of given sizes can have."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

import bayespip as bp
from bayespip.frequentist.batches import frequentist_batch
from bayespip.published_only.bounds import bounds, sample
from bayespip.published_only.consistent import consistent_studies
from bayespip.published_only.trials import control_trials, largest_arm
from bayespip.published_only.variances import TrialSizes, trial_sizes, two_by_two
from bayespip.reanalysis.quantities import QUANTITIES

REVIEW = bp.load_review("pip")
TRIALS, ASSUMED = control_trials(REVIEW.studies)
FIVE_NAMED = TRIALS[TRIALS["study"] != "Cicchetti 2006"]
ROUNDING = 1e-12
Z = 1.959963984540054


def test_trials_of_the_comparison_with_control() -> None:
    sizes = TRIALS.set_index("study")[["n_e", "n_c"]]
    assert sizes.loc["Cooper 2003"].tolist() == [50, 52]  # of four arms the first and the last
    assert sizes.loc["Lieberman 1991"].tolist() == [34, 25]
    assert sizes.loc["Salomonsson 2011"].tolist() == [40, 40]
    assert sizes.loc["Sleed 2013"].tolist() == [88, 75]
    assert sizes.loc["Cicchetti 1999"].tolist() == [66, 64]
    assert sizes.loc["Cicchetti 2006"].tolist() == [137 / 3, 137 / 3]
    assert TRIALS.loc[TRIALS["cluster_randomised"], "study"].tolist() == ["Sleed 2013"]
    assert ASSUMED == ("arm sizes of Cicchetti 2006 are not published: 3 equal shares of its 137 randomised",)


def test_largest_arm_of_the_review() -> None:
    assert largest_arm(REVIEW.studies) == 88


def all_tables(largest: int) -> pd.DataFrame:
    """Every 2x2 table with arms up to that size of which a risk ratio can be computed."""
    rows = [
        (a, n_e, c, n_c)
        for n_e, n_c in product(range(1, largest + 1), repeat=2)
        for a, c in product(range(n_e + 1), range(n_c + 1))
        if 0 < a + c < n_e + n_c
    ]
    table = pd.DataFrame(rows, columns=["event_e", "n_e", "event_c", "n_c"])
    return table.assign(study=[str(i) for i in range(len(table))])


def test_variances_of_all_small_tables_keep_the_limits() -> None:
    largest = 11
    effects = bp.effect_sizes(all_tables(largest), "RR")
    limits = two_by_two(largest)
    yi, vi = effects.yi[:, None], effects.vi[:, None]
    low, high = limits.between(yi, np.zeros(len(yi), dtype=np.intp))
    assert len(yi) > 5_000
    assert (vi >= low * (1 - ROUNDING)).all()
    assert (vi <= high).all()
    # both are approached: a full arm beside an empty one of 11; one event in large arms
    assert (vi[low > 0] / low[low > 0]).min() < 1.05
    table = pd.DataFrame({"study": ["a"], "event_e": [0], "n_e": [1000], "event_c": [1], "n_c": [1000]})
    assert bp.effect_sizes(table, "RR").vi[0] > 0.999 * 8 / 3


def test_single_tables_with_no_event_under_pip_give_p7() -> None:
    """So P7 can be one trial: 89 tables with arms of up to 88 print it, 92 with arms of up to 89.

    The design of this analysis counts 93 and does not say among which arms.
    """
    reported = REVIEW["P7"].reported
    assert reported is not None
    printed = (reported.estimate, reported.ci_lower, reported.ci_upper)

    def prints(yi: np.ndarray, vi: np.ndarray) -> np.ndarray:
        shown = [np.exp(yi + z * np.sqrt(vi)) for z in (0.0, -Z, Z)]
        return np.all([(x >= p.lower) & (x < p.upper) for x, p in zip(shown, printed, strict=True)], axis=0)

    n_e, n_c, c = (x.ravel() for x in np.meshgrid(*[np.arange(1, 89)] * 3))
    y = np.log(0.5 / (n_e + 1)) - np.log((c + 0.5) / (n_c + 1))
    same = prints(y, 2 - 1 / (n_e + 1) + 1 / (c + 0.5) - 1 / (n_c + 1)) & (c <= n_c)
    assert same.sum() == 89
    arms = {"event_e": 0, "n_e": n_e[same], "event_c": c[same], "n_c": n_c[same]}
    effects = bp.effect_sizes(pd.DataFrame({"study": np.arange(89).astype(str), **arms}), "RR")
    assert prints(effects.yi, effects.vi).all()
    corners = consistent_studies(reported, k=1, largest_arm=88).printed.vertices
    inside = np.column_stack([effects.yi, effects.sei])
    assert (inside >= corners.min(axis=0)).all()
    assert (inside <= corners.max(axis=0)).all()


def limits_of(trials: pd.DataFrame, k: int, **change: object) -> TrialSizes:
    arguments = {"share": (0.5, 1.0), "cluster_factor": 2.0, "n": None, "n_tolerance": 0.02}
    return trial_sizes(trials, k, **{**arguments, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("g", [-0.9, 0.0, 0.4])
def test_variances_of_trials_are_those_of_standardised_mean_differences(g: float) -> None:
    """With everybody analysed the smallest variance is what RevMan computes from the arms."""
    for share in (1.0, 0.5):
        n_e, n_c = 34.0, 26.0
        trials = pd.DataFrame({"study": ["a"], "n_e": [n_e], "n_c": [n_c], "cluster_randomised": [True]})
        j = 1 - 3 / (4 * share * (n_e + n_c) - 9)
        arms = {"n_e": [share * n_e], "n_c": [share * n_c], "mean_c": [0.0], "sd_e": [1.0], "sd_c": [1.0]}
        effects = bp.effect_sizes(pd.DataFrame({"study": ["a"], "mean_e": [g / j], **arms}), "SMD")
        assert effects.yi[0] == pytest.approx(g, abs=1e-15)
        limits = limits_of(trials, 1)
        low, high = limits.between(effects.yi[None], np.zeros(1, dtype=np.intp))
        expected = low if share == 1 else high / 2  # the cluster trial's largest variance is twice that
        assert expected[0, 0] == pytest.approx(effects.vi[0], rel=1e-14)


def test_printed_n_limits_the_analysed_shares() -> None:
    trials = pd.DataFrame({"study": ["a", "b"], "n_e": [50.0] * 2, "n_c": [50.0] * 2})
    limits = limits_of(trials.assign(cluster_randomised=False), 2, n=150)
    design, yi = np.zeros(1, dtype=np.intp), np.full((1, 2), 0.3)

    def variances(*shares: float) -> np.ndarray:
        return np.array([[0.04 / s + 0.09 / (2 * (100 * s - 3.94)) for s in shares]])

    for shares, allowed in (
        ((0.75, 0.75), True),
        ((0.5, 1.0), True),
        ((0.9, 0.9), False),
        ((0.6, 0.6), False),
    ):
        assert limits.allow(yi, variances(*shares), design)[0] == allowed
    # 2% of 150 is 3 participants
    assert limits.allow(yi, variances(0.76, 0.769), design)[0]
    assert not limits.allow(yi, variances(0.76, 0.771), design)[0]


def test_every_subset_of_the_trials_is_a_design() -> None:
    limits = limits_of(TRIALS, 4)
    assert limits.designs == len(set(limits.names)) == 15


class CochranQ:
    """Cochran's Q in place of the first quantity: its bounds are the range of Q that a family allows."""

    name = "Q"

    def quantities(self, yi: np.ndarray, vi: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
        del tolerance
        out = np.full((len(yi), len(QUANTITIES)), np.nan)
        out[:, 0] = frequentist_batch(yi, vi, "DL", "Wald").q
        return out

    def chosen(self, yi: np.ndarray, vi: np.ndarray, which: np.ndarray) -> np.ndarray:
        return self.quantities(yi, vi)[np.arange(len(which)), which]


@pytest.mark.parametrize(("key", "low", "high", "slack"), [("P13", 9.0, 23.0, 0.5), ("P18", 3.3, 4.2, 0.2)])
def test_trial_sizes_fix_q(key: str, low: float, high: float, slack: float) -> None:
    """The figures are of the five trials the paper names, without a design effect for the cluster trial.

    For P18 the tolerance on the printed n = 356 matters and is not stated with them; ours is 2%.
    """
    family = consistent_studies(REVIEW[key].reported, trials=FIVE_NAMED, cluster_factor=1.0)
    found = bounds(family, [CochranQ()], steps=300)[0]
    assert (found.lowest[0], found.highest[0]) == pytest.approx((low, high), abs=slack)
    wider = consistent_studies(REVIEW[key].reported, trials=TRIALS)
    outer = bounds(wider, [CochranQ()], steps=300)[0]
    assert outer.lowest[0] <= found.lowest[0]


@pytest.mark.parametrize(("key", "k"), [("P13", 4), ("P15", 3), ("P17", 2), ("P18", 4)])
def test_the_box_that_is_sampled_holds_every_feasible_member(key: str, k: int) -> None:
    """Members are drawn from a box of variance ratios; a box as wide as the largest ratio finds no others."""
    from bayespip.published_only.bounds import ratio_box, root_q_range

    family = consistent_studies(REVIEW[key].reported, k=k, trials=TRIALS)
    points, _ = sample(family, at_vertices=True, seed=4, size=2**15)
    rng = np.random.default_rng(4)
    size = 400_000
    rows = rng.integers(len(points.m), size=size)
    low, high = ratio_box(family, points.design[rows])
    root_high = root_q_range(family, points.design[rows])[1]
    stretched = (low + high) / 2 + (high - low) * rng.uniform(-0.75, 0.75, size=(size, k - 1))
    wide = points.take(rows)._replace(
        log_ratio=stretched,
        q=(1.5 * root_high * rng.uniform(size=size)) ** 2,
        direction=rng.normal(size=(size, k)),
    )
    inside = family.feasible(wide, family.members(wide))
    outside_box = ((stretched < low) | (stretched > high)).any(axis=1) | (wide.q > root_high**2)
    assert inside.sum() > 50
    assert not (inside & outside_box).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"share": (0.0, 1.0)},
            r"analysed_share must satisfy 0 < smallest <= largest <= 1; got \(0\.0, 1\.0\)",
        ),
        ({"cluster_factor": 0.5}, r"cluster_factor is a design effect of at least 1; got 0\.5"),
    ],
)
def test_arguments_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        limits_of(TRIALS, 2, **change)


def test_tables_of_trials_are_checked() -> None:
    with pytest.raises(ValueError, match=r"trials needs the columns n_c; it has study, n_e, cluster_randomised"):
        limits_of(TRIALS.drop(columns="n_c"), 2)
    with pytest.raises(ValueError, match=r"trials has 6 rows, fewer than k = 7"):
        limits_of(TRIALS, 7)
    with pytest.raises(ValueError, match=r"largest_arm must be at least 1 participant; got nan"):
        two_by_two(float("nan"))
