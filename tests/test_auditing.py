"""The audit: finds the bundled review's contradictions and seeded errors, and nothing that rounding explains."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console
from scipy import special, stats

import bayespip as bp
from bayespip.auditing import audit, audit_reported
from bayespip.auditing.heterogeneity import least_q, tau2_shares
from bayespip.auditing.intervals import box, corners
from bayespip.auditing.tables import show_audit
from bayespip.auditing.wording import CERTAINTIES, between
from bayespip.catalogue import load_stated
from bayespip.effects import EffectSizes
from bayespip.frequentist.heterogeneity import tau2_estimate
from bayespip.published_only.bounds import sample
from bayespip.published_only.consistent import consistent_studies
from bayespip.published_only.rounding import printed_range
from bayespip.published_only.trials import control_trials
from bayespip.published_only.variances import trial_sizes
from bayespip.review import Analysis, Reported, Review
from bayespip.settings import Settings

ROOT = Path(__file__).parents[1]
PAPER = ROOT.parent / "shared" / "sources" / "002_8a83983c074ddceb.txt"
COCHRANE = ROOT.parent / "shared" / "formats" / "cochrane"
PIP = bp.load_review("pip")
FOUND = audit(PIP)
STATED = load_stated("pip")
Z = stats.norm.ppf(0.975)


def rows(frame):
    return [tuple(row) for row in frame[["analysis", "check", "how_sure"]].itertuples(index=False)]


def checks(reported, **methods):
    return [(f.check, f.how_sure) for f in audit_reported(reported, **methods)]


def example(**changes):
    """Three studies by DerSimonian-Laird, printed as RevMan prints them: nothing is wrong with it."""
    right = {
        "measure": "RR",
        "estimate": "0.70",
        "ci_lower": "0.50",
        "ci_upper": "0.98",
        "p": "0.04",
        "k": 3,
        "df": 2,
        "q": "2.00",
        "p_q": "0.37",
        "i2": "0",
        "tau2": "0.00",
        "claim": "significant",
    }
    return Reported(**(right | changes))


# The bundled review.

EXPECTED = [
    ("P1", "tau2", "impossible"),
    ("P1", "heterogeneity and its p", "unusual"),
    ("P9", "number", "unusual"),
    ("P10", "interval and p", "impossible"),
    ("P12", "printed interval", "unusual"),
    ("P13", "heterogeneity not mentioned", "unusual"),
    ("", "arms and randomised", "unusual"),
    ("", "number of studies", "inconsistent"),
    ("", "number of studies named", "inconsistent"),
    ("", "lists of studies", "inconsistent"),
    ("", "lists of studies", "inconsistent"),
    ("", "lists of studies", "inconsistent"),
    ("", "one comparison only", "impossible"),
    ("", "year of a study", "unusual"),
    ("", "randomised", "inconsistent"),
]


def test_the_review_contradicts_itself_where_it_does_and_nowhere_else():
    assert rows(FOUND) == EXPECTED
    assert list(FOUND) == ["analysis", "check", "printed", "implied", "how_sure", "sentence"]
    assert set(FOUND["how_sure"]) <= set(CERTAINTIES)


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        ("P1", ["tau2 is printed as 3.71", "1.466 to 1.585", "repeats the chi-squared", "at most 2.012"]),
        ("P9", ["p is printed as <0.000", "below 0.0005"]),
        ("P10", ["p is printed as 0.000", "0.15 to 0.76", "0.00834"]),
        ("P12", ["3 numbers (0.8, 0.29, 2.19)"]),
        ("P13", ["Nothing is said of heterogeneity", "on 3 df", "P5 at p = 0.205"]),
        ("", ["4 (Abstract); 6 (Results, PIP versus control group)"]),
        ("", ["6 studies are counted, 5 named"]),
        ("", ["Sleed 2013 is said to be in PIP versus control only", "listed for PIP versus alternative treatment"]),
        ("", ["Cooper 2003 is among the studies of PIP versus alternative treatment", "missing in"]),
        ("", ["randomised 846", "905"]),
    ],
)
def test_every_known_contradiction_is_said_in_words(analysis, words):
    """The list of contradictions that came with the review's data (shared/README.md)."""
    sentences = FOUND.loc[FOUND["analysis"] == analysis, "sentence"]
    assert any(all(word in sentence for word in words) for sentence in sentences)


