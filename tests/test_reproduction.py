"""Reproducing what a file stores: the real files, and every kind of verdict."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from bayespip.frequentist.mantel_haenszel import CONVENTIONS
from bayespip.frequentist.pooling import pool, subgroup_test
from bayespip.measures import MEASURES
from bayespip.readers import read_review
from bayespip.reproduction import COLUMNS, QUANTITIES, SUBGROUP_TEST, reproduce, tally
from bayespip.review import Analysis, Review
from bayespip.settings import Settings, Subgroup

# Of each real file: results reproduced (totals and subgroups), totals among them, tests for subgroup differences.
REAL_FILES = {
    "cochrane/CD003188StatsDataOnly.rm5": (71, 19, 18),
    "cochrane/CD004976StatsDataOnly.rm5": (19, 19, 0),
    "cochrane/CD007868StatsDataOnly.rm5": (23, 21, 0),
    "Fleiss1993.rm5": (1, 1, 0),
    "Fleiss1993.zip": (1, 1, 0),
    "Fleiss1993_CR.csv": (2, 2, 0),
}


# The real files ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=REAL_FILES)
def real(request, shared_dir):
    review = read_review(shared_dir / "formats" / request.param)
    return request.param, review, reproduce(review)


def test_every_stored_result_of_the_real_files_is_reproduced(real):
    name, _, found = real
    results, totals, subgroup_tests = REAL_FILES[name]
    assert found[found["verdict"] == "differs"].empty
    assert str(tally(found)) == f"{results} of {results} results reproduced"
    reproduced = found[found["verdict"] == "reproduced"]
    assert ((reproduced["subgroup"] == "") & (reproduced["quantity"] == "effect")).sum() == totals
    assert (reproduced["quantity"] == "q").sum() == subgroup_tests


def test_the_bar_is_a_millionth(real):
    """Recomputed here from the numbers alone, so that the verdicts are not their own witness."""
    name, _, found = real
    reproduced = found[found["verdict"] == "reproduced"]
    digits = {".zip": 6, ".csv": 8}.get(name[-4:], 17)
    p = reproduced["quantity"].isin(["p", "p_chi2", "p_q"])
    relative = reproduced["stored"].abs().where(reproduced["stored"].abs() >= 1e-6, 1) * 1e-6
    bar = relative.where(~p, 1e-6).clip(lower=0.5 * 10.0**-digits)
    assert ((reproduced["recomputed"] - reproduced["stored"]).abs() <= bar).all()


def test_what_is_not_reproduced_has_a_reason(real):
    _, _, found = real
    assert ((found["reason"] == "") == (found["verdict"] == "reproduced")).all()
    assert set(found.loc[found["verdict"] == "not stored", "reason"]) <= {
        "the file does not store it",
        "one study has no heterogeneity, whatever the file holds",
        "the file holds zeros in place of a result: it was saved before one was computed",
    }


def test_results_stand_in_the_reviews_order_and_no_total_is_invented(real):
    _, review, found = real
    assert list(found["analysis"].unique()) == [i for i in review.ids if i in set(found["analysis"])]
    for analysis in review:
        effects = found[(found["analysis"] == analysis.id) & (found["quantity"] == "effect")]
        if analysis.settings.totals == "none":
            assert effects.empty
            continue
        total = [""] if analysis.settings.totals == "total" else []
        assert list(effects["subgroup"]) == total + [s.name for s in analysis.subgroups]


def test_the_three_forms_give_the_same_numbers(shared_dir):
    forms = [reproduce(read_review(shared_dir / "formats" / f"Fleiss1993{end}")) for end in (".rm5", ".zip", "_CR.csv")]
    first = [f[f["analysis"] == "1.1"].set_index("quantity")["recomputed"] for f in forms]
    for other in first[1:]:
        assert_allclose(other[list(QUANTITIES)], first[0][list(QUANTITIES)])


def test_weights_are_those_of_the_file(shared_dir):
    """RevMan stores each subgroup's share of the total, by Mantel-Haenszel weights or 1/(v + tau2)."""
    compared = 0
    for name in ("CD003188", "CD004976", "CD007868"):
        for analysis in read_review(shared_dir / "formats" / "cochrane" / f"{name}StatsDataOnly.rm5"):
            if analysis.settings.totals != "total" or not analysis.subgroups:
                continue
            rows = analysis.rows()
            fit = pool(rows, analysis.settings, analysis.measure)
            share = pd.Series(fit.weights, fit.effects.study)
            stored = analysis.stored[analysis.stored["quantity"] == "weight"].set_index("subgroup")["text"]
            for subgroup in analysis.subgroups:
                labels = rows.loc[rows["subgroup"] == subgroup.name, "study"]
                assert_allclose(100 * share.reindex(labels).sum(), float(stored[subgroup.name]), rtol=1e-9)
                compared += 1
    assert compared == 52


