"""Effect sizes from two arms: against metafor's escalc and RevMan's own files, and by hand."""

import math
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference_data import load_reference
from study_rows import counts, frame, moments

from bayespip.effects import effect_sizes

# escalc's values are stored with 15 digits; both sides carry a few rounding errors.
ESCALC = {"rtol": 1e-10, "atol": 1e-14}
# RevMan stores 16 digits: only rounding errors remain.
REVMAN = {"rtol": 1e-12, "atol": 1e-14}

BINARY_SETS = (
    "bcg_rr",
    "bcg_rd",
    "bcg_rr_2study",
    "crins2014_ar",
    "crins2014_ar_randomized",
    "crins2014_srr",
    "goralczyk2011_ar",
    "sidikjonkman2007",
    "peto1980",
    "nielweise2007",
)
REVMAN_FILES = (
    "cochrane/CD003188StatsDataOnly.rm5",
    "cochrane/CD004976StatsDataOnly.rm5",
    "cochrane/CD007868StatsDataOnly.rm5",
)
FORMATS = Path(__file__).parents[2] / "shared" / "formats"


def binary_table(dataset):
    names = {"ai": "event_e", "n1i": "n_e", "ci": "event_c", "n2i": "n_c"}
    return pd.DataFrame(dataset["table"]).rename(columns=names).assign(study=unique(dataset["labels"]))


def unique(labels):
    """Labels made unique: nielweise2007 has none of its own, goralczyk2011 repeats a year."""
    return [f"{i} {label}" for i, label in enumerate(labels, start=1)]


def test_every_binary_data_set_of_the_reference_is_compared():
    datasets = load_reference()["datasets"]
    assert sorted(BINARY_SETS) == sorted(n for n, d in datasets.items() if "escalc_RR" in d.get("binary", {}))


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
@pytest.mark.parametrize("name", BINARY_SETS)
def test_counts_give_what_escalc_gives(name, measure):
    dataset = load_reference()["datasets"][name]
    table = binary_table(dataset)
    empty = (table["event_e"] == 0) & (table["event_c"] == 0)
    full = (table["event_e"] == table["n_e"]) & (table["event_c"] == table["n_c"])
    kept = np.ones(len(table), dtype=bool)
    # escalc keeps a study without events, though all it says is the correction; RR and OR here do not.
    if measure != "RD" and (empty | full).any():
        kept = ~(empty | full).to_numpy()
        with pytest.warns(UserWarning, match=re.escape(table["study"][~kept].item())):
            es = effect_sizes(table, measure)
    else:
        es = effect_sizes(table, measure)
    assert es.study == tuple(table["study"][kept])
    escalc = dataset["binary"][f"escalc_{measure}"]
    np.testing.assert_allclose(es.yi, np.array(escalc["yi"])[kept], **ESCALC)
    np.testing.assert_allclose(es.vi, np.array(escalc["vi"])[kept], **ESCALC)


@pytest.mark.parametrize(("measure", "options"), [("MD", {}), ("SMD", {"smd": "metafor"})])
def test_moments_give_what_escalc_gives(measure, options):
    dataset = load_reference()["datasets"]["normand1999_md"]
    names = {"m1i": "mean_e", "sd1i": "sd_e", "n1i": "n_e", "m2i": "mean_c", "sd2i": "sd_c", "n2i": "n_c"}
    table = pd.DataFrame(dataset["table"]).rename(columns=names).assign(study=dataset["labels"])
    es = effect_sizes(table, measure, **options)
    np.testing.assert_allclose(es.yi, dataset["raw"][f"escalc_{measure}"]["yi"], **ESCALC)
    np.testing.assert_allclose(es.vi, dataset["raw"][f"escalc_{measure}"]["vi"], **ESCALC)


def revman_outcomes(file, kind):
    path = FORMATS / file
    if not path.exists():
        pytest.skip(f"RevMan files not here: ../shared/formats/{file}")
    for outcome in ET.parse(path).getroot().iter(f"{kind}_OUTCOME"):  # noqa: S314 - a file of our own
        studies = list(outcome.iter(f"{kind}_DATA"))
        if studies:
            yield outcome.get("EFFECT_MEASURE"), studies


def revman_table(studies, columns):
    rows = [[f"{i} {s.get('STUDY_ID')}", *(float(s.get(c)) for c in columns)] for i, s in enumerate(studies)]
    ours = {"EVENTS": "event", "TOTAL": "n", "MEAN": "mean", "SD": "sd"}
    arms = {"1": "e", "2": "c"}
    return frame([f"{ours[c[:-2]]}_{arms[c[-1]]}" for c in columns], *rows)


def assert_as_stored(es, studies):
    stored = np.array([float(s.get("EFFECT_SIZE")) for s in studies])
    np.testing.assert_allclose(es.measure.display(es.yi), stored, **REVMAN)
    np.testing.assert_allclose(es.sei, [float(s.get("SE")) for s in studies], **REVMAN)


@pytest.mark.parametrize("file", REVMAN_FILES)
def test_counts_give_what_revman_stored(file):
    compared = 0
    for measure, studies in revman_outcomes(file, "DICH"):
        table = revman_table(studies, ["EVENTS_1", "TOTAL_1", "EVENTS_2", "TOTAL_2"])
        estimable = [s for s in studies if s.get("ESTIMABLE") == "YES"]
        if len(estimable) == len(studies):
            assert_as_stored(effect_sizes(table, measure), studies)
        elif estimable:
            with pytest.warns(UserWarning, match="excluded"):
                assert_as_stored(effect_sizes(table, measure), estimable)
        else:
            with pytest.raises(ValueError, match="no study is left"):
                effect_sizes(table, measure)
        compared += len(estimable)
    assert compared > 0