def test_contradictions_are_computed_not_recited():
    """Where the statement or the number is mended, the finding goes, and no other."""

    def restated(kind, about, value, place=None):
        table = STATED.copy()
        chosen = (table["kind"] == kind) & (table["about"] == about)
        if place is not None:
            chosen &= table["place"] == place
        assert chosen.sum() == 1
        table.loc[chosen, "value"] = value
        return rows(audit(PIP, table))

    def without(*gone):
        kept = list(EXPECTED)
        for row in gone:
            kept.remove(row)
        return kept

    assert restated("randomised", "", "905") == without(EXPECTED[-1])
    assert restated("number of studies", "PIP versus control", "6", "Abstract") == without(EXPECTED[7])
    all_six = "Cicchetti 1999; Cicchetti 2006; Cooper 2003; Lieberman 1991; Salomonsson 2011; Sleed 2013"
    assert restated("studies", "PIP versus control", all_six) == without(EXPECTED[8], EXPECTED[9])
    assert restated("interval", "P12", "RR 0.80 95%CI 0.29 to 2.19") == without(EXPECTED[4])
    assert (
        restated("number of results", "PIP versus control", "20").count(("", "number of results", "inconsistent")) == 1
    )

    def mended(key, **changes):
        analyses = [
            replace(a, reported=replace(a.reported, **changes)) if a.id == key else a for a in PIP.analyses
        ]  # fmt: skip
        return rows(audit(replace(PIP, analyses=tuple(analyses))))

    assert mended("P1", tau2="1.52") == without(EXPECTED[0])
    assert mended("P9", p="<0.001") == without(EXPECTED[2])
    assert mended("P10", p="0.009") == without(EXPECTED[3])
    # heterogeneity that is called out only at p = 0.05 leaves nothing to miss in P13
    assert mended("P5", q="3.84", p_q="0.05", i2="74") == without(EXPECTED[5])


def test_statements_are_quoted_from_the_paper():
    if not PAPER.exists():
        pytest.skip("the paper's text is not here: ../shared/sources")

    def letters(text):
        # the text writes chi-squared and tau squared in TeX
        return re.sub(r"[^0-9A-Za-z]", "", text.replace("\\text", "").replace("\\tau", "tau"))

    paper = letters(PAPER.read_text(encoding="utf-8"))
    for quotation in STATED["quotation"]:
        assert letters(quotation) in paper
    assert letters(STATED.loc[STATED["kind"] == "interval", "value"].item()) in paper


def test_a_review_of_the_same_id_has_no_statements_of_ours():
    assert set(audit(replace(PIP, doi="10.1000/other"))["analysis"]) == {"P1", "P9", "P10", ""}
    assert len(audit(bp.load_review("bcg"))) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="place"), "missing place"),
        (lambda t: t.assign(kind="size"), "kind of stated must be one of number of studies"),
        (lambda t: t.assign(kind="heterogeneity", about="P99"), "must be one of P1, .* got 'P99'"),
        (lambda t: t.assign(kind="randomised", value="many"), "must be a whole number; got 'many'"),
    ],
)
def test_statements_that_cannot_be_compared_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        audit(PIP, change(STATED))


def test_only_a_review_is_audited():
    with pytest.raises(ValueError, match="review must be a Review, such as load_review gives; got str"):
        audit("pip")


# Estimate, interval, p, claim.


@pytest.mark.parametrize("key", [a.id for a in PIP if a.reported])
def test_the_polygon_is_that_of_the_re_analysis(key):
    """Corners in (centre, half-width) against those in (m, s) by linear programming; without a printed p."""
    reported = replace(PIP[key].reported, p=None)
    found = corners(box(reported)) / [1, Z]
    theirs = printed_range(reported, 1).vertices
    for edge in (np.min, np.max):
        assert edge(found, axis=0) == pytest.approx(edge(theirs, axis=0), abs=1e-8)


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"ci_lower": "0.98", "ci_upper": "0.50"}, [("estimate and interval", "impossible")], "limits exchanged"),
        ({"estimate": "1.43"}, [("estimate and interval", "impossible")], "the estimate or the interval inverted"),
        ({"estimate": "0.76"}, [("estimate and interval", "inconsistent")], "its centre is 0.6947 to 0.7053"),
        ({"ci_lower": "-0.69", "ci_upper": "-0.02"}, [("number", "impossible")] * 2, "lower limit is printed as -0.69"),
        # below what a normal test gives; by a t test p is nearer to 0.05 still
        ({"p": "0.02"}, [("interval and p", "impossible")], "No test that belongs"),
        ({"p": "0.047"}, [("interval and p", "inconsistent")], "By a t test"),
        ({"p": "0.20"}, [("interval and p", "impossible"), ("claim and p", "inconsistent")], "No test that belongs"),
        ({"claim": "not significant"}, [("claim and interval", "inconsistent"), ("claim and p", "inconsistent")], ""),
        ({"ci_upper": "1.05", "estimate": "0.72", "p": "0.09"}, [("claim and interval", "inconsistent"),
          ("claim and p", "inconsistent")], "covers no effect (1)"),
        ({"p": "1.20"}, [("number", "impossible")], "between 0 and 1"),
        ({"k": 0, "df": None}, [("number", "impossible")], "k is printed as 0"),
        ({"level": 1.5}, [("number", "impossible")], "level of the interval"),
    ],
)  # fmt: skip
def test_estimate_interval_p_and_claim(changes, expected, words):
    findings = audit_reported(example(**changes))
    assert [(f.check, f.how_sure) for f in findings] == expected
    assert words in " ".join(f.sentence for f in findings)


