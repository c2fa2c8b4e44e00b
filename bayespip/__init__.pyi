from . import calibration, decisions, priors
from .absolute import absolute_effect, absolute_table
from .auditing import audit
from .averaging import Averaged, average
from .catalogue import list_reviews, load_review
from .cross_validation import compare_models, leave_one_out
from .effects import EffectSizes, effect_sizes
from .exact.batches import exact_batch
from .exact.fit import ExactFit, exact_fit
from .fits import Estimate, compare
from .frequentist.fit import FrequentistFit, frequentist_fit
from .mcmc.diagnostics import diagnose
from .mcmc.fit import ConvergenceError, PymcFit, pymc_fit
from .measures import MEASURES, Measure
from .model_data.bias import BiasedEffects, DiscountedEffects
from .model_data.categories import Categories
from .model_data.judgements import judged_high
from .model_data.moderators import ModeratedEffects, how_much_is_prior
from .model_data.networks import Network
from .model_data.new_trials import TrialSize, TrialToCome
from .model_data.outcomes import Outcomes
from .model_data.two_arms import Counts, Means
from .network_tables import inconsistency_table, league_table, rank_table
from .new_evidence.outside import Evidence, external_evidence
from .new_evidence.planning import SuccessRule, assurance
from .new_evidence.prediction import Prediction, predict_trial, updated_fit
from .new_evidence.robust_fit import RobustFit, robust_fit
from .new_evidence.robust_priors import RobustPriors, map_components, robust_prior, unit_information
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
from .published_only.consistent import consistent_studies
from .readers import ReadError, read_review, read_table
from .reanalysis.job import Reanalysis, reanalyse
from .review import Analysis, Reported, Review
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
from .study_data.arms import adjust_clusters, combine_arms, split_control
from .sweeping import sweep

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
    "Settings",
    "SuccessRule",
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
    "updated_fit",
]

__version__: str
