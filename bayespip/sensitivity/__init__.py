"""What the priors do to a conclusion: grids, tipping points, power-scaling, the conclusion matrix, evidence on tau."""

from bayespip.sensitivity.bias import TippingBias, bias_sensitivity, tipping_bias
from bayespip.sensitivity.evidence import TauEvidence, tau_evidence
from bayespip.sensitivity.grid import as_dataset, default_grid, prior_grid
from bayespip.sensitivity.matrix import RULE, conclusion_matrix, conclusion_rows, sentence
from bayespip.sensitivity.members import tipping_range
from bayespip.sensitivity.paths import TippingCurve, tipping_curve
from bayespip.sensitivity.points import TippingPoint, TippingRange
from bayespip.sensitivity.predictions import assurance_over_members, predict_over_members
from bayespip.sensitivity.scaled_priors import power_scaled, power_scaling
from bayespip.sensitivity.tipping import SCEPTICAL, tipping_point
from bayespip.sensitivity.within_trial import correlation_grid

__all__ = [
    "RULE",
    "SCEPTICAL",
    "TauEvidence",
    "TippingBias",
    "TippingCurve",
    "TippingPoint",
    "TippingRange",
    "as_dataset",
    "assurance_over_members",
    "bias_sensitivity",
    "conclusion_matrix",
    "conclusion_rows",
    "correlation_grid",
    "default_grid",
    "power_scaled",
    "power_scaling",
    "predict_over_members",
    "prior_grid",
    "sentence",
    "tau_evidence",
    "tipping_bias",
    "tipping_curve",
    "tipping_point",
    "tipping_range",
]