def test_nothing_is_wrong_with_the_example():
    assert checks(example()) == []


@pytest.mark.parametrize(
    "changes",
    [
        # 0.00 stands for a limit of 0.004; "0.05" and a limit of "1.00" leave open which side they lie on
        {"estimate": "0.03", "ci_lower": "0.00", "ci_upper": "0.55", "p": "0.02"},
        {"estimate": "0.71", "ci_upper": "1.00", "p": "0.05"},
        {"estimate": "0.71", "ci_upper": "1.00", "p": "0.05", "claim": "not significant"},
        {"p": "<0.05"},
        {"i2": "0%".rstrip("%"), "q": "2.01"},
        {"tau2": "<0.01"},
    ],
)
def test_what_rounding_explains_is_not_flagged(changes):
    assert checks(example(**changes)) == []


def test_an_interval_by_t_is_not_taken_for_an_error_of_p():
    """HKSJ or not, with k - 1 degrees of freedom: an interval and test of one t agree for nobody else."""
    m, se, df = -0.5, 0.1, 2
    c = stats.t.ppf(0.975, df)
    limits = {"estimate": m, "ci_lower": m - c * se, "ci_upper": m + c * se}
    texts = {name: f"{np.exp(x):.3f}" for name, x in limits.items()}
    p = 2 * stats.t.sf(abs(m) / se, df)
    reported = Reported(measure="RR", k=3, p=f"{p:.3f}", tau2="5.00", q="3.00", **texts)
    assert checks(replace(reported, tau2=None)) == [("interval and p", "inconsistent")]
    assert checks(reported, ci="HKSJ") == []
    assert ("interval and p", "impossible") in checks(replace(reported, p="0.300"), ci="HKSJ")


@pytest.mark.parametrize("ratio", [0.01, 0.2, 0.7, 0.99, 1.0, 1.01, 1.5, 3, 20])
def test_p_of_any_t_lies_between_normal_and_cauchy(ratio):
    """What lets "no test that belongs to the interval agrees" rest on the two ends."""
    p = [2 * stats.t.sf(ratio * stats.t.ppf(0.975, df), df) for df in (1, 1.5, 2, 3, 5, 10, 30, 200)]
    p.append(2 * stats.norm.sf(ratio * Z))
    steps = np.diff(p)
    assert (steps <= 1e-12).all() or (steps >= -1e-12).all()


@given(
    measure=st.sampled_from(["RR", "OR", "SMD", "MD", "RD", "ZCOR"]),
    m=st.floats(-1.5, 1.5),
    s=st.floats(0.01, 1.0),
    decimals=st.integers(1, 5),
    level=st.sampled_from([0.9, 0.95, 0.99]),
)
def test_no_printed_interval_is_flagged(measure, m, s, decimals, level):
    spec = bp.MEASURES[measure]
    z = stats.norm.ppf((1 + level) / 2)
    texts = [f"{float(spec.display(x)):.{decimals}f}" for x in (m, m - z * s, m + z * s)]
    p = 2 * stats.norm.sf(abs(m) / s)
    assume(p > 1e-12)
    reported = Reported(
        measure=spec,
        estimate=texts[0],
        ci_lower=texts[1],
        ci_upper=texts[2],
        p=f"{p:.{decimals}f}",
        claim="significant" if p < 1 - level else "not significant",
        level=level,
    )
    assert audit_reported(reported) == ()