@pytest.mark.parametrize(("name", "missed"), [("CD003188", 32), ("CD004976", 8)])
def test_sums_of_raw_cells_would_miss_results(shared_dir, monkeypatch, name, missed):
    """The evidence that RevMan has 0.5 in the Mantel-Haenszel sums: without it, as in metafor, the files disagree."""
    monkeypatch.setattr("bayespip.reproduction.pool", lambda *rows, **_: pool(*rows, convention="raw"))
    found = tally(reproduce(read_review(shared_dir / "formats" / "cochrane" / f"{name}StatsDataOnly.rm5")))
    assert found.results - found.reproduced == missed


# Every verdict, on a review of our own -------------------------------------------------------------------------------

ROWS = pd.DataFrame(
    {
        "study": ["A", "B", "C", "D", "E", "F"],
        "subgroup": ["x", "x", "x", "y", "y", "y"],
        "in_total": True,
        "event_e": [3.0, 0, 12, 7, 1, 20], "n_e": [40.0, 25, 61, 33, 12, 52],
        "event_c": [9.0, 4, 18, 2, 1, 31], "n_c": [41.0, 22, 60, 30, 14, 50],
        "footnote": "",
    }
)  # fmt: skip
SUBGROUPS = (Subgroup(1, "x"), Subgroup(2, "y"))


def numbers(fit):
    values = fit.effects.measure.display([fit.estimate, fit.lower, fit.upper])
    values = (*values, abs(fit.z), fit.p, fit.tau2, fit.q, fit.df, 100 * fit.i2, fit.p_q)
    return {name: f"{value:.16g}" for name, value in zip(QUANTITIES, values, strict=True)}


def results(settings, measure, rows=ROWS, convention="revman5"):
    """As a file would store them: {subgroup: {quantity: text}}."""
    parts = {"": rows, "x": rows[rows["subgroup"] == "x"], "y": rows[rows["subgroup"] == "y"]}
    fits = {name: pool(part, settings, measure, convention=convention) for name, part in parts.items()}
    test = subgroup_test([fits["x"], fits["y"]])
    stored = {name: numbers(fit) for name, fit in fits.items()}
    stored[""] |= {"q": repr(test.q), "df_q": "1", "p_q": repr(test.p), "i2_q": repr(100 * test.i2)}
    return stored


def review(stored, settings, measure, rows=ROWS, subgroups=SUBGROUPS):
    texts = [(s, quantity, text) for s, texts in stored.items() for quantity, text in texts.items()]
    analysis = Analysis(
        id="1.1", comparison="c", outcome="o", timepoint="", measure=measure, studies=rows, settings=settings,
        subgroups=subgroups, stored=pd.DataFrame(texts, columns=["subgroup", "quantity", "text"]),
    )  # fmt: skip
    return Review(id="r", title="", doi="", provenance="", analyses=(analysis,))


