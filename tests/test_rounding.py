"""The polygon of pooled effects and standard errors that printed numbers leave open, and the range of Q."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

import bayespip as bp
from bayespip.published_only.rounding import printed_range
from bayespip.review import Printed, Reported

REVIEW = bp.load_review("pip")
PUBLISHED = {a.id: a.reported for a in REVIEW if a.reported is not None}
Z = stats.norm.ppf(0.975)
EDGE = 1e-9  # rounding error of the corners, of which the smallest polygon is 1e-3 wide


def limits(printed: Printed, reported: Reported) -> tuple[float, float]:
    low, high = (float(reported.measure.model(x)) for x in (printed.lower, printed.upper))
    return low, high


def agrees(reported: Reported, m: float, s: float, slack: float = 0.0) -> bool:
    """Whether (m, s) prints as the estimate and interval published; slack widens the rounding."""
    pairs = ((reported.estimate, m), (reported.ci_lower, m - Z * s), (reported.ci_upper, m + Z * s))
    boxes = [(*limits(printed, reported), value) for printed, value in pairs]
    return all(low - slack <= value <= high + slack for low, high, value in boxes)


def p_agrees(reported: Reported, m: float, s: float, slack: float = 0.0) -> bool:
    assert reported.p is not None
    p = 2 * stats.norm.sf(abs(m) / s)
    return bool(reported.p.lower * (1 - slack) <= p <= reported.p.upper * (1 + slack))


def uses_p(reported: Reported) -> bool:
    return any(text.startswith("p = ") for text in printed_range(reported, 1).used)


def naive(reported: Reported) -> tuple[float, float]:
    """The point that treats the printed numbers as exact."""
    e, low, high = (
        float(reported.measure.model(x.value)) for x in (reported.estimate, reported.ci_lower, reported.ci_upper)
    )
    return e, (high - low) / (2 * Z)


def test_all_19_published_results_have_a_polygon() -> None:
    assert len(PUBLISHED) == 19
    for reported in PUBLISHED.values():
        found = printed_range(reported, max((reported.k or 1) - 1, 0))
        assert len(found.vertices) >= 3
        assert agrees(reported, *found.centre)


def test_correlations_are_rounded_on_the_scale_of_fishers_z_and_sizes_of_any_unit_are_kept() -> None:
    correlation = Reported(measure="ZCOR", estimate="0.50", ci_lower="0.31", ci_upper="0.65")
    vertices = printed_range(correlation, 1).vertices
    assert all(agrees(correlation, m, s, EDGE) for m, s in vertices)
    assert vertices[:, 0].min() >= np.arctanh(0.495) - EDGE
    assert vertices[:, 0].max() <= np.arctanh(0.505) + EDGE
    # 1.00 may be anything up to 1, of which z is infinite: the limit binds on one side only.
    assert (
        len(printed_range(Reported(measure="ZCOR", estimate="0.99", ci_lower="0.90", ci_upper="1.00"), 1).vertices) >= 3
    )
    costs = Reported(measure="MD", estimate="2500000", ci_lower="1500000", ci_upper="3500000")
    assert agrees(costs, *printed_range(costs, 1).centre)


def test_the_naive_point_is_outside_for_10_of_the_13_risk_ratios() -> None:
    ratios = [r for r in PUBLISHED.values() if r.measure.name == "RR"]
    outside = [r for r in ratios if not agrees(r, *naive(r))]
    assert (len(ratios), len(outside)) == (13, 10)


def test_standard_error_of_p7() -> None:
    found = printed_range(PUBLISHED["P7"], 0)
    assert naive(PUBLISHED["P7"])[1] == pytest.approx(1.29, abs=0.005)
    assert found.vertices[:, 1].min() == pytest.approx(1.43, abs=0.005)
    assert found.vertices[:, 1].max() == pytest.approx(1.47, abs=0.005)


@pytest.mark.parametrize("key", PUBLISHED)
def test_corners_are_the_intersections_that_keep_every_rule(key: str) -> None:
    """Independent of the half-plane code: all pairs of boundaries, kept where all printed numbers agree."""
    reported = PUBLISHED[key]
    lines = []  # a m + b s = c
    pairs = ((reported.estimate, 0.0), (reported.ci_lower, -Z), (reported.ci_upper, Z))
    for printed, slope in pairs:
        lines += [(1.0, slope, limit) for limit in limits(printed, reported)]
    if uses_p(reported):
        assert reported.p is not None
        sign = np.sign(naive(reported)[0])
        cuts = [p for p in (reported.p.lower, reported.p.upper) if p > 0]
        lines += [(sign, -stats.norm.isf(p / 2), 0.0) for p in cuts]
    corners = []
    for (a, b, c), (d, e, f) in product(lines, lines):
        if abs(a * e - b * d) > EDGE:
            m, s = np.linalg.solve([[a, b], [d, e]], [c, f])
            kept = s > 0 and agrees(reported, m, s, EDGE)
            if kept and (not uses_p(reported) or p_agrees(reported, m, s, 1e-6)):
                corners.append((m, s))
    found = printed_range(reported, 1).vertices
    distance = np.linalg.norm(np.array(corners)[:, None] - found, axis=2)
    assert distance.min(axis=0).max() < EDGE  # every vertex is such an intersection
    assert distance.min(axis=1).max() < EDGE  # and none is missing


@pytest.mark.parametrize("key", PUBLISHED)
def test_the_centre_is_farther_from_the_boundary_than_any_point_of_a_grid(key: str) -> None:
    found = printed_range(PUBLISHED[key], 1)
    a, b = found.vertices, np.roll(found.vertices, -1, axis=0)
    normal = np.column_stack([a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]])
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)

    def clearance(points: np.ndarray) -> np.ndarray:
        return ((points[:, None] - a) * normal).sum(axis=2).min(axis=1)

    low, high = a.min(axis=0), a.max(axis=0)
    grid = np.array(list(product(*np.linspace(low, high, 60).T)))
    assert clearance(found.centre[None])[0] > 0
    assert clearance(found.centre[None])[0] >= clearance(grid).max() - EDGE


def test_p_of_q_limits_q_of_p5() -> None:
    """Q = 1.61 leaves 1.605 to 1.615, p = 0.205 leaves 1.603 to 1.610: together 1.605 to 1.610."""
    found = printed_range(PUBLISHED["P5"], 1)
    assert found.q is not None
    assert found.q == pytest.approx((1.605, stats.chi2.isf(0.2045, 1)), abs=1e-12)
    assert found.q[1] == pytest.approx(1.610, abs=5e-4)
    assert "p of Q = 0.205" in found.used
    assert "I2 = 38%" in found.used


def test_i2_limits_q() -> None:
    only = replace(PUBLISHED["P1"], q=None, p_q=None)
    found = printed_range(only, 1)
    assert found.q == pytest.approx((1 / (1 - 0.725), 1 / (1 - 0.735)))
    none = printed_range(replace(only, i2="0"), 1)
    assert none.q == pytest.approx((0.0, 1 / (1 - 0.005)))


def test_p_cuts_the_polygon() -> None:
    """P = 0.03 of P1 agrees with every corner left; P = 0.0002 of P5 too."""
    for key in ("P1", "P5"):
        reported = PUBLISHED[key]
        corners = printed_range(reported, 1).vertices
        assert uses_p(reported)
        assert all(p_agrees(reported, m, s, 1e-6) for m, s in corners)
    corners = printed_range(PUBLISHED["P1"], 1).vertices
    p = 2 * stats.norm.sf(corners[:, 0] / corners[:, 1])
    precise = replace(PUBLISHED["P1"], p=f"{p.mean():.6f}")
    cut = printed_range(precise, 1).vertices
    assert all(p_agrees(precise, m, s, 1e-9) for m, s in cut)
    assert np.ptp(cut[:, 0] / cut[:, 1]) < np.ptp(corners[:, 0] / corners[:, 1])


def test_contradictory_p_of_p10_is_set_aside_and_named() -> None:
    """It is printed as 0.000; the interval implies 0.007."""
    found = printed_range(PUBLISHED["P10"], 1)
    assert found.unused == ("p = 0.000 contradicts the interval and is not used",)
    without = printed_range(replace(PUBLISHED["P10"], p=None), 1)
    np.testing.assert_array_equal(found.vertices, without.vertices)
    assert 2 * stats.norm.sf(abs(found.centre[0]) / found.centre[1]) == pytest.approx(0.007, abs=2e-3)


def test_q_that_contradicts_the_rest_is_set_aside_and_named() -> None:
    found = printed_range(replace(PUBLISHED["P1"], i2="20"), 1)
    assert found.q == pytest.approx((3.705, 3.715))
    assert found.unused == ("I2 = 20% contradicts the other heterogeneity statistics and is not used",)


def test_one_study_has_no_q() -> None:
    assert printed_range(PUBLISHED["P1"], 0).q is None


def test_a_ratio_whose_limit_rounds_to_zero_is_open_below() -> None:
    """0.00 stands for 0 to 0.005: a lower limit that only the estimate and the upper one bound."""
    reported = Reported(measure="RR", estimate="0.10", ci_lower="0.01", ci_upper="2.0", k=2)
    found = printed_range(reported, 1)
    assert np.isfinite(found.vertices).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ci_lower": "63.70", "ci_upper": "1.25"}, r"reversed: 63\.70 to 1\.25"),
        ({"estimate": "0.5"}, r"estimate lies outside its interval: 0\.5 \(1\.25 to 63\.70\)"),
        ({"ci_lower": "-1.25"}, r"ci_lower must be positive for a ratio \(RR\); got -1\.25"),
        ({"p": "1.2"}, r"p must be between 0 and 1; got 1\.2"),
        (
            {"estimate": "20.0"},
            r"20\.0 \(1\.25 to 63\.70\): the interval is not symmetric .* on the log scale",
        ),
    ],
)
def test_impossible_numbers_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        printed_range(replace(PUBLISHED["P1"], **change), 1)
