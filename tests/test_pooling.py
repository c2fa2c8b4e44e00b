"""Pooling as RevMan does it: against metafor, an independent plain implementation, and its own properties."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from reference_data import load_reference
from scipy.stats import chi2, norm

from bayespip.effects import effect_sizes
from bayespip.frequentist.fit import frequentist_fit
from bayespip.frequentist.mantel_haenszel import CONVENTIONS
from bayespip.frequentist.pooling import pool, study_effects, subgroup_test
from bayespip.measures import MEASURES, Measure
from bayespip.settings import Settings

# The bar of the issue, against metafor 5.0-1 (the reference holds 15 digits).
REFERENCE_TOLERANCE = 1e-8
# Two orders of summation of at most ten studies.
ROUNDING = 1e-10

BINARY_DATASETS = (
    "bcg_rr", "bcg_rd", "bcg_rr_2study", "crins2014_ar", "crins2014_ar_randomized", "crins2014_srr", "goralczyk2011_ar",
    "sidikjonkman2007", "peto1980", "nielweise2007",
)  # fmt: skip


def settings(data_type="dichotomous", method="MH", model="fixed", **more):
    return Settings(data_type=data_type, method=method, model=model, **more)


def counts(*rows):
    frame = pd.DataFrame(rows, columns=["event_e", "n_e", "event_c", "n_c"], dtype=float)
    return frame.assign(study=[f"S{i}" for i in range(len(frame))])


def means(*rows):
    frame = pd.DataFrame(rows, columns=["mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c"], dtype=float)
    return frame.assign(study=[f"S{i}" for i in range(len(frame))])


# Against metafor -----------------------------------------------------------------------------------------------------


def reference_table(dataset):
    table = dataset["table"]
    return counts(*zip(table["ai"], table["n1i"], table["ci"], table["n2i"], strict=True))


def test_every_binary_data_set_of_the_reference_is_compared():
    datasets = load_reference()["datasets"]
    assert {name for name, dataset in datasets.items() if "binary" in dataset} == set(BINARY_DATASETS)


@pytest.mark.parametrize("name", BINARY_DATASETS)
@pytest.mark.parametrize(("key", "measure"), [("MH_OR", "OR"), ("MH_RR", "RR"), ("MH_RD", "RD"), ("Peto", "PETO")])
def test_mantel_haenszel_and_peto_are_metafors(name, key, measure):
    """rma.mh and rma.peto; rma.mh's sums have no 0.5 and its variance of a risk difference is Sato's."""
    dataset = load_reference()["datasets"][name]
    reference, table = dataset["binary"][key], reference_table(dataset)
    fit = pool(table, settings(method="Peto" if key == "Peto" else "MH"), MEASURES[measure], convention="metafor")
    q = fit.q
    if reference["k.yi"] < fit.k:
        # metafor leaves studies without events out of the Q of risk differences too (drop00), RevMan does not.
        informative = (table["event_e"] + table["event_c"] > 0).to_numpy()
        assert informative.sum() == reference["k.yi"]
        q = (((fit.effects.yi - fit.estimate) / fit.effects.sei) ** 2)[informative].sum()
    ours = [fit.estimate, fit.se, fit.z, fit.p, fit.lower, fit.upper, q]
    theirs = [reference[x] for x in ("beta", "se", "zval", "pval", "ci.lb", "ci.ub", "QE")]
    assert_allclose(ours, theirs, rtol=REFERENCE_TOLERANCE)
    if q == fit.q:
        assert_allclose([fit.p_q, 100 * fit.i2], [reference["QEp"], reference["I2"]], rtol=REFERENCE_TOLERANCE)


def test_a_convention_differs_only_where_a_cell_is_empty():
    full, empty = [(3, 20, 5, 22), (7, 31, 2, 30)], [(0, 20, 5, 22), (7, 31, 2, 30)]
    for measure in ("OR", "RR", "RD"):
        for rows, alike in ((full, True), (empty, False)):
            other = "meta" if measure == "RD" else "raw"
            fits = [pool(counts(*rows), settings(), MEASURES[measure], convention=c) for c in ("revman5", other)]
            assert (fits[0].estimate == fits[1].estimate) is alike
            assert (fits[0].se == fits[1].se) is alike


# An independent implementation, study by study, from the formulas as Deeks & Higgins (2010) print them ---------------


# Of one 2x2 table: effect, variance, the two terms of its Mantel-Haenszel estimate, those of its variance.


def plain_peto(a, b, c, d):
    n1, n2, n = a + b, c + d, a + b + c + d
    # Z = a - n1 (a + c)/N; V = n1 n2 (a + c)(b + d) / (N^2 (N - 1)); ln OR = Z/V.
    variance = n1 * n2 * (a + c) * (b + d) / (n**2 * (n - 1))
    return (a - n1 * (a + c) / n) / variance, 1 / variance, 0, 0, (0,)


def plain_or(a, b, c, d):
    n = a + b + c + d
    # E, F + G, H of Robins, Breslow & Greenland.
    parts = (a + d) * a * d / n**2, ((a + d) * b * c + (b + c) * a * d) / n**2, (b + c) * b * c / n**2
    return math.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d, a * d / n, b * c / n, parts


def plain_rr(a, b, c, d):
    n1, n2, n = a + b, c + d, a + b + c + d
    part = (n1 * n2 * (a + c) - a * c * n) / n**2
    return math.log((a / n1) / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2, a * n2 / n, c * n1 / n, (part,)


def plain_rd(a, b, c, d, half):
    """With 0.5 in the study's variance alone."""
    n1, n2, n = a + b, c + d, a + b + c + d
    difference = a / n1 - c / n2
    part = (a * b * n2**3 + c * d * n1**3) / (n1 * n2 * n**2)
    # where no study has a variance without 0.5
    m1, m2 = n1 + 2 * half, n2 + 2 * half
    corrected = (a + half) * (b + half) * m2**3 + (c + half) * (d + half) * m1**3
    corrected /= m1 * m2 * (m1 + m2) ** 2
    variance = (a + half) * (b + half) / (n1 + 2 * half) ** 3 + (c + half) * (d + half) / (n2 + 2 * half) ** 3
    return difference, variance, difference * n1 * n2 / n, n1 * n2 / n, (part, corrected)