def a_review(change=(), measure="OR", rows=ROWS, **chosen):
    settings = Settings(**{"data_type": "dichotomous", "method": "MH", "model": "random"} | chosen)
    stored = results(settings, MEASURES[measure], rows)
    for subgroup, quantity, text in change:
        stored[subgroup][quantity] = text
    return review(stored, settings, MEASURES[measure], rows)


def row_of(found, quantity, subgroup=""):
    return found[(found["quantity"] == quantity) & (found["subgroup"] == subgroup)].iloc[0]


def test_the_frame_is_tidy():
    found = reproduce(a_review())
    assert tuple(found.columns) == COLUMNS
    assert list(found["quantity"]) == [*QUANTITIES, *SUBGROUP_TEST, *QUANTITIES, *QUANTITIES]
    assert list(found["subgroup"]) == [""] * 14 + ["x"] * 10 + ["y"] * 10
    assert set(found["verdict"]) == {"reproduced"}
    assert (found["reason"] == "").all()
    assert_allclose(found["difference"], found["recomputed"] - found["stored"])
    assert found[["stored", "recomputed", "difference"]].dtypes.eq("float64").all()
    assert tally(found) == tally(found)
    assert str(tally(found)) == "3 of 3 results reproduced"


def test_ratios_are_on_the_display_scale_and_z_has_no_sign():
    found = reproduce(a_review())
    fit = pool(ROWS, Settings(data_type="dichotomous", method="MH", model="random"), MEASURES["OR"])
    assert fit.z < 0
    assert row_of(found, "effect")["recomputed"] == math.exp(fit.estimate)
    assert row_of(found, "z")["recomputed"] == -fit.z
    assert row_of(found, "i2")["recomputed"] == 100 * fit.i2


@pytest.mark.parametrize("quantity", ["effect", "lower", "upper", "z", "tau2", "chi2", "i2"])
@pytest.mark.parametrize(("factor", "verdict"), [(1 + 0.9e-6, "reproduced"), (1 - 1.1e-6, "differs")])
def test_a_value_may_differ_by_a_millionth_of_it(quantity, factor, verdict):
    value = float(row_of(reproduce(a_review()), quantity)["stored"])
    found = reproduce(a_review([("", quantity, repr(value * factor))]))
    assert row_of(found, quantity)["verdict"] == verdict
    assert (found["verdict"] == "differs").sum() == (verdict == "differs")
    assert tally(found).reproduced == 3 - (verdict == "differs")


@pytest.mark.parametrize("quantity", ["p", "p_chi2", "p_q"])
@pytest.mark.parametrize(("shift", "verdict"), [(0.9e-6, "reproduced"), (-1.1e-6, "differs")])
def test_a_p_value_may_differ_by_a_millionth(quantity, shift, verdict):
    value = float(row_of(reproduce(a_review()), quantity)["stored"])
    found = reproduce(a_review([("", quantity, repr(value + shift))]))
    assert row_of(found, quantity)["verdict"] == verdict


@pytest.mark.parametrize(("text", "verdict"), [("2e-30", "reproduced"), ("0.0", "reproduced"), ("2e-6", "differs")])
def test_rounding_noise_is_zero(text, verdict):
    found = reproduce(a_review([("x", "tau2", text)], model="fixed"))
    assert row_of(found, "tau2", "x")["verdict"] == verdict


def rounded(stored, digits):
    """As files of few digits write: trailing zeros cut."""
    return {
        s: {q: repr(round(float(t), digits)).removesuffix(".0") for q, t in texts.items()}
        for s, texts in stored.items()
    }


def test_a_short_form_is_good_to_half_a_unit_of_its_last_digit():
    settings = Settings(data_type="dichotomous", method="MH", model="random")
    stored = rounded(results(settings, MEASURES["OR"]), 4)
    found = reproduce(review(stored, settings, MEASURES["OR"]))
    assert set(found["verdict"]) == {"reproduced"}
    assert (found["difference"].abs() > 1e-6).any()
    one_more = f"{float(stored['']['effect']) + 1e-4:.4f}"
    shifted = reproduce(review({**stored, "": stored[""] | {"effect": one_more}}, settings, MEASURES["OR"]))
    assert row_of(shifted, "effect")["verdict"] == "differs"


