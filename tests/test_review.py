"""Printed numbers, published results, reviews: precision kept, impossible things flagged, equality."""

import math
import re
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespip.measures import MEASURES
from bayespip.review import Analysis, Printed, Reported, Review


@pytest.mark.parametrize(
    ("text", "value", "lower", "upper"),
    [
        ("8.93", 8.93, 8.925, 8.935),
        ("63.70", 63.7, 63.695, 63.705),
        ("3.3", 3.3, 3.25, 3.35),
        ("6.0", 6.0, 5.95, 6.05),
        ("73", 73, 72.5, 73.5),
        ("0.0002", 0.0002, 0.00015, 0.00025),
        ("0.000", 0.0, -0.0005, 0.0005),
        ("-0.01", -0.01, -0.015, -0.005),
        ("-0.64", -0.64, -0.645, -0.635),
        ("\N{MINUS SIGN}0.13", -0.13, -0.135, -0.125),
        (".05", 0.05, 0.045, 0.055),
        (" 1.20 ", 1.2, 1.195, 1.205),
        ("2.5e-3", 0.0025, 0.00245, 0.00255),
    ],
)
def test_a_printed_number_is_half_a_unit_of_its_last_digit_wide(text, value, lower, upper):
    printed = Printed(text)
    assert (printed.value, printed.lower, printed.upper) == (value, lower, upper)
    assert printed.text == str(printed) == text


@pytest.mark.parametrize(("text", "upper"), [("<0.001", 0.001), ("< 0.05", 0.05), ("<0.000", 0.0005), ("<0", 0.5)])
def test_a_printed_bound_has_an_upper_limit_only(text, upper):
    printed = Printed(text)
    assert math.isnan(printed.value)
    assert (printed.lower, printed.upper) == (0.0, upper)


@pytest.mark.parametrize("text", ["", "abc", "1,5", "1.2.3", "nan", "inf", "<", "<-0.1", ">0.05", "1 2", "0x1", "1_0"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=f"must be a number as printed.*; got {re.escape(repr(text))}"):
        Printed(text)


def test_a_float_is_refused_because_its_precision_is_lost():
    with pytest.raises(ValueError, match=r"must be text, such as '8\.93'.*; got 8\.9"):
        Printed(8.9)


@given(st.decimals(-(10**6), 10**6, places=3), st.integers(0, 3))
def test_whatever_is_rounded_lies_within_what_is_printed(x, digits):
    printed = Printed(str(round(x, digits)))
    assert Decimal(printed.lower) - Decimal("1e-9") <= x <= Decimal(printed.upper) + Decimal("1e-9")
    assert printed.upper - printed.lower == pytest.approx(10.0**-digits, rel=1e-6)


def test_trailing_zeros_make_another_printed_number():
    assert Printed("0.80") != Printed("0.8")
    assert Printed("0.80") == Printed("0.80")


def reported(measure="RR", estimate="0.5", ci_lower="0.2", ci_upper="1.1", **fields):
    return Reported(measure=measure, estimate=estimate, ci_lower=ci_lower, ci_upper=ci_upper, **fields)


def test_reported_takes_text_and_the_measures_name():
    result = reported(p="0.03", studies_named=["A", "B"])
    assert result.measure is MEASURES["RR"]
    assert result.estimate == Printed("0.5")
    assert result.p == Printed("0.03")
    assert (result.k, result.q, result.level, result.studies_named) == (None, None, 0.95, ("A", "B"))
    assert result == reported(p=Printed("0.03"), studies_named=("A", "B"))
    assert hash(result) == hash(reported(p="0.03", studies_named=("A", "B")))
    with pytest.raises(FrozenInstanceError):
        result.k = 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"estimate": 0.5}, "estimate must be text"),
        ({"tau2": "large"}, "tau2 must be a number as printed"),
        ({"measure": "IRR"}, "measure must be one of RR, OR, PETO, HR, RD, MD, SMD, ROM, PR, COR, ZCOR; got 'IRR'"),
        ({"claim": "yes"}, "claim must be one of significant, not significant or None; got 'yes'"),
        ({"favours": "up"}, "favours must be one of higher, lower or None; got 'up'"),
    ],
)
def test_what_cannot_be_read_is_refused(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        reported(**fields)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"ci_lower": "1.1", "ci_upper": "0.2"}, "the interval is reversed: 1.1 to 0.2."),
        ({"estimate": "1.3"}, "the estimate lies outside its interval: 1.3 (0.2 to 1.1)."),
        ({"estimate": "0.14"}, "the estimate lies outside its interval: 0.14 (0.2 to 1.1)."),
        ({"ci_lower": "-0.2"}, "ci_lower must be positive for a ratio (RR); got -0.2."),
        ({"ci_lower": "0.00"}, "ci_lower must be positive for a ratio (RR); got 0.00."),
        ({"ci_lower": "<0.3"}, "ci_lower must be a number, not a bound; got <0.3."),
        ({"k": 0}, "k must be at least 1; got 0."),
        ({"n": -5}, "n must be at least 1; got -5."),
        ({"df": 0}, "df must be at least 1; got 0."),
        ({"level": 95}, "level must be between 0 and 1; got 95."),
        ({"p": "1.2"}, "p must be between 0 and 1; got 1.2."),
        ({"p_q": "-0.1"}, "p_q must be between 0 and 1; got -0.1."),
        ({"q": "-1.0"}, "q must be at least 0; got -1.0."),
        ({"tau2": "-0.1"}, "tau2 must be at least 0; got -0.1."),
        ({"i2": "101"}, "i2 must be between 0 and 100; got 101."),
    ],
)
def test_impossible_numbers_are_held_and_flagged(fields, problem):
    assert reported(**fields).problems() == (problem,)