PLAIN = {"OR": plain_or, "RR": plain_rr, "PETO": plain_peto}
PLAIN_MH = {
    "OR": lambda r, s, e, fg, h: (math.log(r / s), 0.5 * (e / r**2 + fg / (r * s) + h / s**2)),
    "RR": lambda r, s, part: (math.log(r / s), part / (r * s)),
    "RD": lambda j, k, part, corrected: (j / k, (part or corrected) / k**2),
}


def plain_average(y, v):
    total = math.fsum(1 / s for s in v)
    return math.fsum(t / s for t, s in zip(y, v, strict=True)) / total, 1 / total


def plain(rows, measure, method, model):
    """Estimate, variance, tau2, Q with 0.5 as RevMan has it; rows of event_e, n_e, event_c, n_c."""
    found = []
    for e, m, f, n in rows:
        if measure != "RD" and e + f in (0, m + n):
            continue
        half = 0.5 if 0 in (e, m - e, f, n - f) and method != "Peto" else 0.0
        if measure == "RD":
            found.append(plain_rd(e, m - e, f, n - f, half))
        else:
            found.append(PLAIN[measure](e + half, m - e + half, f + half, n - f + half))
    if not found:
        return None
    y, v, top, bottom, parts = zip(*found, strict=True)
    fixed, variance = plain_average(y, v)
    if method == "MH":
        fixed, variance = PLAIN_MH[measure](
            math.fsum(top), math.fsum(bottom), *map(math.fsum, zip(*parts, strict=True))
        )
    q = math.fsum((t - fixed) ** 2 / s for t, s in zip(y, v, strict=True))
    if model == "fixed":
        return fixed, variance, 0.0, q
    w1, w2 = math.fsum(1 / s for s in v), math.fsum(1 / s**2 for s in v)
    tau2 = max(0.0, (q - len(y) + 1) / (w1 - w2 / w1)) if len(y) > 1 else 0.0
    return *plain_average(y, [s + tau2 for s in v]), tau2, q


