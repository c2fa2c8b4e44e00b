"""Effect measures: their scales; those beyond RR, OR, RD, MD and SMD against escalc, other programs and by hand."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_data import load_reference
from study_rows import counts, frame, moments

from bayespip.effects import effect_sizes
from bayespip.measures import BINARY, CONTINUOUS, CORRELATION, MEASURES, O_E, PROPORTION, Measure, as_measure

# escalc's values are stored with 15 digits; both sides carry a few rounding errors.
ESCALC = {"rtol": 1e-12, "atol": 1e-15}
COUNTS = {"ai": "event_e", "n1i": "n_e", "ci": "event_c", "n2i": "n_c"}
MOMENTS = {"m1i": "mean_e", "sd1i": "sd_e", "n1i": "n_e", "m2i": "mean_c", "sd2i": "sd_c", "n2i": "n_c"}
GENERIC = Measure("Rate ratio", "Rate ratio", (), log=True)


def reference_table(dataset, names):
    labels = [f"{i} {label}" for i, label in enumerate(dataset["labels"], start=1)]
    return pd.DataFrame(dataset["table"]).rename(columns=names).assign(study=labels)


def assert_escalc(es, yi, vi):
    np.testing.assert_allclose(es.yi, yi, **ESCALC)
    np.testing.assert_allclose(es.vi, vi, **ESCALC)


# Scales


@pytest.mark.parametrize("measure", [*MEASURES.values(), GENERIC], ids=lambda m: m.name)
@given(x=st.floats(-5, 5))
def test_display_and_model_undo_each_other_and_slope_is_the_derivative(measure, x):
    shown = measure.display(x)
    # artanh loses the digits that tanh rounds away as it nears 1: eps / (1 - tanh(5)^2) is 1.2e-12.
    assert measure.model(shown) == pytest.approx(x, rel=1e-12, abs=3e-12)
    h = 1e-5
    derivative = (measure.display(x + h) - measure.display(x - h)) / (2 * h)
    assert np.exp(measure.log_slope(x)) == pytest.approx(derivative, rel=1e-6)
    low, high = measure.limits
    assert low <= shown <= high
    assert measure.null == measure.display(0)


def test_scales_are_those_of_the_field():
    shown = {name: (m.null, m.limits, m.model_scale) for name, m in MEASURES.items()}
    ratio, free = (1, (0, math.inf)), (0, (-math.inf, math.inf))
    for name in ("RR", "OR", "PETO", "HR", "ROM"):
        assert shown[name] == (*ratio, f"log {name}")
    for name in ("RD", "MD", "SMD", "PR", "COR"):
        assert shown[name] == (*free, name)
    assert shown["ZCOR"] == (0, (-1, 1), "ZCOR")
    assert set(shown) == {"RR", "OR", "PETO", "HR", "ROM", "RD", "MD", "SMD", "PR", "COR", "ZCOR"}
    # The 1921 example of Fisher: r = 0.5 has z = 0.5493.
    assert MEASURES["ZCOR"].model(0.5) == pytest.approx(math.log(3) / 2, rel=1e-15)


def test_a_measure_has_one_scale():
    with pytest.raises(ValueError, match=r"^log and fisher_z cannot both be true; they are for X\.$"):
        Measure("X", "X", (), log=True, fisher_z=True)


def test_a_measure_may_be_named():
    assert as_measure("PETO") is MEASURES["PETO"]
    assert as_measure(GENERIC) is GENERIC
    for unknown in ("peto", None, ["RR"]):
        message = f"measure must be one of {', '.join(MEASURES)}; got {unknown!r}."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            as_measure(unknown)


# Peto's odds ratio

PETO_SETS = (
    "bcg_rr",
    "bcg_rr_2study",
    "crins2014_ar",
    "goralczyk2011_ar",
    "sidikjonkman2007",
    "peto1980",
    "nielweise2007",
)


@pytest.mark.filterwarnings("ignore:PETO cannot be estimated")
@pytest.mark.parametrize("name", PETO_SETS)
def test_peto_is_what_escalc_gives_and_without_its_correction_of_empty_cells(name):
    dataset = load_reference()["datasets"][name]
    table, escalc = reference_table(dataset, COUNTS), dataset["binary"]["escalc_PETO"]
    cells = [table["event_e"], table["event_c"], table["n_e"] - table["event_e"], table["n_c"] - table["event_c"]]
    empty = np.any(np.equal(cells, 0), axis=0)
    es, whole = effect_sizes(table, "PETO"), table["study"][~empty]
    kept = np.isin(es.study, whole)
    np.testing.assert_allclose(es.yi[kept], np.array(escalc["yi"])[~empty], **ESCALC)
    np.testing.assert_allclose(es.vi[kept], np.array(escalc["vi"])[~empty], **ESCALC)
    # escalc adds 1/2 to the cells of a study with an empty one: so corrected, ours give its values too.
    add = {"event_e": 0.5, "event_c": 0.5, "n_e": 1.0, "n_c": 1.0}
    corrected = table.assign(**{c: table[c] + x * empty for c, x in add.items()})
    assert_escalc(effect_sizes(corrected, "PETO"), escalc["yi"], escalc["vi"])
    # Without the correction a study with an empty cell says another thing.
    uncorrected = dict(zip(es.study, es.yi, strict=True))
    for label, yi, bare in zip(table["study"], escalc["yi"], empty, strict=True):
        assert not bare or label not in uncorrected or uncorrected[label] != pytest.approx(yi, rel=1e-3)
    assert bool(empty.any()) == (name in ("crins2014_ar", "nielweise2007"))


@pytest.mark.filterwarnings("ignore:PETO cannot be estimated")
@pytest.mark.parametrize("name", PETO_SETS)
def test_inverse_variance_pooling_of_peto_is_rma_peto(name):
    dataset = load_reference()["datasets"][name]
    es, pooled = effect_sizes(reference_table(dataset, COUNTS), "PETO"), dataset["binary"]["Peto"]
    weights = 1 / es.vi
    assert np.average(es.yi, weights=weights) == pytest.approx(pooled["beta"], rel=1e-12)
    assert 1 / math.sqrt(weights.sum()) == pytest.approx(pooled["se"], rel=1e-12)


def test_peto_by_hand_with_an_empty_cell():
    # 0 of 10, 3 of 10: E = 1.5, V = 3 * 17 * 100 / (400 * 19) = 51/76.
    es = effect_sizes(counts(("A", 0, 10, 3, 10)), "PETO")
    assert es.yi[0] == pytest.approx(-1.5 * 76 / 51, rel=1e-15)
    assert es.vi[0] == pytest.approx(76 / 51, rel=1e-15)


def test_peto_leaves_out_studies_without_events_by_name():
    table = counts(("Empty", 0, 10, 0, 12), ("Full", 8, 8, 9, 9), ("Some", 2, 10, 4, 12))
    message = (
        "PETO cannot be estimated where both arms are empty or both are full; excluded: "
        "Empty (0 of 10, 0 of 12), Full (8 of 8, 9 of 9)."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        assert effect_sizes(table, "PETO").study == ("Some",)


# Hazard ratios from O - E


def test_hazard_ratios_by_hand():
    # -7.5 / 12.5 and 1 / 12.5.
    es = effect_sizes(frame(O_E, ("A", -7.5, 12.5), ("B", 2, 16)), "HR")
    assert es.yi.tolist() == [-0.6, 0.125]
    assert es.vi == pytest.approx([0.08, 0.0625], rel=1e-15)


def test_o_e_of_counts_gives_what_the_counts_give_and_is_preferred_to_them():
    table = counts(("A", 3, 20, 8, 22), ("B", 0, 31, 5, 30))
    a, n_e, c, n_c = (table[x].to_numpy(dtype=float) for x in BINARY)
    n, events = n_e + n_c, a + c
    o_e, variance = a - n_e * events / n, n_e * n_c * events * (n - events) / (n**2 * (n - 1))
    of_counts, of_o_e = (
        effect_sizes(table, "PETO"),
        effect_sizes(frame(O_E, *zip("AB", o_e, variance, strict=True)), "PETO"),
    )
    np.testing.assert_allclose(of_o_e.yi, of_counts.yi, rtol=1e-14)
    np.testing.assert_allclose(of_o_e.vi, of_counts.vi, rtol=1e-14)
    # A file of O - E data stores the counts beside them; where it does not, as missing.
    both = table.assign(event_e=math.nan, o_e=o_e / 2, variance=variance)
    np.testing.assert_allclose(effect_sizes(both, "PETO").yi, of_counts.yi / 2, rtol=1e-14)
    np.testing.assert_allclose(effect_sizes(both, "HR").yi, of_counts.yi / 2, rtol=1e-14)


def test_a_study_without_variance_of_o_e_is_left_out_by_name():
    table = frame(O_E, ("None", 0, 0), ("Some", 1, 2))
    message = "HR cannot be estimated where the variance of O - E is zero; excluded: None (O - E = 0)."
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        assert effect_sizes(table, "HR").study == ("Some",)
    with pytest.raises(ValueError, match="no study is left"):
        effect_sizes(table[:1], "HR")


# Ratios of means, proportions, correlations


def test_ratio_of_means_is_what_escalc_gives_without_its_correction_of_bias():
    dataset = load_reference()["datasets"]["normand1999_md"]
    table, escalc = reference_table(dataset, MOMENTS), dataset["raw"]["escalc_ROM"]
    # escalc from metafor 5 on adds half the difference of the arms' squared coefficients of variation over n
    # (Lajeunesse 2015, Ecology 96:2056); in metafor up to 4, as here, the logarithm stands as it is.
    bias = [(table[f"sd_{arm}"] / table[f"mean_{arm}"]) ** 2 / table[f"n_{arm}"] for arm in "ec"]
    es = effect_sizes(table, "ROM")
    np.testing.assert_allclose(es.yi + (bias[0] - bias[1]) / 2, escalc["yi"], **ESCALC)
    np.testing.assert_allclose(es.vi, escalc["vi"], **ESCALC)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_ratio_of_means_knows_no_unit_and_no_sign(unit, ratio):
    row = ("A", 5.0 * ratio, 2.0, 12, 5.0, 1.5, 10)
    other = ("A", -5.0 * ratio * unit, 2.0 * unit, 12, -5.0 * unit, 1.5 * unit, 10)
    es, scaled = effect_sizes(moments(row), "ROM"), effect_sizes(moments(other), "ROM")
    assert es.yi[0] == pytest.approx(math.log(ratio), rel=1e-12, abs=1e-14)
    assert scaled.yi[0] == pytest.approx(es.yi[0], rel=1e-12, abs=1e-14)
    assert scaled.vi[0] == pytest.approx(es.vi[0], rel=1e-12)


def test_proportions_are_what_escalc_gives():
    dataset = load_reference()["datasets"]["baeten2013_plo"]
    escalc = dataset["raw"]["escalc_PR"]
    assert_escalc(effect_sizes(reference_table(dataset, {"xi": "event", "ni": "n"}), "PR"), escalc["yi"], escalc["vi"])


def test_an_empty_or_full_proportion_gets_half_in_both_cells():
    # escalc's default (add = 1/2, to = "only0"): 0 of 9 is 0.5 of 10, variance 0.5 * 9.5 / 1000.
    es = effect_sizes(frame(PROPORTION, ("Empty", 0, 9), ("Full", 9, 9), ("Some", 3, 9)), "PR")
    assert es.yi == pytest.approx([0.05, 0.95, 1 / 3], rel=1e-15)
    assert es.vi == pytest.approx([0.00475, 0.00475, 2 / 81], rel=1e-14)


@pytest.mark.parametrize("measure", ["COR", "ZCOR"])
def test_correlations_are_what_escalc_gives(measure):
    dataset = load_reference()["datasets"]["molloy2014_zcor"]
    escalc = dataset["raw"][f"escalc_{measure}"]
    es = effect_sizes(reference_table(dataset, {"ri": "r", "ni": "n"}), measure)
    assert_escalc(es, escalc["yi"], escalc["vi"])
    np.testing.assert_allclose(es.measure.display(es.yi), dataset["table"]["ri"], rtol=1e-15)


# What is refused


@pytest.mark.parametrize(
    ("measure", "columns", "row", "message"),
    [
        ("PETO", BINARY, (0.1, 0.5, 0.2, 0.5), "n_e + n_c must be at least 2 for PETO; not so for B (row 2: 1)."),
        ("HR", O_E, (1, -2), "variance must not be negative; not so for B (row 2: -2)."),
        ("HR", O_E, (1, 0), "o_e must be 0 where variance is 0; not so for B (row 2: 1)."),
        (
            "ROM",
            CONTINUOUS,
            (-1, 1, 9, 2, 1, 9),
            "mean_e and mean_c must both be positive or both negative for ROM; not so for B (row 2: -1 and 2).",
        ),
        (
            "ROM",
            CONTINUOUS,
            (0, 1, 9, 2, 1, 9),
            "mean_e and mean_c must both be positive or both negative for ROM; not so for B (row 2: 0 and 2).",
        ),
        ("PR", PROPORTION, (4, 3), "event must not exceed n; not so for B (row 2: 4 of 3)."),
        ("PR", PROPORTION, (-1, 3), "event must not be negative; not so for B (row 2: -1)."),
        ("PR", PROPORTION, (0, 0), "n must be positive; not so for B (row 2: 0)."),
        ("ZCOR", CORRELATION, (1, 9), "r must lie in (-1, 1); not so for B (row 2: 1)."),
        ("COR", CORRELATION, (-1.2, 9), "r must lie in (-1, 1); not so for B (row 2: -1.2)."),
        ("COR", CORRELATION, (0.2, 3), "n must be at least 4 for COR; not so for B (row 2: 3)."),
        ("ZCOR", CORRELATION, (0.2, 3), "n must be at least 4 for ZCOR; not so for B (row 2: 3)."),
    ],
)
def test_impossible_numbers_are_refused(measure, columns, row, message):
    good = {
        BINARY: (3, 9, 4, 8),
        O_E: (1, 2),
        CONTINUOUS: (1, 1, 9, 2, 1, 9),
        PROPORTION: (1, 3),
        CORRELATION: (0.1, 9),
    }
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        effect_sizes(frame(columns, ("A", *good[columns]), ("B", *row)), measure)


def test_what_is_missing_is_said_with_every_choice():
    for measure, needed in (
        ("PETO", "either event_e, n_e, event_c, n_c or o_e, variance or yi, sei; missing event_e, n_e, event_c, n_c"),
        ("HR", "either o_e, variance or yi, sei; missing o_e, variance"),
        (GENERIC, "yi, sei; missing yi, sei"),
    ):
        name = measure if isinstance(measure, str) else measure.name
        message = f"{name} needs the columns study and {needed}; present: study, x."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            effect_sizes(pd.DataFrame({"study": ["A"], "x": [1]}), measure)
    with pytest.raises(ValueError, match="must have o_e, variance or yi, sei, not both"):
        effect_sizes(frame((*O_E, "yi", "sei"), ("A", 1, 2, 3, 4)), "PETO")


def test_generic_measures_take_estimates_with_standard_errors():
    es = effect_sizes(frame(("yi", "sei", "n_e", "n_c"), ("A", -0.5, 0.2, math.nan, 0)), GENERIC)
    assert (es.yi[0], es.sei[0], es.measure) == (-0.5, 0.2, GENERIC)
    of_o_e = Measure("Exp[(O-E)/Var]", "Exp[(O-E)/Var]", O_E, log=True)
    assert effect_sizes(frame(O_E, ("A", 1, 4)), of_o_e).yi.tolist() == [0.25]