def test_a_short_number_in_a_long_file_is_no_licence():
    """0.5 among numbers of 16 digits means 0.5000000000000000, not 0.45 to 0.55."""
    value = float(row_of(reproduce(a_review()), "effect")["stored"])
    assert row_of(reproduce(a_review([("", "effect", f"{value:.2f}")])), "effect")["verdict"] == "differs"


def test_what_the_file_lacks_is_recomputed_and_not_counted():
    settings = Settings(data_type="dichotomous", method="MH", model="random")
    found = reproduce(review({"": {"df": "5"}}, settings, MEASURES["OR"]))
    assert str(tally(found)) == "no stored results to reproduce"
    effect = row_of(found, "effect")
    assert (effect["verdict"], effect["reason"]) == ("not stored", "the file does not store it")
    assert np.isnan(effect["stored"])
    assert np.isfinite(effect["recomputed"])


def test_nan_and_words_are_not_stored():
    found = reproduce(a_review([("", "tau2", "NaN"), ("", "z", "n/a")]))
    assert {row_of(found, q)["verdict"] for q in ("tau2", "z")} == {"not stored"}
    assert tally(found).reproduced == 3


def test_an_interval_from_zero_to_zero_is_no_result():
    found = reproduce(a_review([("", q, "0") for q in (*QUANTITIES, *SUBGROUP_TEST)], measure="RD"))
    total = found[(found["subgroup"] == "") & found["quantity"].isin(QUANTITIES)]
    assert set(total["verdict"]) == {"not stored"}
    assert total["reason"].str.startswith("the file holds zeros in place of a result").all()


def test_one_study_has_no_heterogeneity():
    """RevMan stores I2 = 100 and P = 0 from a chi-squared of 2e-30 on no degrees of freedom."""
    rows = ROWS.iloc[[0, 3, 4, 5]].reset_index(drop=True)
    found = reproduce(a_review([("x", "chi2", "1.9e-30"), ("x", "i2", "100.0"), ("x", "p_chi2", "0.0")], rows=rows))
    assert row_of(found, "i2", "x")["verdict"] == "not stored"
    assert row_of(found, "i2", "x")["reason"] == "one study has no heterogeneity, whatever the file holds"
    assert row_of(found, "i2", "x")["stored"] == 100
    assert str(tally(found)) == "3 of 3 results reproduced"


def test_subgroups_without_a_total():
    found = reproduce(a_review(totals="subgroups", subgroup_test=False))
    assert set(found["subgroup"]) == {"x", "y"}
    assert str(tally(found)) == "2 of 2 results reproduced"
    tested = reproduce(a_review(totals="subgroups", subgroup_test=True))
    assert list(tested.loc[tested["subgroup"] == "", "quantity"]) == list(SUBGROUP_TEST)
    assert reproduce(a_review(totals="none")).empty


def test_what_is_not_estimable_is_not_counted_unless_file_and_data_disagree():
    rows = ROWS.assign(event_e=ROWS["event_e"].where(ROWS["subgroup"] == "y", 0))
    rows["event_c"] = rows["event_c"].where(rows["subgroup"] == "y", 0)
    settings = Settings(data_type="dichotomous", method="MH", model="random")
    y = rows[rows["subgroup"] == "y"]
    stored = {"": numbers(pool(rows, settings, MEASURES["OR"])), "y": numbers(pool(y, settings, MEASURES["OR"]))}
    agreed = reproduce(review({**stored, "x": {"estimable": "NO", "effect": "0.0"}}, settings, MEASURES["OR"], rows))
    assert row_of(agreed, "effect", "x")["verdict"] == "not stored"
    assert row_of(agreed, "effect", "x")["reason"] == "no study is estimable"
    assert str(tally(agreed)) == "2 of 2 results reproduced"
    claimed = reproduce(review({**stored, "x": {"effect": "0.7"}}, settings, MEASURES["OR"], rows))
    assert row_of(claimed, "effect", "x")["verdict"] == "differs"
    denied = reproduce(a_review([("y", "estimable", "NO")]))
    assert row_of(denied, "effect", "y")["verdict"] == "differs"
    assert row_of(denied, "effect", "y")["reason"] == "the file calls it not estimable"
    assert str(tally(denied)) == "2 of 3 results reproduced"


