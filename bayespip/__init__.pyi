from . import priors
from .catalogue import list_reviews, load_review
from .consistent import consistent_studies
from .effects import EffectSizes, effect_sizes
from .exact import ExactFit, exact_fit
from .fits import Estimate, compare
from .frequentist import FrequentistFit, frequentist_fit
from .mcmc import ConvergenceError, PymcFit, pymc_fit
from .measures import MEASURES, Measure
from .priors import Priors
from .reanalysis import Reanalysis, reanalyse
from .review import Analysis, Reported, Review

__all__ = [
    "Analysis",
    "ConvergenceError",
    "EffectSizes",
    "Estimate",
    "ExactFit",
    "FrequentistFit",
    "MEASURES",
    "Measure",
    "Priors",
    "PymcFit",
    "Reanalysis",
    "Reported",
    "Review",
    "compare",
    "consistent_studies",
    "effect_sizes",
    "exact_fit",
    "frequentist_fit",
    "list_reviews",
    "load_review",
    "priors",
    "pymc_fit",
    "reanalyse",
]

__version__: str