@pytest.mark.parametrize("file", [REVMAN_FILES[0], REVMAN_FILES[2]])
def test_moments_give_what_revman_stored(file):
    compared = 0
    columns = ["MEAN_1", "SD_1", "TOTAL_1", "MEAN_2", "SD_2", "TOTAL_2"]
    for measure, studies in revman_outcomes(file, "CONT"):
        estimable = [s for s in studies if s.get("ESTIMABLE") == "YES"]
        assert_as_stored(effect_sizes(revman_table(estimable, columns), measure, smd="revman5"), estimable)
        compared += len(estimable)
    assert compared > 0


@pytest.mark.parametrize(
    ("measure", "yi", "vi"),
    [
        ("RR", math.log(1 / 7), Fraction(2) - Fraction(1, 11) + Fraction(2, 7) - Fraction(1, 11)),
        ("OR", math.log(1 / 9.8), Fraction(2) + Fraction(2, 21) + Fraction(2, 7) + Fraction(2, 15)),
        ("RD", -3 / 11, Fraction(21, 4 * 1331) + Fraction(105, 4 * 1331)),
    ],
)
def test_a_zero_cell_adds_half_to_all_four_cells_of_that_study_only(measure, yi, vi):
    # 0 of 10 against 3 of 10 becomes 0.5, 10.5, 3.5, 7.5: the odds are 1/21 and 7/15.
    whole = ("Whole", 5, 20, 10, 25)
    es = effect_sizes(counts(("Zero", 0, 10, 3, 10), whole), measure)
    np.testing.assert_allclose(es.yi[0], yi, rtol=1e-14)
    np.testing.assert_allclose(es.vi[0], float(vi), rtol=1e-14)
    alone = effect_sizes(counts(whole), measure)
    assert (es.yi[1], es.sei[1]) == (alone.yi[0], alone.sei[0])


def test_mean_differences_by_hand():
    es = effect_sizes(moments(("A", 11, 2, 8, 9.5, 3, 6)), "MD")
    assert (es.yi[0], es.vi[0]) == (1.5, pytest.approx(4 / 8 + 9 / 6, rel=1e-15))


def test_hedges_g_by_hand():
    # Pooled SD 2, d = 1; N = 12: J = 1 - 3/39 = 12/13 (revman5), gamma(5)/(sqrt(5) gamma(4.5)) (metafor).
    table = moments(("A", 11, 2, 6, 9, 2, 6))
    revman, metafor = effect_sizes(table, "SMD"), effect_sizes(table, "SMD", smd="metafor")
    g = 12 / 13
    assert revman.yi[0] == pytest.approx(g, rel=1e-14)
    assert revman.vi[0] == pytest.approx(12 / 36 + g**2 / 16.12, rel=1e-14)
    # gamma(4.5) = 105 sqrt(pi) / 16
    g = 24 / (math.sqrt(5) * 105 * math.sqrt(math.pi) / 16)
    assert metafor.yi[0] == pytest.approx(g, rel=1e-14)
    assert metafor.vi[0] == pytest.approx(1 / 3 + g**2 / 24, rel=1e-14)


def test_exact_j_keeps_its_digits_in_large_studies():
    mpmath = pytest.importorskip("mpmath")
    eps = np.finfo(float).eps
    for n in (2, 50, 5_000, 9_999, 500_000):
        with mpmath.workdps(40):
            half = mpmath.mpf(2 * n - 2) / 2
            j = mpmath.gamma(half) / (mpmath.sqrt(half) * mpmath.gamma(half - mpmath.mpf(1) / 2))
        es = effect_sizes(moments(("A", 1, 1, n, 0, 1, n)), "SMD", smd="metafor")
        # exp of a difference of log-gammas, each rounded, up to where an asymptotic series takes over.
        assert es.yi[0] == pytest.approx(float(j), rel=4 * eps * (1 + math.lgamma(min(n, 10_001))))


def test_cluster_adjusted_counts_need_not_be_whole():
    es = effect_sizes(counts(("Sleed 2013", 7.4, 41.2, 10.3, 35.1)), "RR")
    assert es.yi[0] == pytest.approx(math.log(7.4 * 35.1 / (41.2 * 10.3)), rel=1e-14)


def test_yi_and_sei_are_taken_as_they_are():
    es = effect_sizes(frame(["yi", "sei"], ("A", -0.5, 0.2), ("B", "0.25", 1)), "OR")
    assert es.study == ("A", "B")
    assert es.yi.tolist() == [-0.5, 0.25]
    assert es.sei.tolist() == [0.2, 1.0]
    assert es.measure.name == "OR"


SILENT = counts(("Empty", 0, 10, 0, 12), ("Full", 8, 8, 9, 9), ("Some", 2, 10, 4, 12))


@pytest.mark.parametrize("measure", ["RR", "OR"])
def test_studies_empty_or_full_in_both_arms_are_excluded_from_ratios_by_name(measure):
    with pytest.warns(UserWarning, match="cannot be estimated") as caught:
        es = effect_sizes(SILENT, measure)
    assert es.study == ("Some",)
    assert str(caught[0].message) == (
        f"{measure} cannot be estimated where both arms are empty or both are full; excluded: "
        "Empty (0 of 10, 0 of 12), Full (8 of 8, 9 of 9)."
    )
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"no study is left: Empty \(0 of 10, 0 of 12\)"):
        effect_sizes(SILENT[:2], measure)


def test_they_stay_in_risk_differences():
    assert effect_sizes(SILENT, "RD").study == ("Empty", "Full", "Some")
