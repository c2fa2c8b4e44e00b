"""Answers of a tipping point, and their sentences."""

from __future__ import annotations

import math

import pytest

from bayespip.fits import Estimate
from bayespip.sensitivity.points import TippingPoint, TippingRange


def point(on="tau", holds=((0.0, 0.31),), family="half-normal"):
    return TippingPoint(
        on, family, "flat", "the 95% interval of mu excludes no effect", "above", holds, (1e-4, 1e5), Estimate(1, 0, 2)
    )


EVER = ((0.0, math.inf),)


@pytest.mark.parametrize(
    ("found", "answer", "scale", "text"),
    [
        (point(), "tips", 0.31, "lost once tau's half-normal scale exceeds 0.31"),
        (point(family="uniform"), "tips", 0.31, "lost once the scale of tau's uniform prior exceeds 0.31"),
        (point(holds=EVER), "never", math.inf, "holds whatever tau's half-normal scale"),
        (point(holds=()), "always", 0.0, "does not hold whatever tau's half-normal scale"),
        (point(holds=((0.1, 0.5),)), "tips", 0.5, "holds only where tau's half-normal scale is 0.1 to 0.5"),
        (point(holds=((0.1, math.inf),)), "tips", 0.1, "lost once tau's half-normal scale falls below 0.1"),
        (
            point(holds=((0.0, 0.2), (0.4, math.inf))),
            "tips",
            0.2,
            "holds only where tau's half-normal scale is 0 to 0.2 or 0.4 and more",
        ),
        (
            point("mu", ((0.7, math.inf),)),
            "tips",
            0.7,
            "lost once the SD of a sceptical normal prior on mu falls below 0.7",
        ),
        (point("mu", EVER), "never", 0.0, "holds whatever the SD of a sceptical normal prior on mu"),
        (point("mu", ()), "always", math.inf, "does not hold whatever the SD of a sceptical normal prior on mu"),
        (
            point("mu", ((0.2, 0.4), (0.7, math.inf))),
            "tips",
            0.7,
            "holds only where the SD of a sceptical normal prior on mu is 0.2 to 0.4 or 0.7 and more",
        ),
    ],
)
def test_answers_and_sentences(found, answer, scale, text):
    assert (found.answer, found.scale, str(found)) == (answer, scale, text)


def test_a_range_over_members():
    spread = TippingRange(point(), point(holds=((0.0, 0.12),)), point(holds=EVER))
    assert str(spread) == (
        "lost once tau's half-normal scale exceeds 0.31 at the equal-variance member "
        "(0.12 to never lost over the members)"
    )
    lost, held = point(holds=()), point(holds=EVER)
    assert str(TippingRange(lost, lost, lost)) == "does not hold whatever tau's half-normal scale, in every member"
    assert str(TippingRange(held, held, held)) == "holds whatever tau's half-normal scale, in every member"
    assert str(TippingRange(point(), point(), point())).endswith("(0.31 in all members)")
    assert str(TippingRange(point(), lost, lost)).endswith("(always lost in all members)")


def test_rows_for_a_table():
    spread = TippingRange(point(), point(holds=()), point(holds=((0.0, 0.5),)))
    assert spread.row == point().row | {
        "answer_min": "always",
        "answer_max": "tips",
        "scale_min": 0.0,
        "scale_max": 0.5,
        "sentence": str(spread),
    }
    assert point().row["answer"] == "tips"
