"""Reports that several test modules look at, each made once a run; all data simulated."""

from functools import cache

import numpy as np
import pandas as pd

import bayespip as bp
from bayespip import priors

TWO = (
    bp.Priors(priors.normal(0, 2.82, "Gunhan 2020"), priors.half_normal(0.5, "Friede 2017"), name="weak"),
    bp.Priors(priors.flat(), priors.half_cauchy(0.5, "Rover 2021"), name="wide"),
)
SCRIPT = "<script>document.title='broken'</script>"
QUOTES = '"O\'Neil" & `Sons` \\ </script><!--'
RTL = "דוגמה מומצאת (RTL)"
LONG = "Long name " + "x" * 190
FORMULA = '=HYPERLINK("http://invalid.example","simulated")'
MATHS = "$\\frac{1}{0}$ {{ 7 * 7 }} {% raw %}"
NAMES = (SCRIPT, QUOTES, RTL, LONG, FORMULA, MATHS)


def simulated_analysis(number, outcome, names, seed, measure="RR"):
    """Effects of as many trials as names, simulated."""
    rng = np.random.default_rng(seed)
    sei = rng.uniform(0.15, 0.5, len(names))
    yi = rng.normal(-0.3, np.hypot(sei, 0.2))
    studies = pd.DataFrame({"study": pd.Series(list(names), dtype="str"), "yi": yi, "sei": sei})
    return bp.Analysis(
        id=f"{number}", comparison="Exercise versus waiting list", outcome=outcome, timepoint="",
        measure=bp.MEASURES[measure], studies=studies, favours="lower",
    )  # fmt: skip


@cache
def hostile():
    """A simulated review whose names are markup, formulas, right-to-left, long."""
    analyses = (
        simulated_analysis("1.1", f"Recovery {SCRIPT}", NAMES, 1),
        simulated_analysis("1.2", RTL, [*NAMES[:3], "Simulated trial"], 2, "OR"),
        simulated_analysis("1.3", LONG, ["Simulated trial A", "Simulated trial B"], 3),
    )
    review = bp.Review(
        id="simulated", title=f"A simulated review {QUOTES}", doi="10.0000/simulated?<b>&",
        provenance=f"Simulated for the tests; no trial was run. {SCRIPT}", analyses=analyses,
        notes=(f"Simulated note {FORMULA}",),
    )  # fmt: skip
    return bp.reanalyse(review, TWO, with_pymc=False)


@cache
def small():
    """Three published results, without bounds."""
    ids = ("P1", "P2", "P13")
    return bp.reanalyse(bp.load_review("pip"), TWO, analyses=ids, with_pymc=False, with_bounds=False)


@cache
def bundled():
    """All published results of the bundled review under all default priors, without bounds."""
    return bp.reanalyse(bp.load_review("pip"), with_pymc=False, with_bounds=False)


@cache
def many(number):
    """A simulated review of many analyses."""
    names = [f"Simulated trial {i}" for i in range(8)]
    analyses = tuple(simulated_analysis(f"1.{i + 1}", f"Simulated outcome {i + 1}", names, i) for i in range(number))
    review = bp.Review(
        id="simulated", title="A simulated review of many analyses", doi="", provenance="Simulated for the tests.",
        analyses=analyses,
    )  # fmt: skip
    return bp.reanalyse(review, TWO, with_pymc=False)
