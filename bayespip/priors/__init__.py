"""Priors on the average effect mu and on the between-study standard deviation tau.

All are on the model scale: log for ratios. Scales are standard deviations, not variances.
"""

from bayespip.priors.constructors import (
    density,
    exponential,
    flat,
    half_cauchy,
    half_normal,
    half_t,
    inverse_gamma,
    log_normal,
    log_t,
    lomax,
    normal,
    normal_mixture,
    root_inverse_gamma,
    student_t,
    truncated_student_t,
    uniform,
)
from bayespip.priors.families import FAMILIES, Family
from bayespip.priors.from_data import du_mouchel, jeffreys, uniform_i2, uniform_shrinkage
from bayespip.priors.lookup import catalogue, empirical, published
from bayespip.priors.scales import converted, require_measure
from bayespip.priors.types import Prior, Priors

__all__ = [
    "FAMILIES",
    "Family",
    "Prior",
    "Priors",
    "catalogue",
    "converted",
    "density",
    "du_mouchel",
    "empirical",
    "exponential",
    "flat",
    "half_cauchy",
    "half_normal",
    "half_t",
    "inverse_gamma",
    "jeffreys",
    "log_normal",
    "log_t",
    "lomax",
    "normal",
    "normal_mixture",
    "published",
    "require_measure",
    "root_inverse_gamma",
    "student_t",
    "truncated_student_t",
    "uniform",
    "uniform_i2",
    "uniform_shrinkage",
]
