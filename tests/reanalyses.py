"""Re-analyses that several test modules look at, each computed once a run; nobody may change them."""

from functools import cache

import bayespip as bp
from bayespip import priors

TWO = (
    bp.Priors(priors.normal(0, 2.82, "Gunhan 2020"), priors.half_normal(0.5, "Friede 2017"), name="weak"),
    bp.Priors(priors.flat(), priors.half_cauchy(0.5, "Rover 2021"), name="wide"),
)
IDS = ("P1", "P2", "P7", "P13", "N9")


@cache
def published():
    """Outcomes of which only pooled numbers were published, with bounds, under two priors."""
    return bp.reanalyse(bp.load_review("pip"), TWO, analyses=IDS, with_pymc=False)


@cache
def study_data():
    """The BCG trials under the default priors."""
    return bp.reanalyse(bp.load_review("bcg"), with_pymc=False)


@cache
def sampled():
    """Eight schools with both engines."""
    weak = bp.Priors(priors.normal(0, 50, "test"), priors.half_normal(10, "test"), name="weak")
    wide = bp.Priors(priors.flat(), priors.half_cauchy(10, "test"), name="wide")
    return bp.reanalyse(bp.load_review("coaching"), (weak, wide))
