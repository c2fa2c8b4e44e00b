"""Limits of intervals in place of standard errors: on either scale, as exact as they are printed."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayespip.measures import MEASURES
from bayespip.readers import ReadError, read_table


@pytest.mark.parametrize(
    "names", [("ci_lower", "ci_upper"), ("lower", "upper"), ("ci.lb", "ci.ub"), ("CI LB", "ci.UB")]
)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_limits_become_standard_errors(names, level):
    z = stats.norm.ppf((1 + level) / 2)
    frame = pd.DataFrame({"study": ["A", "B"], "yi": [0.25, -1.5], "se": [0.125, 1e-3]})
    frame[names[0]], frame[names[1]] = frame["yi"] - z * frame["se"], frame["yi"] + z * frame["se"]
    table = read_table(frame.drop(columns="se"), "MD", level=level)
    assert table.columns.tolist() == ["study", "yi", "sei"]
    np.testing.assert_allclose(table["sei"], frame["se"], rtol=1e-12)
    # A standard error that is there is preferred, and the limits are kept.
    assert read_table(frame, "MD", level=level).columns.tolist() == ["study", "yi", "sei", *names]


@pytest.mark.parametrize(("measure", "g"), [("HR", np.log), ("ZCOR", np.arctanh), ("MD", lambda x: x)])
def test_what_is_printed_on_the_display_scale_is_transformed(measure, g):
    frame = pd.DataFrame(
        {"study": ["A"], "yi": [0.5], "lower": [0.2], "upper": [float(MEASURES[measure].display(2 * g(0.5) - g(0.2)))]}
    )
    table = read_table(frame, measure, scale="display")
    z = stats.norm.ppf(0.975)
    assert table["yi"][0] == pytest.approx(float(g(0.5)), rel=1e-15)
    assert table["sei"][0] == pytest.approx(float(g(0.5) - g(0.2)) / z, rel=1e-12)


def test_standard_errors_are_on_the_model_scale_whatever_the_scale_of_estimates():
    # As RevMan prints generic inverse variance: the ratio, and the SE of its logarithm.
    frame = pd.DataFrame({"study": ["A"], "yi": [0.5], "sei": [0.25]})
    table = read_table(frame, "HR", scale="display")
    assert table.to_numpy().tolist() == [["A", math.log(0.5), 0.25]]


@pytest.mark.parametrize("decimals", [1, 2, 3])
@given(estimate=st.floats(-1, 1), se=st.floats(0.05, 0.5))
def test_no_interval_is_refused_for_its_rounding(decimals, estimate, se):
    z = stats.norm.ppf(0.975)
    printed = [f"{math.exp(x):.{decimals}f}" for x in (estimate, estimate - z * se, estimate + z * se)]
    if float(printed[1]) in (0, float(printed[2])):
        return
    frame = pd.DataFrame([["A", *printed]], columns=["study", "yi", "lower", "upper"])
    table = read_table(frame, "OR", scale="display")
    low, high = (math.log(float(x)) for x in printed[1:])
    assert table["sei"][0] == pytest.approx((high - low) / (2 * z), rel=1e-14)


def test_an_asymmetric_interval_is_refused_with_both_half_widths(tmp_path):
    text = "study;yi;lower;upper\nA;0,80;0,50;1,28\nB;1,10;0,90;1,50\n"
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    message = (
        "table.csv, row 3, column yi: expected the estimate of B in the middle of its interval on the log scale, where "
        "it is 0.200671 above the lower and 0.310155 below the upper limit; found 1,10."
    )
    with pytest.raises(ReadError, match=f"^{re.escape(message)}$"):
        read_table(path, "HR", scale="display")
    with pytest.raises(ReadError, match=r"row 2, .* 0\.3 above .* 0\.48 below .* need scale='display'\); found 0,80"):
        read_table(path, "HR")
    # The last printed digit decides: 1.2 may be 1.16, which is the middle of 0.9 and 1.5; 1.20 may not.
    for printed, fits in (("1,2", True), ("1,20", False), ("1,16", True)):
        path.write_text(f"study;yi;lower;upper\nB;{printed};0,90;1,50\n", encoding="utf-8")
        if fits:
            read_table(path, "HR", scale="display")
        else:
            with pytest.raises(ReadError, match="expected the estimate of B in the middle"):
                read_table(path, "HR", scale="display")


@pytest.mark.parametrize(
    ("row", "scale", "message"),
    [
        (
            (1.0, 0.5, 0.5),
            "model",
            "row 1, column lower: expected a lower limit below the upper one of 0.5; found 0.5.",
        ),
        (
            (1.0, 2.0, 0.5),
            "model",
            "row 1, column lower: expected a lower limit below the upper one of 0.5; found 2.0.",
        ),
        ((1.0, 0.0, 2.0), "display", "row 1, column lower: expected a number between 0 and inf; found 0.0."),
        ((0.0, 0.5, 2.0), "display", "row 1, column yi: expected an estimate between 0 and inf; found 0.0."),
        ((1.0, None, 2.0), "display", "row 1, column lower: expected a number between 0 and inf; found nothing."),
        ((None, 0.5, 2.0), "model", "row 1, column yi: expected a number; found nothing."),
    ],
)
def test_impossible_limits_are_refused(row, scale, message):
    frame = pd.DataFrame([["A", *row]], columns=["study", "yi", "lower", "upper"])
    with pytest.raises(ReadError, match=f"^the table, {re.escape(message)}$"):
        read_table(frame, "OR", scale=scale)
