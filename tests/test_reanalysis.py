"""The main job: the table is complete, its numbers are the engines' own, nothing published is altered."""

import math

import numpy as np
import pandas as pd
import pytest
from reanalyses import IDS, TWO, published, sampled, study_data

import bayespip as bp
from bayespip import priors
from bayespip.published_only.consistent import consistent_studies
from bayespip.reanalysis.comparison import COLUMNS
from bayespip.reanalysis.job import EXACT, SAMPLED

REQUIRED = (
    *("analysis", "outcome", "timepoint", "measure", "k", "basis", "method", "prior", "parameter"),
    *(f"{edge}{end}" for edge in ("point", "lower", "upper") for end in ("", "_min", "_max")),
    *("level", "prob_favours", "point_model", "lower_model", "upper_model"),
)
METHODS = ["common, Wald", "DL, Wald", "REML, HKSJ", "REML, HKSJ floored"]
EDGES = ("point", "lower", "upper")
ROUNDING = 1e-9  # of sums and roots, relative
SAME = 1e-12  # the same arithmetic, one study at a time or in a batch
TO_A_HUNDREDTH = 0.015  # design/reported_only.md prints two decimals of a prototype without limits on the 2x2 tables


@pytest.fixture(scope="module")
def table():
    return published().table


def rows(table, analysis, method, parameter="mu", **more):
    chosen = table[(table["analysis"] == analysis) & (table["method"] == method) & (table["parameter"] == parameter)]
    for column, value in more.items():
        chosen = chosen[chosen[column] == value]
    return chosen


def row(*args, **more):
    (found,) = (r for _, r in rows(*args, **more).iterrows())
    return found


def test_the_columns_are_all_there_in_order(table):
    assert list(table.columns) == COLUMNS
    assert set(REQUIRED) <= set(COLUMNS)


def test_rows_come_in_the_reviews_order_published_first(table):
    assert list(dict.fromkeys(table["analysis"])) == list(IDS)
    for analysis, of in table.groupby("analysis", sort=False):
        assert of["method"].iloc[0] == "published"
        if analysis == "N9":
            continue
        for _, case in of.iloc[1:].groupby("k"):
            methods = list(dict.fromkeys(zip(case["method"], case["prior"], strict=True)))
            assert methods == [*((m, "") for m in METHODS), *((EXACT, p.label) for p in TWO)]
            assert len(case) == 3 * len(methods)


def test_published_results_stand_as_printed(table):
    review = bp.load_review("pip")
    for analysis in ("P1", "P2", "P7", "P13"):
        reported, found = review[analysis].reported, row(table, analysis, "published")
        printed = [reported.estimate, reported.ci_lower, reported.ci_upper]
        assert [found[e] for e in EDGES] == [float(str(x)) for x in printed]
        assert (found["basis"], found["value_of"]) == ("published", "as printed")


def test_outcomes_without_numbers_are_shown_and_never_filled_in(table):
    found = row(table, "N9", "published")
    assert found["value_of"] == "not published"
    assert found["note"].startswith("not published; read the review's own data file")
    assert pd.isna(found["k"])
    assert found[list(EDGES)].isna().all()


def test_nothing_computed_from_printed_numbers_is_called_study_data(table):
    computed = table[table["method"] != "published"]
    assert set(computed["basis"]) == {"consistent-with-reported"}
    assert set(computed[computed["method"] == EXACT]["value_of"]) == {"conditional posterior"}
    assert set(computed[computed["method"] != EXACT]["value_of"]) == {"equal-variance member"}


def test_an_unstated_number_of_studies_is_fitted_as_one_and_as_two(table):
    assert sorted(set(table[table["analysis"] == "P7"]["k"].dropna())) == [1, 2]
    assert rows(table, "P2", EXACT)["k_source"].str.startswith("inferred").all()


