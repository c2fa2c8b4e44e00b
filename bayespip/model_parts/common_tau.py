"""The distribution that the between-study SDs of several outcomes have in common.

Each tau_j is a typical tau times a ratio::

    tau_j = tau_typical x ratio_j

    "log-normal"     ratio_j = exp(tau_spread z_j),  z_j ~ N(0, 1),  tau_spread ~ half-normal(0.5)
    "half-normal"    ratio_j = |z_j| / 0.6745

so that tau_typical is the median of the common distribution in both, and the SD of log tau_j is tau_spread or, of a
half-normal variable, 1.11.

Why half-normal(0.5) on the spread: over all meta-analyses of the Cochrane Library log tau has an SD of 1.74 / 2 = 0.87
(Turner RM et al. Stat Med 2015;34:984-998: log tau^2 ~ N(-2.56, 1.74^2)), and the outcomes of one review, with one kind
of intervention, should differ less. The prior has its median at 0.34 (two thirds of the outcomes within a factor of
1.4 of the typical tau) and 0.87 at its 92% point. The idea of learning tau from other meta-analyses: Higgins JPT,
Whitehead A. Borrowing strength from external trials in a meta-analysis. Stat Med 1996;15:2733-2749.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bayespip.priors.types import GivenDensity, Prior

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["ACROSS", "HALF_NORMAL_MEDIAN", "SPREAD", "draw_tau", "implied_tau", "require_across"]

ACROSS = ("log-normal", "half-normal")
SPREAD = np.float64(0.5)  # scale of the half-normal prior on the SD of log tau
HALF_NORMAL_MEDIAN = np.float64(0.6744897501960817)  # of |z|
_AT_A_TIME = 1000  # densities computed together, for memory


def require_across(across: str) -> None:
    """Refuse an unknown distribution.

    Raises
    ------
    ValueError
        If across is not one of ACROSS.
    """
    if across not in ACROSS:
        raise ValueError(f"across must be one of {', '.join(ACROSS)}; got {across!r}.")


def draw_tau(
    typical: Prior, across: str, rng: np.random.Generator, size: tuple[int, ...], outcomes: int
) -> dict[str, Array]:
    """Draws of tau of each outcome from the prior, and of what it is made of.

    Returns
    -------
    dict
        ``tau`` and ``z``, shape (*size, outcomes); ``tau_typical`` and, with "log-normal", ``tau_spread``, shape size.
    """
    scale, z = typical.rvs(size, rng), rng.normal(size=(*size, outcomes))
    drawn = {"tau_typical": scale}
    if across == "half-normal":
        z = np.abs(z)
        ratio = z / HALF_NORMAL_MEDIAN
    else:
        drawn["tau_spread"] = np.abs(rng.normal(scale=SPREAD, size=size))
        ratio = np.exp(drawn["tau_spread"][..., None] * z)
    return drawn | {"z": z, "tau": scale[..., None] * ratio}


def implied_tau(typical: Prior, across: str = "log-normal") -> Prior:
    """The prior that a single outcome's tau has when the typical tau has this one.

    Under it ``exact_fit`` of one outcome differs from ``pooled_tau`` only by what the other outcomes lend.

    Parameters
    ----------
    typical
        Proper prior on tau_typical, without an upper bound.
    across
        "log-normal" or "half-normal".

    Returns
    -------
    Prior
        Its density E[p(tau / ratio) / ratio], by quadrature over the ratio.

    Raises
    ------
    ValueError
        If the prior is improper or ends at an upper bound (over which the rule would step), or across is not one of
        the choices.
    """
    require_across(across)
    if not typical.proper or math.isfinite(typical.upper_bound):
        raise ValueError(f"typical must be a proper prior on tau without an upper bound; got {typical}.")
    log_ratio, log_weight = _ratios(across)

    def logpdf(tau: Array) -> Array:
        from scipy.special import logsumexp

        def part(some: Array) -> Array:
            with np.errstate(divide="ignore", over="ignore"):
                terms = typical.logpdf(some[:, None] * np.exp(-log_ratio)) - log_ratio + log_weight
            return np.asarray(logsumexp(terms, axis=1))

        flat = np.ravel(tau)
        return np.concatenate([part(some) for some in np.array_split(flat, flat.size // _AT_A_TIME + 1)]).reshape(
            np.shape(tau)
        )

    # K0 below falls like exp(-|x| / SPREAD), a power of the ratio
    tail = min(typical.tail, float(1 / SPREAD) + 1) if across == "log-normal" else typical.tail
    given = GivenDensity(f"{across} about {typical}", logpdf, tail, proper=True)
    return Prior("density", (), typical.source, given)


def _ratios(across: str) -> tuple[Array, Array]:
    """Nodes of the log ratio and their log weights, for the trapezoidal rule."""
    from scipy.special import k0e

    if across == "half-normal":
        # log |z| from where the mass below is 1e-16
        x, step = np.linspace(math.log(1e-16), math.log(9.0), 800, retstep=True)
        weight = 2 * np.exp(-np.exp(2 * x) / 2 + x) / math.sqrt(2 * math.pi) * step
        return x - math.log(HALF_NORMAL_MEDIAN), np.log(weight)
    # tau_spread z is a product of two centred normals: density K0(|x| / SPREAD) / (pi SPREAD), with a logarithm's pole
    # at zero that x / SPREAD = exp(w - exp(-w)) takes away (Takahasi & Mori 1974, Publ RIMS 9:721)
    w, step = np.linspace(-4.2, 4.0, 411, retstep=True)
    t = np.exp(w - np.exp(-w))
    log_weight = np.log(k0e(t)) - t + np.log(t * (1 + np.exp(-w)) * step / math.pi)
    return SPREAD * np.concatenate([-t[::-1], t]), np.concatenate([log_weight[::-1], log_weight])
