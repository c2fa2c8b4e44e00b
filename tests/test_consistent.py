"""Every member of a family of consistent study data gives back what was published."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import bayespip as bp
from bayespip.frequentist.batches import frequentist_batch
from bayespip.published_only.bounds import sample
from bayespip.published_only.consistent import Family, Points, consistent_studies
from bayespip.published_only.trials import control_trials, largest_arm
from bayespip.review import Printed, Reported

REVIEW = bp.load_review("pip")
PUBLISHED = {a.id: a.reported for a in REVIEW if a.reported is not None}
TRIALS, _ = control_trials(REVIEW.studies)
LARGEST_ARM = largest_arm(REVIEW.studies)
CASES = [(key, k) for key, r in PUBLISHED.items() for k in ((r.k,) if r.k else (1, 2))]
# The family keeps m and s at the rounding limits themselves, where the last bit decides.
EDGE = 1e-9
# m, s, Q and tau2 are recovered to rounding error, amplified where variances differ 20-fold.
RECOVERED = 1e-9


@cache
def family(key: str, k: int, *, sized: bool = True, pooling: str = "IV") -> Family:
    sizes = {"trials": TRIALS, "largest_arm": LARGEST_ARM} if sized else {}
    return consistent_studies(PUBLISHED[key], k=k, pooling=pooling, **sizes)


def prints_as(printed: Printed, shown: np.ndarray) -> bool:
    slack = EDGE * np.abs(shown).max()
    return bool(((shown >= printed.lower - slack) & (shown <= printed.upper + slack)).all())


def assert_gives_back(found: Family, points: Points, *, q: bool = True) -> None:
    """The members, pooled by this package's own DerSimonian-Laird, print as published."""
    data = found.members(points)
    fit = frequentist_batch(data.yi, data.vi, "DL", "Wald", level=found.reported.level)
    reported, display = found.reported, found.measure.display
    assert prints_as(reported.estimate, display(fit.mu))
    assert prints_as(reported.ci_lower, display(fit.lower))
    assert prints_as(reported.ci_upper, display(fit.upper))
    scale = RECOVERED * (1 + np.abs(data.yi).max())
    np.testing.assert_allclose(fit.mu, points.m, atol=scale)
    np.testing.assert_allclose(fit.se, points.s, rtol=RECOVERED)
    if found.k > 1 and q:
        np.testing.assert_allclose(fit.q, points.q, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(fit.tau2, data.tau2, rtol=1e-7, atol=scale)


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(("key", "k"), CASES)
def test_members_give_back_the_published_numbers(key: str, k: int, sized: bool) -> None:
    found = family(key, k, sized=sized)
    for at_vertices in (True, False):
        points, data = sample(found, at_vertices=at_vertices, seed=3, size=2**13)
        assert len(points.m) > 0
        assert found.feasible(points, data).all()
        assert_gives_back(found, points)


@pytest.mark.parametrize(("key", "k"), CASES)
def test_the_illustration_gives_back_the_published_numbers(key: str, k: int) -> None:
    found = family(key, k)
    member = found.illustration()
    fit = frequentist_batch(member.yi, member.vi, "DL", "Wald")
    display = found.measure.display
    for printed, value in zip(
        (found.reported.estimate, found.reported.ci_lower, found.reported.ci_upper),
        (fit.mu, fit.lower, fit.upper),
        strict=True,
    ):
        assert prints_as(printed, display(value))
    assert all("consistent-with-reported" in label for label in member.study)
    np.testing.assert_allclose(member.vi, member.vi[0])


@given(
    shown=st.tuples(st.sampled_from(["RR", "SMD"]), st.integers(2, 4)),
    m=st.floats(-2.5, 2.5),
    s=st.floats(0.05, 1.5),
    k=st.integers(1, 6),
    q=st.one_of(st.none(), st.floats(0.0, 30.0)),
)
def test_members_of_any_result_give_back_its_numbers(
    shown: tuple[str, int], m: float, s: float, k: int, q: float | None
) -> None:
    measure, digits = shown
    display = bp.MEASURES[measure].display
    texts = [f"{float(display(x)):.{digits}f}" for x in (m, m - 1.96 * s, m + 1.96 * s)]
    if measure == "RR" and float(texts[1]) == 0:
        return
    printed_q = {"q": f"{q:.2f}"} if q is not None and k > 1 else {}
    estimate, lower, upper = texts
    reported = Reported(measure=measure, estimate=estimate, ci_lower=lower, ci_upper=upper, k=k, **printed_q)
    found = consistent_studies(reported)
    points, _ = sample(found, at_vertices=True, seed=1, size=64)
    assert_gives_back(found, points)


def reference_k2(m: float, s: float, rho: float, q: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The closed form for two studies as it stands in the design of this analysis, Q <= 1 and Q > 1 apart."""
    if q <= 1:
        v2, tau2 = s**2 * (1 + 1 / rho), 0.0
    else:
        a = rho + (q - 1) * (1 + rho) / 2
        b = 1 + (q - 1) * (1 + rho) / 2
        v2 = s**2 * (a + b) / (a * b)
        tau2 = (q - 1) * (rho * v2 + v2) / 2
    v = np.array([rho * v2, v2])
    d = np.sqrt(q * v.sum())
    omega = 1 / (v + tau2) / (1 / (v + tau2)).sum()
    return np.array([m - omega[1] * d, m + omega[0] * d]), v, tau2


@pytest.mark.parametrize(("rho", "q"), [*product([0.05, 0.4, 1.0, 7.0], [0.0, 0.3, 1.0, 1.01, 3.7, 10.0])])
def test_two_studies_have_a_closed_form(rho: float, q: float) -> None:
    one = np.ones(1)
    direction = np.array([[-1.0, 1.0]])
    no_design = np.zeros(1, dtype=np.intp)
    points = Points(0.3 * one, 0.7 * one, np.log(rho) * one[:, None], q * one, direction, one, no_design)
    data = family("P2", 2).members(points)
    yi, vi, tau2 = reference_k2(0.3, 0.7, rho, q)
    np.testing.assert_allclose(data.vi[0], vi, rtol=1e-12)
    np.testing.assert_allclose(data.yi[0], yi, rtol=1e-12, atol=1e-12)
    assert data.tau2[0] == pytest.approx(tau2, rel=1e-12, abs=1e-15)


def test_both_halves_of_the_ratio_are_reflections_not_relabellings() -> None:
    points, _ = sample(family("P2", 2, sized=False), at_vertices=False, seed=1, size=64)
    mirrored = points._replace(log_ratio=-points.log_ratio, direction=-points.direction[:, ::-1])
    one, other = (family("P2", 2).members(p) for p in (points, mirrored))
    np.testing.assert_allclose(other.vi, one.vi[:, ::-1])
    np.testing.assert_allclose(other.yi, 2 * points.m[:, None] - one.yi[:, ::-1], atol=1e-12)


def test_tau_of_p1_lies_between_1_21_and_1_26_for_every_ratio() -> None:
    """So the printed tau2 of 3.71 repeats the chi-squared and cannot be right."""
    found = consistent_studies(PUBLISHED["P1"], largest_ratio=1e6)
    points, data = sample(found, at_vertices=True, seed=1, size=2**14)
    assert np.ptp(points.log_ratio) > 1.99 * np.log(1e6)
    tau = np.sqrt(data.tau2)
    assert (tau.min(), tau.max()) == pytest.approx((1.21, 1.26), abs=0.005)
    assert (data.tau2.min(), data.tau2.max()) == pytest.approx((1.47, 1.58), abs=0.005)


def test_mantel_haenszel_members_keep_tau2_and_lie_closer() -> None:
    """RevMan takes Q about the Mantel-Haenszel mean, and tau2 = (Q - (k-1)) / C of that Q.

    A member then has the published m and s under weights 1 / (v + tau2) with this tau2. Its own
    inverse-variance Q is smaller, by the square of the factor on its distances; so this package's
    DerSimonian-Laird, which knows no 2x2 tables, gives back the printed numbers only where that factor is 1.
    """
    found = family("P1", 2, pooling="MH")
    points, data = sample(found, at_vertices=True, seed=2, size=2**12)
    w = 1 / (data.vi + data.tau2[:, None])
    total = w.sum(axis=1)
    np.testing.assert_allclose((w * data.yi).sum(axis=1) / total, points.m, atol=1e-12)
    np.testing.assert_allclose(total**-0.5, points.s, rtol=1e-12)
    assert points.shrink.min() == pytest.approx(0.78, abs=0.01)
    assert points.shrink.max() == pytest.approx(1.0, abs=0.01)
    fit = frequentist_batch(data.yi, data.vi, "DL", "Wald")
    np.testing.assert_allclose(fit.q, points.shrink**2 * points.q, rtol=1e-9)
    iv = 1 / data.vi
    c = iv.sum(axis=1) - (iv**2).sum(axis=1) / iv.sum(axis=1)
    np.testing.assert_allclose(data.tau2, np.maximum(points.q - 1, 0) / c, rtol=1e-9, atol=1e-12)
    exact = points._replace(shrink=np.ones_like(points.shrink))
    assert_gives_back(found, exact)


def test_one_study_is_the_published_result_itself() -> None:
    for key in ("P7", "P17"):
        found = family(key, 1)
        member = found.illustration()
        assert member.yi[0] == found.printed.centre[0]
        assert member.sei[0] == pytest.approx(found.printed.centre[1], rel=1e-15)
        assert found.q == (0.0, 0.0)


def test_q_where_nothing_was_published() -> None:
    found = family("P2", 2)
    assert found.q == (0.0, pytest.approx(stats.chi2.isf(0.001, 1)))
    assert any("99.9% point of chi-squared on 1 df" in a for a in found.assumptions)
    assert consistent_studies(PUBLISHED["P2"], q_tail=0.1).q[1] == pytest.approx(2.7055, abs=1e-4)


def test_assumptions_say_what_was_used_and_what_was_not() -> None:
    text = "; ".join(family("P10", 2).assumptions)
    for part in (
        "pooled by inverse variance and DerSimonian-Laird, Q about the inverse-variance mean",
        "k = 2 (stated in the paper)",
        "p = 0.000 contradicts the interval and is not used",
        "at most 20",
        "no arm larger than 88",
    ):
        assert part in text
    assert "k = 2 (inferred: same two trials as P1)" in family("P2", 2).assumptions
    assert "k = 1 (assumed)" in family("P7", 1).assumptions
    sized = "; ".join(family("P18", 4).assumptions)
    assert "any 4 of 6 trials" in sized
    assert "add up to the printed n = 356, within 2%" in sized
    assert "the cluster-randomised Sleed 2013 times 1 to 2" in sized


def test_no_feasible_member_raises_with_the_assumptions() -> None:
    """Two studies of equal weight cannot give P7 with a variance below 8/3 if Q is next to zero."""
    impossible = replace(PUBLISHED["P7"], k=2, q="0.00")
    found = consistent_studies(impossible, largest_arm=88)
    with pytest.raises(ValueError, match=r"0\.09 \(0\.01 to 1\.56\): .*k = 2.*no arm larger than 88"):
        sample(found, at_vertices=True, seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": None}, "pass k, the number of studies"),
        ({"k": 0}, "pass k, the number of studies"),
        ({"largest_ratio": 1.0}, r"largest_ratio must be above 1; got 1\.0"),
        ({"q_tail": 1.5}, r"q_tail must lie in \(0, 1\); got 1\.5"),
        ({"pooling": "Peto"}, "pooling must be one of IV, MH; got 'Peto'"),
        ({"largest_arm": 0.5}, r"largest_arm must be at least 1 participant; got 0\.5"),
    ],
)
def test_arguments_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        consistent_studies(PUBLISHED["P7"], **{"k": 2, **change})