# Heterogeneity.


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"q": "8.00"}, [("Q and p of Q", "impossible"), ("Q and I2", "inconsistent")]),
        ({"p_q": "0.04"}, [("Q and p of Q", "impossible"), ("p of Q and I2", "inconsistent")]),
        ({"i2": "60"}, [("Q and I2", "inconsistent"), ("p of Q and I2", "inconsistent")]),
        ({"i2": "160"}, [("number", "impossible")]),
        ({"q": "1.50", "p_q": "0.47", "tau2": "0.02"}, [("tau2", "inconsistent")]),
        ({"tau2": "0.30"}, [("tau2", "impossible")]),
        ({"k": 1, "df": 0, "q": "3.00", "p_q": None, "i2": None, "tau2": None},
         [("k and heterogeneity", "impossible")]),
    ],
)  # fmt: skip
def test_heterogeneity_statistics(changes, expected):
    assert checks(example(**changes)) == expected


def test_another_estimator_is_held_to_the_weights_only():
    assert checks(example(q="1.50", p_q="0.47", tau2="0.02", i2="25"), tau2="REML") == []
    assert checks(example(tau2="0.30", i2="80"), tau2="REML") == [("tau2", "impossible")]


def test_tau2_of_two_studies_is_the_closed_form():
    for q in (1.5, 3.71, 20.0):
        assert tau2_shares(2, q) == pytest.approx((2 * (q - 1) / q, 2 * q / (q + 1)))
    assert tau2_shares(2, 0.9) == tau2_shares(5, 4.0) == (0.0, 0.0)


@pytest.mark.parametrize("k", [2, 3, 4, 7, 15])
@pytest.mark.parametrize("q_over_df", [1.05, 1.5, 3.0, 30.0])
def test_tau2_of_any_study_data_lies_in_the_range_and_fills_it(k, q_over_df):
    """Through the project's own DerSimonian-Laird; the ends by weights of two values, as the derivation says."""
    rng = np.random.default_rng([k, int(100 * q_over_df)])
    q = q_over_df * (k - 1)
    low, high = tau2_shares(k, q)

    def share(v):
        y = rng.normal(size=k)
        w = 1 / v
        y -= (w * y).sum() / w.sum()
        effects = EffectSizes([str(i) for i in range(k)], y * np.sqrt(q / (w * y**2).sum()), v**0.5, "SMD")
        tau2 = float(tau2_estimate(effects.yi, effects.vi, "DL"))
        return tau2 * (1 / (v + tau2)).sum()

    found = [share(np.exp(rng.normal(0, rng.choice([0.2, 1, 3]), k))) for _ in range(200)]
    assert low * (1 - 1e-9) <= min(found)
    assert max(found) <= high * (1 + 1e-9)
    equal, one = np.ones(k), np.where(np.arange(k) == 0, 1e-7, 1.0)
    two = np.where(np.arange(k) < 2, 1.0, 1e9)
    ends = [share(v) for v in (equal, one, two)]
    # weights tend to their limits only: by a ten-millionth here
    assert min(ends) == pytest.approx(low, rel=1e-5)
    assert max(ends) == pytest.approx(high, rel=1e-5)


@pytest.mark.parametrize("k", [2, 3, 4, 6, 10, 20])
@pytest.mark.parametrize("x", [0.01, 0.1, 0.5, 0.9, 1.0, 1.5, 3.0, 10.0, 40.0, 200.0])
def test_no_weights_of_two_values_leave_the_range_of_tau2(k, x):
    """The points where tau2 can be stationary: a weights of one value, b of another, the rest zero."""
    low, high = tau2_shares(k, x + k - 1)
    of_first = special.expit(np.linspace(-16, 16, 2001))  # what the a weights have together
    for a in range(1, k):
        for b in range(1, k - a + 1):
            one, other = of_first / a, (1 - of_first) / b
            c = x / (1 - a * one**2 - b * other**2)
            share = a * c * one / (1 + c * one) + b * c * other / (1 + c * other)
            assert low * (1 - 1e-9) <= share.min()
            assert share.max() <= high * (1 + 1e-9)


@pytest.mark.parametrize("key", ["P13", "P14", "P15", "P16", "P18"])
def test_no_consistent_study_data_have_less_q_than_the_least(key):
    reported = PIP[key].reported
    trials, _ = control_trials(PIP.studies)
    sizes = trial_sizes(trials, reported.k, share=(0.5, 1.0), cluster_factor=2.0, n=None, n_tolerance=0.0)
    family = consistent_studies(reported, trials=trials)
    points, _ = sample(family, at_vertices=True, seed=1)
    assert points.q.min() >= least_q(reported, sizes)
    if key == "P13":
        # no empty bound: half of what the best of the sample has
        assert least_q(reported, sizes) > points.q.min() / 2


