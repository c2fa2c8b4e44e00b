from . import decisions, priors
from .absolute import absolute_effect, absolute_table
from .arms import adjust_clusters, combine_arms, split_control
from .auditing import audit
from .averaging import Averaged, average
from .batches import exact_batch
from .catalogue import list_reviews, load_review
from .consistent import consistent_studies
from .effects import EffectSizes, effect_sizes
from .exact import ExactFit, exact_fit
from .fits import Estimate, compare
from .frequentist import FrequentistFit, frequentist_fit
from .mcmc import ConvergenceError, PymcFit, pymc_fit
from .measures import MEASURES, Measure
from .plots import (
    plot_checks,
    plot_comparison,
    plot_forest,
    plot_funnel,
    plot_joint,
    plot_matrix,
    plot_models,
    plot_predictive,
    plot_rob,
    plot_sensitivity,
    plot_shrinkage,
    plot_tau,
    plot_tipping,
)
from .priors import Priors
from .readers import ReadError, read_review, read_table
from .reanalysis import Reanalysis, reanalyse
from .review import Analysis, Reported, Review
from .sensitivity import (
    conclusion_matrix,
    power_scaling,
    prior_grid,
    tau_evidence,
    tipping_curve,
    tipping_point,
    tipping_range,
)
from .settings import Settings

__all__ = [
    "Analysis",
    "Averaged",
    "ConvergenceError",
    "EffectSizes",
    "Estimate",
    "ExactFit",
    "FrequentistFit",
    "MEASURES",
    "Measure",
    "Priors",
    "PymcFit",
    "ReadError",
    "Reanalysis",
    "Reported",
    "Review",
    "Settings",
    "absolute_effect",
    "absolute_table",
    "adjust_clusters",
    "audit",
    "average",
    "combine_arms",
    "compare",
    "conclusion_matrix",
    "consistent_studies",
    "decisions",
    "effect_sizes",
    "exact_batch",
    "exact_fit",
    "frequentist_fit",
    "list_reviews",
    "load_review",
    "plot_checks",
    "plot_comparison",
    "plot_forest",
    "plot_funnel",
    "plot_joint",
    "plot_matrix",
    "plot_models",
    "plot_predictive",
    "plot_rob",
    "plot_sensitivity",
    "plot_shrinkage",
    "plot_tau",
    "plot_tipping",
    "power_scaling",
    "prior_grid",
    "priors",
    "pymc_fit",
    "read_review",
    "read_table",
    "reanalyse",
    "split_control",
    "tau_evidence",
    "tipping_curve",
    "tipping_point",
    "tipping_range",
]

__version__: str