arm = st.integers(1, 60).flatmap(lambda n: st.tuples(st.one_of(st.just(0), st.just(n), st.integers(0, n)), st.just(n)))
tables = st.lists(st.tuples(arm, arm).map(lambda pair: (*pair[0], *pair[1])), min_size=1, max_size=8)


@pytest.mark.parametrize("model", ["fixed", "random"])
@pytest.mark.parametrize(
    ("measure", "method"),
    [("OR", "MH"), ("RR", "MH"), ("RD", "MH"), ("OR", "IV"), ("RR", "IV"), ("RD", "IV"), ("PETO", "Peto")],
)
@examples(max_examples=40)
@given(rows=tables)
def test_dichotomous_pooling_is_that_of_the_plain_formulas(rows, measure, method, model):
    fit = pool(counts(*rows), settings(method=method, model=model), MEASURES[measure])
    expected = plain(rows, measure, method, model)
    assert (fit is None) == (expected is None)
    if fit is None:
        return
    estimate, variance, tau2, q = expected
    close = {"rtol": ROUNDING, "atol": ROUNDING}
    assert_allclose([fit.estimate, fit.se, fit.q], [estimate, math.sqrt(variance), q], **close)
    assert_allclose(np.nan_to_num(fit.tau2), tau2, **close)
    half = norm.ppf(0.975) * math.sqrt(variance)
    assert_allclose([fit.lower, fit.upper], [estimate - half, estimate + half], **close)
    assert_allclose(fit.p, 2 * norm.sf(abs(estimate) / math.sqrt(variance)), **close)
    assert_allclose(fit.weights.sum(), 1, **close)
    if fit.k > 1:
        assert_allclose(fit.p_q, chi2.sf(q, fit.k - 1), **close)
        assert_allclose(fit.i2, max(0, (q - fit.df) / q) if q > 0 else 0, **close)


@examples(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.floats(-9, 9), st.floats(0.3, 20)), min_size=1, max_size=6),
    model=st.sampled_from(["fixed", "random"]),
)
def test_observed_minus_expected_is_pooled_as_sums(rows, model):
    """Fixed: ln HR = sum(O - E)/sum(V) with variance 1/sum(V); chi-squared = sum V (y - pooled)^2."""
    o_e, v = np.array(rows).T
    table = pd.DataFrame({"study": [f"S{i}" for i in range(len(v))], "o_e": o_e, "variance": v})
    fit = pool(table, settings("O-E", "Peto", model), MEASURES["HR"])
    fixed = o_e.sum() / v.sum()
    q = (v * (o_e / v - fixed) ** 2).sum()
    assert_allclose(fit.q, q, rtol=ROUNDING, atol=ROUNDING)
    if model == "fixed":
        assert_allclose([fit.estimate, fit.se], [fixed, v.sum() ** -0.5], rtol=ROUNDING, atol=ROUNDING)
    elif fit.k > 1:
        tau2 = max(0, (q - fit.df) / (v.sum() - (v**2).sum() / v.sum()))
        w = 1 / (1 / v + tau2)
        assert_allclose([fit.tau2, fit.estimate], [tau2, (w * o_e / v).sum() / w.sum()], rtol=1e-8, atol=1e-8)


def test_continuous_and_generic_data_have_inverse_variance_weights():
    table = means((5, 4.7, 13, 6.5, 3.8, 13), (4.9, 1.71, 30, 6.1, 2.3, 50), (22.5, 3.44, 35, 24.9, 10.65, 35))
    for measure in ("MD", "SMD"):
        for model, tau2 in (("fixed", "common"), ("random", "DL")):
            fit = pool(table, settings("continuous", "IV", model), MEASURES[measure])
            expected = frequentist_fit(effect_sizes(table, measure), tau2, "Wald")
            assert_allclose(
                [fit.estimate, fit.lower, fit.upper, fit.z, fit.p, fit.tau2, fit.q, fit.p_q, fit.i2, *fit.weights],
                [
                    expected.mu.point, expected.mu.lower, expected.mu.upper, expected.statistic, expected.p_value,
                    expected.tau2, expected.q, expected.q_p, expected.i2, *expected.weights,
                ],
                rtol=ROUNDING, atol=ROUNDING,
            )  # fmt: skip
            given_effects = pd.DataFrame(
                {"study": fit.effects.study, "yi": fit.effects.yi, "sei": fit.effects.sei, "n_e": np.nan, "n_c": np.nan}
            )
            generic = pool(given_effects, settings("generic", "IV", model), Measure("GEN", "Effect", (), log=False))
            assert_allclose([generic.estimate, generic.se, generic.q], [fit.estimate, fit.se, fit.q], rtol=ROUNDING)