@pytest.mark.parametrize("analysis", ["P1", "P2", "P7", "P13"])
def test_dersimonian_and_laird_give_back_the_printed_numbers_in_every_member(table, analysis):
    """So the bounds of that row are the rounding of the printed numbers, and nothing else."""
    reported = bp.load_review("pip")[analysis].reported
    for _, found in rows(table, analysis, "DL, Wald").iterrows():
        for edge, printed in zip(EDGES, (reported.estimate, reported.ci_lower, reported.ci_upper), strict=True):
            low, high = found[f"{edge}_min"], found[f"{edge}_max"]
            slack = ROUNDING * abs(printed.upper)
            assert printed.lower - slack <= low <= found[edge] <= high <= printed.upper + slack


def test_the_tau_of_p1_is_tight_whatever_the_variances(table):
    """design/reported_only.md: with Q printed DerSimonian-Laird's tau lies between 1.21 and 1.26."""
    tau = row(table, "P1", "DL, Wald", "tau")
    assert round(tau["point_min"], 2) >= 1.21
    assert round(tau["point_max"], 2) <= 1.26


def test_the_conditional_posterior_of_p2_is_the_prototypes(table):
    found = row(table, "P2", EXACT, prior="weak")
    assert [found[e] for e in EDGES] == pytest.approx([0.49, 0.19, 1.26], abs=TO_A_HUNDREDTH)


def test_bounds_enclose_the_values(table):
    """A conditional limit lies between the members' limits, as every quantile of a mixture does.

    The equal-variance member, from which frequentist values come, need not keep the limits from the trials'
    sizes: under k = 2 that of P7 has variances above 8/3, which no 2x2 table has. So P7 is left out there.
    """
    computed = table[table["method"] != "published"]
    computed = computed[(computed["method"] == EXACT) | (computed["analysis"] != "P7")]
    for edge in EDGES:
        value, low, high = (computed[f"{edge}{end}_model"] for end in ("", "_min", "_max"))
        given = value.notna() & low.notna()
        slack = ROUNDING * (1 + value.abs())
        assert given.sum() > 30
        assert ((low - slack <= value) & (value <= high + slack))[given].all()


def test_bounds_enclose_a_member(table):
    family = consistent_studies(bp.load_review("pip")["P2"].reported, largest_arm=88)
    fit, bound = bp.exact_fit(family.illustration(), TWO[0]), row(table, "P2", EXACT, prior="weak")
    for edge in EDGES:
        assert bound[f"{edge}_min_model"] < getattr(fit.mu, edge) < bound[f"{edge}_max_model"]


def test_ratios_are_shown_as_ratios_and_tau_as_it_is(table):
    computed = table[table["method"] != "published"]
    for edge in EDGES:
        for end in ("", "_min", "_max"):
            shown, model = computed[f"{edge}{end}"], computed[f"{edge}{end}_model"]
            ratio = (computed["measure"] == "RR") & (computed["parameter"] != "tau")
            np.testing.assert_allclose(shown[ratio], np.exp(model[ratio]), rtol=SAME)
            np.testing.assert_array_equal(shown[~ratio], model[~ratio])


def test_probabilities_follow_the_favoured_direction_and_none_is_invented(table):
    for analysis, side in (("P1", "above"), ("P2", "below"), ("P7", "below")):
        for _, found in rows(table, analysis, EXACT).iterrows():
            assert found["prob_favours"] == found[f"prob_{side}_null"]
            assert found["prob_above_null"] + found["prob_below_null"] == pytest.approx(1, abs=SAME)
            assert found["prob_favours_min"] <= found["prob_favours"] <= found["prob_favours_max"]
    unstated = rows(table, "P13", EXACT)
    assert set(unstated["favours"]) == {"not stated"}
    assert unstated[["prob_favours", "prob_favours_min", "prob_favours_max"]].isna().all(axis=None)
    assert unstated[["prob_above_null", "prob_below_null"]].notna().all(axis=None)


def test_claims_are_judged_on_every_row_of_mu(table):
    assert set(rows(table, "P13", EXACT)["holds"]) == {"no claim"}
    assert row(table, "P1", "DL, Wald")["holds"] == "in all members"
    assert row(table, "P1", "REML, HKSJ floored")["holds"] == "in no member"
    assert row(table, "P1", EXACT, prior="weak")["holds"] == "in all members"


