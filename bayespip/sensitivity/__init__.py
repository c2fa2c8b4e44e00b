"""What the priors do to a conclusion: grids, tipping points, power-scaling, the conclusion matrix, evidence on tau."""

from bayespip.sensitivity.evidence import TauEvidence, tau_evidence
from bayespip.sensitivity.grid import as_dataset, default_grid, prior_grid
from bayespip.sensitivity.matrix import RULE, conclusion_matrix, conclusion_rows, sentence
from bayespip.sensitivity.members import tipping_range
from bayespip.sensitivity.paths import TippingCurve, tipping_curve
from bayespip.sensitivity.points import TippingPoint, TippingRange
from bayespip.sensitivity.scaled_priors import power_scaled, power_scaling
from bayespip.sensitivity.tipping import SCEPTICAL, tipping_point

__all__ = [
    "RULE",
    "SCEPTICAL",
    "TauEvidence",
    "TippingCurve",
    "TippingPoint",
    "TippingRange",
    "as_dataset",
    "conclusion_matrix",
    "conclusion_rows",
    "default_grid",
    "power_scaled",
    "power_scaling",
    "prior_grid",
    "sentence",
    "tau_evidence",
    "tipping_curve",
    "tipping_point",
    "tipping_range",
]