def test_other_estimators_and_intervals_are_those_of_the_frequentist_fit():
    table = counts((4, 119, 11, 119), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619))
    fit = pool(table, settings(method="IV", model="random", tau2="REML", ci="HKSJ"), MEASURES["RR"])
    expected = frequentist_fit(effect_sizes(table, "RR"), "REML", "HKSJ")
    assert (fit.estimate, fit.lower, fit.upper) == (expected.mu.point, expected.mu.lower, expected.mu.upper)
    assert (fit.tau2, fit.z, fit.p, fit.q) == (expected.tau2, expected.statistic, expected.p_value, expected.q)


# Properties ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
@examples(max_examples=40)
@given(row=st.tuples(arm, arm).map(lambda pair: (*pair[0], *pair[1])))
def test_one_study_pooled_is_that_study(measure, row):
    """With 0.5 in the sums as in the study: a forest plot of one study shows the same interval twice.

    Of risk differences that is so under the convention of R's meta.
    """
    fit = pool(counts(row), settings(), MEASURES[measure], convention="meta" if measure == "RD" else "revman5")
    if fit is not None:
        assert_allclose([fit.estimate, fit.se], [fit.effects.yi[0], fit.effects.sei[0]], rtol=ROUNDING, atol=ROUNDING)
        assert math.isnan(fit.p_q)
        assert math.isnan(fit.i2)


@examples(max_examples=25)
@given(rows=tables)
def test_swapping_events_is_exchanging_them_with_non_events(rows):
    table = counts(*rows)
    exchanged = table.assign(event_e=table["n_e"] - table["event_e"], event_c=table["n_c"] - table["event_c"])
    for measure, method in (("RR", "MH"), ("OR", "MH"), ("RD", "MH"), ("PETO", "Peto")):
        swapped = pool(table, settings(method=method, swap_events=True), MEASURES[measure])
        direct = pool(exchanged, settings(method=method), MEASURES[measure])
        assert (swapped is None) == (direct is None)
        if swapped is not None:
            assert (swapped.estimate, swapped.se, swapped.q) == (direct.estimate, direct.se, direct.q)
            if measure != "RR":
                unswapped = pool(table, settings(method=method), MEASURES[measure])
                assert_allclose(swapped.estimate, -unswapped.estimate, rtol=1e-9, atol=1e-9)


@examples(max_examples=30)
@given(rows=tables, model=st.sampled_from(["fixed", "random"]))
def test_the_order_of_the_studies_does_not_matter(rows, model):
    one, other = (pool(counts(*r), settings(model=model), MEASURES["RD"]) for r in (rows, rows[::-1]))
    assert_allclose([one.estimate, one.se, one.q], [other.estimate, other.se, other.q], rtol=1e-9, atol=1e-9)


def test_the_level_is_the_totals():
    fit = pool(counts((3, 20, 5, 22), (7, 31, 2, 30)), settings(level_total=0.9, level_study=0.99), MEASURES["OR"])
    assert_allclose(fit.upper - fit.estimate, norm.ppf(0.95) * fit.se)
    assert fit.level == 0.9


def test_subgroups_are_compared_by_their_results():
    """With inverse-variance weights and a fixed effect that is the partition of Q."""
    rows = [
        (5, 4.7, 13, 6.5, 3.8, 13),
        (4.9, 1.7, 30, 6.1, 2.3, 50),
        (22.5, 3.4, 35, 24.9, 10.6, 35),
        (3, 1, 9, 1, 1, 9),
    ]
    chosen = settings("continuous", "IV")
    total, *parts = (pool(means(*r), chosen, MEASURES["MD"]) for r in (rows, rows[:2], rows[2:]))
    test = subgroup_test(parts)
    assert_allclose(test.q, total.q - sum(p.q for p in parts), rtol=ROUNDING)
    assert test.df == 1
    assert_allclose([test.p, test.i2], [chi2.sf(test.q, 1), max(0, 1 - 1 / test.q)])
    assert subgroup_test(parts[:1]) is None