def test_possible_numbers_are_not_flagged():
    assert reported(k=1, n=10, p="<0.000", q="0.00", df=1, p_q="1.0", tau2="0", i2="0").problems() == ()
    assert reported("SMD", "-0.2", "-0.5", "0.0").problems() == ()
    # Estimates that rounding alone sets beyond their limits.
    assert reported(estimate="1.14", ci_upper="1.1").problems() == ()
    assert reported(estimate="0.16", ci_lower="0.2").problems() == ()


def test_several_problems_are_all_told():
    assert len(reported(estimate="-1", ci_lower="-2", ci_upper="-3", k=0).problems()) == 5


def analysis(key="1.1", **fields):
    return Analysis(id=key, comparison="A versus B", outcome="death", timepoint="1 year", **fields)


def table(x=1.0):
    return pd.DataFrame({"study": ["A", "B"], "yi": [x, math.nan], "sei": [1.0, 2.0]})


def review(*analyses, **fields):
    return Review(id="r", title="R", doi="10.1/1", provenance="made up", analyses=analyses, **fields)


def test_basis_says_what_there_is_to_pool():
    assert analysis().basis == "not published"
    assert analysis(reported=reported()).basis == "published"
    assert analysis(reported=reported(), studies=table()).basis == "study data"


def test_a_review_gives_its_analyses_by_id_and_in_order():
    first, second = analysis("1.2"), analysis("1.1")
    r = review(first, second)
    assert r["1.1"] is second
    assert list(r) == [first, second]
    assert r.ids == ("1.2", "1.1")
    assert len(r) == 2
    with pytest.raises(KeyError, match=r"analysis must be one of 1\.2, 1\.1; got 'P1'"):
        r["P1"]


def test_analysis_ids_must_be_unique():
    with pytest.raises(ValueError, match=r"^analysis ids of r must be unique; repeated: 1\.1\.$"):
        review(analysis(), analysis())


def test_a_review_flags_its_problems_by_analysis():
    bad = analysis("1.2", reported=reported(ci_lower="1.1", ci_upper="0.2"))
    assert review(analysis(), bad).problems() == ("1.2: the interval is reversed: 1.1 to 0.2.",)


def test_analyses_and_reviews_are_equal_by_content():
    assert analysis(studies=table()) == analysis(studies=table())
    assert analysis(studies=table()) != analysis(studies=table(2.0))
    assert analysis(studies=table()) != analysis()
    assert analysis() != analysis(studies=table())
    assert analysis(reported=reported()) != analysis(reported=reported(k=2))
    assert analysis() != "1.1"
    assert review(analysis(studies=table()), arms=table()) == review(analysis(studies=table()), arms=table())
    assert review(analysis(), arms=table()) != review(analysis())
    assert review(analysis()) != review(analysis(), arms=table())
    assert review(analysis(studies=table())) != review(analysis(studies=table(2.0)))


def test_reviews_hold_tables_and_are_therefore_not_hashable():
    for value in (analysis(), review()):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)