@pytest.mark.parametrize("convention", ["plain", "revman3", "meta", "all"])
def test_of_risk_differences_the_file_tells_the_convention(convention):
    settings = Settings(data_type="dichotomous", method="MH", model="fixed")
    found = reproduce(review(results(settings, MEASURES["RD"], convention=convention), settings, MEASURES["RD"]))
    assert set(found["verdict"]) <= {"reproduced", "not stored"}
    assert row_of(found, "effect", "x")["reason"] == f"with {CONVENTIONS[convention].label}"
    assert row_of(found, "effect", "y")["reason"] == ""


def test_of_ratios_another_convention_is_named_and_differs():
    settings = Settings(data_type="dichotomous", method="MH", model="fixed")
    found = reproduce(review(results(settings, MEASURES["OR"], convention="raw"), settings, MEASURES["OR"]))
    effect = row_of(found, "effect", "x")
    assert effect["verdict"] == "differs"
    assert effect["reason"].startswith("the file's value is that with ")
    unknown = reproduce(a_review([("", "effect", "0.123456789")]))
    assert row_of(unknown, "effect")["reason"] == "no known convention gives the file's value"


def test_the_subgroup_test_of_revman_5_0_is_known():
    settings = Settings(data_type="dichotomous", method="MH", model="fixed")
    stored = results(settings, MEASURES["OR"])
    assert set(reproduce(review(stored, settings, MEASURES["OR"]))["reason"]) == {""}
    partition = float(stored[""]["chi2"]) - float(stored["x"]["chi2"]) - float(stored["y"]["chi2"])
    assert partition != pytest.approx(float(stored[""]["q"]), rel=1e-5)
    stored[""] |= {
        "q": repr(partition),
        "p_q": repr(float(chi2.sf(partition, 1))),
        "i2_q": repr(100 * max(0, 1 - 1 / partition)),
    }
    found = reproduce(review(stored, settings, MEASURES["OR"]))
    tested = found[found["quantity"].isin(SUBGROUP_TEST)]
    assert set(tested["verdict"]) == {"reproduced"}
    assert tested["reason"].str.endswith("the test of RevMan 5.0").all()
    other = reproduce(review({**stored, "": stored[""] | {"q": "9.9"}}, settings, MEASURES["OR"]))
    assert row_of(other, "q")["verdict"] == "differs"


def test_settings_that_do_not_say_how_to_pool_are_told():
    original = a_review()
    analysis = replace(original.analyses[0], settings=Settings(data_type="dichotomous", method="MH"))
    found = reproduce(replace(original, analyses=(analysis,)))
    effect = row_of(found, "effect")
    assert effect["verdict"] == "differs"
    assert effect["reason"].startswith("cannot be pooled: settings must have method and model")
    assert str(tally(found)) == "0 of 3 results reproduced"


def test_numbers_beyond_all_bounds_end_in_a_verdict():
    settings = Settings(data_type="dichotomous", method="MH", model="random")
    stored = results(settings, MEASURES["OR"])
    found = reproduce(review(stored, settings, MEASURES["OR"], ROWS.assign(n_e=1e308, n_c=1e308)))
    assert row_of(found, "effect")["verdict"] == "differs"


def test_a_review_that_is_no_file_has_nothing_to_reproduce():
    from bayespip.catalogue import load_review

    found = reproduce(load_review("pip"))
    assert found.empty
    assert tuple(found.columns) == COLUMNS
    assert str(tally(found)) == "no stored results to reproduce"