def test_without_bounds_a_claim_is_judged_on_the_value():
    result = bp.reanalyse(bp.load_review("pip"), TWO, analyses=["P2"], with_bounds=False, with_pymc=False)
    assert result.table.filter(regex="_(min|max)").isna().all(axis=None)
    assert row(result.table, "P2", "DL, Wald")["holds"] == "yes"
    assert set(rows(result.table, "P2", EXACT)["holds"]) == {"no"}


def test_the_same_seed_gives_the_same_table():
    review = bp.load_review("pip")
    one, two = (bp.reanalyse(review, TWO[:1], analyses=["P2"], with_pymc=False, seed=7).table for _ in range(2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_an_analysis_is_the_same_alone_as_among_others(table):
    alone = bp.reanalyse(bp.load_review("pip"), TWO, analyses=["P2"], with_pymc=False).table
    among = table[table["analysis"] == "P2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)


def test_default_priors_are_those_of_the_measure_and_of_the_reviews_topics():
    result = bp.reanalyse(bp.load_review("pip"), analyses=["P2", "P14"], with_bounds=False, with_pymc=False)
    weak = {"RR": "tau HN(0.5), mu N(0, 2.82²)", "SMD": "tau HN(0.276), mu N(0, 1.55²)"}
    for analysis, measure in (("P2", "RR"), ("P14", "SMD")):
        labels = list(rows(result.table, analysis, EXACT)["prior"])
        assert len(labels) == len(set(labels)) == 14
        assert weak[measure] in labels
        assert {"tau Bartos CMD, mu Bartos CMD", "tau Bartos DPLP, mu Bartos DPLP"} <= set(labels)
    assert set(result.priors["measure"]) == {"RR", "SMD"}
    assert (result.priors["source"].ne("") | result.priors["density"].eq("flat")).all()


def test_study_data_give_the_engines_own_numbers():
    result, analysis = study_data(), bp.load_review("bcg")["1.1"]
    effects = bp.effect_sizes(analysis.studies, "RR")
    assert set(result.table["basis"]) == {"study data"}
    assert (result.table["k"] == 13).all()
    for name, tau2, ci in zip(
        METHODS, ("common", "DL", "REML", "REML"), ("Wald",) * 2 + ("HKSJ", "HKSJ-floored"), strict=True
    ):
        check(result.table, name, bp.frequentist_fit(effects, tau2, ci))
    for label, on_tau in (
        ("tau HN(0.5), mu N(0, 2.82²)", priors.half_normal(0.5)),
        ("tau HC(0.5), mu N(0, 2.82²)", priors.half_cauchy(0.5)),
    ):
        fit = bp.exact_fit(effects, bp.Priors(priors.normal(0, 2.82), on_tau))
        check(result.table, EXACT, fit, prior=label)
        assert row(result.table, "1.1", EXACT, prior=label)["prob_above_null"] == pytest.approx(
            fit.prob_positive, abs=SAME
        )


def check(table, method, fit, **more):
    for parameter in ("mu", "tau", "theta_new"):
        found, estimate = row(table, "1.1", method, parameter, **more), getattr(fit, parameter)
        expected = [estimate.point, estimate.lower, estimate.upper]
        assert [found[f"{e}_model"] for e in EDGES] == pytest.approx(expected, rel=SAME, abs=SAME, nan_ok=True)


def test_study_data_have_no_bounds_and_no_assumptions():
    result = study_data()
    assert result.table.filter(regex="_(min|max)").isna().all(axis=None)
    assert result.assumptions.empty


def test_assumptions_name_how_results_were_pooled():
    said = published().assumptions
    assert set(said["analysis"]) == {"P1", "P2", "P7", "P13"}
    assert said["assumption"].str.contains("Q about the inverse-variance mean").sum() == 5  # P7 twice
    other = bp.reanalyse(
        bp.load_review("pip"), TWO[:1], analyses=["P2"], pooling="MH", with_bounds=False, with_pymc=False
    )
    assert other.assumptions["assumption"].str.contains("Q about the Mantel-Haenszel mean").sum() == 1
    assert other.settings["pooling"] == "MH"


def test_the_level_is_that_of_every_computed_interval():
    result = bp.reanalyse(bp.load_review("bcg"), TWO[:1], level=0.8, with_pymc=False)
    assert set(result.table["level"]) == {0.8}
    fit = bp.exact_fit(bp.effect_sizes(bp.load_review("bcg")["1.1"].studies, "RR"), TWO[0], level=0.8)
    assert row(result.table, "1.1", EXACT)["upper_model"] == pytest.approx(fit.mu.upper, abs=SAME)


def test_progress_is_reported_from_nothing_to_all():
    seen = []
    bp.reanalyse(bp.load_review("bcg"), TWO[:1], with_pymc=False, progress=lambda *step: seen.append(step))
    stages = ("posteriors", "tipping points")  # no bounds: there are study data
    assert seen == [(stage, done, 1) for stage in stages for done in (0, 1)]


def test_an_improper_posterior_is_refused_and_the_analysis_named():
    improper = bp.Priors(priors.flat(), priors.uniform(0, math.inf))
    with pytest.raises(ValueError, match=r"P2: the posterior under .* is improper for k = 2"):
        bp.reanalyse(bp.load_review("pip"), [improper], analyses=["P2"], with_pymc=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"analyses": ["P1", "P99"]}, r"analyses must be among P1, P2, .*N10; got 'P99'\."),
        ({"analyses": []}, "analyses must be among .*; got none"),
        ({"analyses": ["N1", "N2"]}, "nothing to pool in pip: neither .* for N1, N2"),
        ({"analyses": ["P1"], "pooling": "Peto"}, "pip P1: pooling must be one of IV, MH; got 'Peto'"),
        ({"level": 95}, r"level must lie in \(0, 1\); got 95"),
        ({"analyses": ["P1"], "priors": []}, "priors must be at least one"),
        ({"analyses": ["P1"], "priors": [TWO[0], TWO[0]]}, "with different names; got weak, weak"),
        ({"analyses": ["P1"], "topics": ["Dentistry"]}, "topics must be among .*; got 'Dentistry'"),
    ],
)
def test_bad_arguments_are_named_with_the_choices(options, message):
    with pytest.raises(ValueError, match=message):
        bp.reanalyse(bp.load_review("pip"), **options)


