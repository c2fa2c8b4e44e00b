from . import calibration, decisions, priors
from .absolute import absolute_effect, absolute_table
from .arms import adjust_clusters, combine_arms, split_control
from .auditing import audit
from .averaging import Averaged, average
from .batches import exact_batch
from .bias import BiasedEffects, DiscountedEffects
from .catalogue import list_reviews, load_review
from .categories import Categories
from .consistent import consistent_studies
from .cross_validation import compare_models, leave_one_out
from .diagnostics import diagnose
from .effects import EffectSizes, effect_sizes
from .exact import ExactFit, exact_fit
from .fits import Estimate, compare
from .frequentist import FrequentistFit, frequentist_fit
from .judgements import judged_high
from .mcmc import ConvergenceError, PymcFit, pymc_fit
from .measures import MEASURES, Measure
from .moderators import ModeratedEffects, how_much_is_prior
from .network_tables import inconsistency_table, league_table, rank_table
from .networks import Network
from .new_evidence import Prediction, predict_trial, update
from .new_trials import TrialSize, TrialToCome
from .outcomes import Outcomes
from .outside_evidence import Evidence, external_evidence
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
from .predictive_checks import predictive_checks, prior_predictive
from .priors import Priors
from .provenance import show_versions
from .readers import ReadError, read_review, read_table
from .reanalysis import Reanalysis, reanalyse
from .review import Analysis, Reported, Review
from .robust import RobustFit, robust_fit
from .robust_priors import RobustPriors, map_components, robust_prior, unit_information
from .sensitivity import (
    bias_sensitivity,
    conclusion_matrix,
    power_scaling,
    prior_grid,
    tau_evidence,
    tipping_bias,
    tipping_curve,
    tipping_point,
    tipping_range,
)
from .settings import Settings
from .sweeping import sweep
from .trial_planning import Rule, assurance
from .two_arms import Counts, Means

__all__ = [
    "Analysis",
    "Averaged",
    "BiasedEffects",
    "Categories",
    "ConvergenceError",
    "Counts",
    "DiscountedEffects",
    "EffectSizes",
    "Estimate",
    "Evidence",
    "ExactFit",
    "FrequentistFit",
    "MEASURES",
    "Means",
    "Measure",
    "ModeratedEffects",
    "Network",
    "Outcomes",
    "Prediction",
    "Priors",
    "PymcFit",
    "ReadError",
    "Reanalysis",
    "Reported",
    "Review",
    "RobustFit",
    "RobustPriors",
    "Rule",
    "Settings",
    "TrialSize",
    "TrialToCome",
    "absolute_effect",
    "absolute_table",
    "adjust_clusters",
    "assurance",
    "audit",
    "average",
    "bias_sensitivity",
    "calibration",
    "combine_arms",
    "compare",
    "compare_models",
    "conclusion_matrix",
    "consistent_studies",
    "decisions",
    "diagnose",
    "effect_sizes",
    "exact_batch",
    "exact_fit",
    "external_evidence",
    "frequentist_fit",
    "how_much_is_prior",
    "inconsistency_table",
    "judged_high",
    "league_table",
    "leave_one_out",
    "list_reviews",
    "load_review",
    "map_components",
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
    "predict_trial",
    "predictive_checks",
    "prior_grid",
    "prior_predictive",
    "priors",
    "pymc_fit",
    "rank_table",
    "read_review",
    "read_table",
    "reanalyse",
    "robust_fit",
    "robust_prior",
    "show_versions",
    "split_control",
    "sweep",
    "tau_evidence",
    "tipping_bias",
    "tipping_curve",
    "tipping_point",
    "tipping_range",
    "unit_information",
    "update",
]

__version__: str