# What is not estimable -----------------------------------------------------------------------------------------------


def test_studies_that_are_not_estimable_are_named():
    table = counts((3, 20, 5, 22), (0, 20, 0, 22), (20, 20, 22, 22), (0, 0, 4, 20), (np.nan, 20, 1, 20), (9, 8, 1, 20))
    for measure, excluded in (("OR", "S1 S2 S3 S4 S5"), ("RD", "S3 S4 S5"), ("PETO", "S1 S2 S3 S4 S5")):
        fit = pool(table, settings(method="Peto" if measure == "PETO" else "MH"), MEASURES[measure])
        assert fit.excluded == tuple(excluded.split())
        with pytest.warns(UserWarning, match=f"not estimable, and excluded: {', '.join(fit.excluded)}"):
            effects = study_effects(table, settings(), MEASURES[measure])
        assert effects.study == fit.effects.study
        assert_allclose(effects.yi, fit.effects.yi)


def test_zeros_that_stand_for_missing_are_not_estimable():
    table = means((5, 1, 10, 4, 1, 10), (0, 0, 0, 0, 0, 0), (5, 0, 10, 4, 1, 10), (1, 1, 2, 1, 1, 1))
    assert pool(table, settings("continuous", "IV"), MEASURES["MD"]).excluded == ("S1", "S2")
    assert pool(table, settings("continuous", "IV"), MEASURES["SMD"]).excluded == ("S1", "S2", "S3")
    generic = pd.DataFrame({"study": ["a", "b", "c"], "yi": [0.1, 0.0, np.nan], "sei": [0.2, 0.0, 0.3]})
    assert pool(generic, settings("generic", "IV"), MEASURES["HR"]).excluded == ("b", "c")
    o_e = pd.DataFrame({"study": ["a", "b"], "o_e": [-1.0, 0.0], "variance": [2.0, 0.0]})
    assert pool(o_e, settings("O-E", "Peto"), MEASURES["HR"]).excluded == ("b",)


def test_nothing_estimable_is_none_and_an_error():
    table = counts((0, 20, 0, 22))
    assert pool(table, settings(), MEASURES["RR"]) is None
    with pytest.raises(ValueError, match="no study is estimable: S0"):
        study_effects(table, settings(), MEASURES["RR"])
    assert pool(table.iloc[:0], settings(), MEASURES["RR"]) is None


def test_a_risk_difference_with_an_empty_cell_is_the_plain_difference():
    """0.5 in the variance only: 0/20 against 1/20 is -0.05 [-0.18, 0.08]."""
    effects = study_effects(counts((0, 20, 1, 20)), settings(), MEASURES["RD"])
    assert effects.yi[0] == -0.05
    assert_allclose(effects.sei[0] ** 2, (0.5 * 20.5 + 1.5 * 19.5) / 21**3)
    limits = effects.yi[0] + norm.ppf([0.025, 0.975]) * effects.sei[0]
    assert [f"{x:.2f}" for x in limits] == ["-0.18", "0.08"]


@pytest.mark.parametrize(
    ("chosen", "measure", "message"),
    [
        (settings(model=None), "OR", "settings must have method and model; got 'MH' and None."),
        (settings(method="MH"), "PETO", "MH pools dichotomous data as OR, RR, RD; got dichotomous data, PETO."),
        (settings("other", "IV"), "OR", "data_type must be one of dichotomous, continuous, generic, O-E to be pooled"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(chosen, measure, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        pool(counts((3, 20, 5, 22)), chosen, MEASURES[measure])


def test_an_unknown_convention_is_refused():
    with pytest.raises(ValueError, match=re.escape(f"convention must be one of {', '.join(CONVENTIONS)}; got 'none'.")):
        pool(counts((3, 20, 5, 22)), settings(), MEASURES["OR"], convention="none")