@pytest.mark.slow
def test_both_engines_agree_and_are_counted():
    result = sampled()
    assert result.checks["agrees"].all()
    assert (result.checks["deviation_mcse"] <= 5).all()
    assert (result.checks["rhat_max"] <= 1.01).all()
    assert (result.checks["ess_min"] >= 400).all()
    assert (result.checks["divergences"] == 0).all()
    for label in ("weak", "wide"):
        exact, drawn = (row(result.table, "1.1", m, prior=label) for m in (EXACT, SAMPLED))
        assert drawn["point"] == pytest.approx(exact["point"], abs=0.1 * (exact["upper"] - exact["lower"]))


@pytest.mark.slow
def test_a_tree_holds_every_prior_as_a_dimension():
    result = sampled()
    (tree,) = result.trees.values()
    assert list(tree["posterior"]["prior"].values) == ["weak", "wide"]
    assert tree["posterior"].sizes["study"] == 8
    assert tree.attrs["basis"] == "study data"


def test_the_members_that_attain_the_bounds_give_the_bounds_and_the_published_result():
    result = published()
    members = result.extremes
    assert set(members["basis"]) == {"consistent-with-reported"}
    lower = members[(members["analysis"] == "P2") & (members["prior"] == "weak") & (members["quantity"] == "mu_lower")]
    shown = result.table[(result.table["analysis"] == "P2") & (result.table["prior"] == "weak")]
    row = shown[shown["parameter"] == "mu"].iloc[0]
    for end, name in (("lowest", "lower_min_model"), ("highest", "lower_max_model")):
        data = lower[lower["end"] == end]
        effects = bp.EffectSizes(data["study"].astype(str), data["yi"], data["sei"], "RR")
        assert bp.exact_fit(effects, TWO[0]).mu.lower == pytest.approx(row[name], abs=1e-3)
        pooled = bp.frequentist_fit(effects, "DL", "Wald").mu
        reported = bp.load_review("pip")["P2"].reported
        for printed, value in ((reported.estimate, pooled.point), (reported.ci_lower, pooled.lower)):
            assert printed.lower - 1e-9 <= math.exp(value) <= printed.upper + 1e-9