# Counts.


def review(reported=None, **more):
    analysis = Analysis(id="1", comparison="A versus B", outcome="o", timepoint="t", reported=reported, **more)
    return Review(id="mine", title="Mine", doi="", provenance="", analyses=(analysis,))


@pytest.fixture
def trials():
    import pandas as pd

    return pd.DataFrame(
        {
            "study": ["Ash 2001", "Birch 2002", "Cedar 2003", "Date 2004"],
            "n_randomised": [40.0, 60.0, 80.0, 30.0],
            "arms": ["drug 20; placebo 20", "drug 35; placebo 30", "drug 40", ""],
            "comparator": ["placebo", "placebo", "placebo", "placebo"],
        }
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"df": 3}, [("k and df", "inconsistent")]),
        ({"df": 1, "p_q": "0.16", "i2": "50", "tau2": "0.03"}, [("k and df", "inconsistent")]),
        ({"studies_named": ("Ash 2001", "Birch 2002")}, [("k and studies named", "unusual")]),
        ({"studies_named": ("Ash 2001", "Birch 2002", "Cedar 2003", "Date 2004")},
         [("k and studies named", "inconsistent")]),
        ({"studies_named": ("Ash 2001", "Birch 2002", "Elm 2005")}, [("studies named", "inconsistent")]),
        ({"n": 180}, []),
        ({"n": 181}, [("n and trials", "inconsistent")]),
        ({"n": 140, "studies_named": ("Ash 2001", "Birch 2002", "Date 2004")}, [("n and trials", "inconsistent")]),
        ({"n": 5}, [("n and k", "impossible")]),
        ({"k": 5, "df": None, "q": None, "p_q": None, "i2": None}, [("k and trials", "inconsistent")]),
    ],
)  # fmt: skip
def test_counts_against_the_trials(trials, changes, expected):
    if changes.get("df") == 3:
        changes = changes | {"p_q": "0.57"}
    found = audit(replace(review(example(**changes)), studies=trials))
    assert rows(found[found["analysis"] != ""]) == [("1", *pair) for pair in expected]


def test_arms_against_the_randomised(trials):
    """65 of 60 is impossible; of a trial with one arm listed, or none, nothing can be said."""
    found = audit(replace(review(example()), studies=trials))
    assert rows(found) == [("", "arms and randomised", "impossible")]
    assert found["sentence"].item().startswith("Birch 2002: the arms add up to 65")


def test_counts_against_study_data():
    import pandas as pd

    table = pd.DataFrame({"study": ["Ash 2001", "Ash 2001", "Birch 2002"], "n_e": [10, 10, 20], "n_c": [5, 5, 20]})
    table = table.assign(event_e=[1, 2, 3], event_c=[2, 2, 3])
    right = example(k=2, n=70)  # a study with two rows: two studies, two degrees of freedom
    assert len(audit(review(right, studies=table))) == 0
    assert rows(audit(review(replace(right, n=71), studies=table))) == [("1", "n and study data", "inconsistent")]
    wrong = audit(review(replace(right, k=5), studies=table))
    assert rows(wrong) == [("1", "k and study data", "inconsistent")]


def test_the_settings_of_a_file_are_the_stated_method():
    settings = Settings(data_type="dichotomous", method="IV", model="random", tau2="REML")
    reported = example(q="1.50", p_q="0.47", tau2="0.02", i2="25")
    assert len(audit(review(reported))) == 2
    assert len(audit(review(reported, settings=settings))) == 0


# How it reads.


def test_ranges_are_rounded_outwards():
    assert between(0.0083427, 0.0095611) == "0.008342 to 0.009562"
    assert between(3.705, 3.715) == "3.705 to 3.715"
    assert between(-0.123456, 0.0) == "-0.1235 to 0"
    assert between(2.0, 2.0) == "2"
    assert between(0.15, np.inf) == "at least 0.15"


def test_the_table_reads_in_80_columns_and_cuts_nothing():
    console = Console(width=80, record=True, file=io.StringIO())
    show_audit(PIP, FOUND, console)
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= 80
    words = " ".join(text.split())
    assert "19 published results checked: 3 impossible, 6 inconsistent, 6 unusual." in words
    for sentence in FOUND["sentence"]:
        for word in sentence.split():
            assert word in words
    show_audit(bp.load_review("bcg"), audit(bp.load_review("bcg")), console)
    assert "0 published results checked: nothing found." in console.export_text()
