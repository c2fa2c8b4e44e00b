"""Which posteriors of the normal-normal model are proper, and which of their moments exist.

Let the prior on tau fall like tau^-a and the prior on mu like |mu|^-b (flat: b = 0; Student-t with nu degrees
of freedom: b = nu + 1; normal: b infinite). Every sei is positive, so the likelihood is bounded and the tails
decide. Far out the likelihood is tau^-k g(mu / tau) with g(x) = exp(-k x^2 / 2), up to a constant:

- integrated over mu it is tau^-(k-1) under a flat prior and tau^-k under a proper one, so the posterior of
  tau falls like tau^-(a+k-1) or tau^-(a+k): proper iff that exponent exceeds 1 (both flat: a = 0, hence the
  three studies of Gelman 2006, Bayesian Analysis 1:515, section 2.2);
- integrated over tau, by tau = |mu| t, it is |mu|^-(a+k-1), so that of mu falls like |mu|^-(a+b+k-1);
- a new effect is mu plus tau times a standard normal deviate, so it needs the moments of both.

The effect theta_i given mu and tau is yi shrunk towards mu with weight sei^2 / (sei^2 + tau^2). A far mu
comes with a tau as large, which takes that weight away, so all moments of every theta_i exist.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayespip.priors import Prior, Priors

__all__ = ["missing_moment", "moment_exists", "require_proper_posterior", "resolvable_moments"]


def require_proper_posterior(k: int, priors: Priors) -> None:
    """Refuse an improper posterior of the normal-normal model.

    A proper prior on tau always gives a proper posterior. An improper one with tail tau^-a does iff it is
    integrable at zero and a + k - 1 > 1 (flat mu) or a + k > 1 (proper mu).

    Parameters
    ----------
    k
        Number of studies.
    priors
        Priors on mu and tau.

    Raises
    ------
    ValueError
        If the posterior is improper; the message gives k, a, the rule and what to choose instead.
    """
    tau = priors.tau
    if tau.proper:
        return
    if _diverges_at_zero(tau):
        raise ValueError(
            f"the posterior under {priors} is improper for any number of studies: that density of tau is not "
            f"integrable at zero, where the likelihood stays positive. {_CHOOSE}."
        )
    if _tau_tail(k, priors) > 1:
        return
    rule, total = ("a + k > 1", tau.tail + k) if priors.mu.proper else ("a + k - 1 > 1", tau.tail + k - 1)
    needed = math.floor((1 if priors.mu.proper else 2) - tau.tail) + 1
    helps = not priors.mu.proper and tau.tail + k > 1
    other = ", or a proper prior on mu such as normal(0, 2.82)" if helps else ""
    raise ValueError(
        f"the posterior under {priors} is improper for k = {k} {'study' if k == 1 else 'studies'}: with "
        f"{'a proper' if priors.mu.proper else 'a flat'} prior on mu, a prior on tau with tail tau^-a needs "
        f"{rule}; here a = {tau.tail:g} gives {total:g}, and at least {needed} studies are needed. "
        f"{_CHOOSE}{other}."
    )


def moment_exists(k: int, priors: Priors, order: float, of: str) -> bool:
    """Whether the posterior expectation of |x|^order is finite.

    Parameters
    ----------
    k
        Number of studies.
    priors
        Priors on mu and tau.
    order
        Order m > 0 of the absolute moment: 1 for a mean, 2 for an SD.
    of
        "tau": m < a + k - 2 with a flat mu, m < a + k - 1 with a proper one. "mu": m < a + b + k - 2, where b
        is the tail exponent of the prior on mu. "theta_new": both.

    Returns
    -------
    bool
        False also where the posterior is improper.

    Raises
    ------
    ValueError
        If the order is not positive or ``of`` is not one of the three.
    """
    if not order > 0:
        raise ValueError(f"order must be positive; got {order!r}.")
    tau_tail = _tau_tail(k, priors)
    tails = {"tau": tau_tail, "mu": priors.tau.tail + priors.mu.tail + k - 1}
    tails["theta_new"] = min(tails.values())
    if of not in tails:
        raise ValueError(f"of must be one of {', '.join(tails)}; got {of!r}.")
    if not priors.tau.proper and (tau_tail <= 1 or _diverges_at_zero(priors.tau)):
        return False
    return tails[of] - order > 1


def resolvable_moments(k: int, priors: Priors) -> tuple[float, ...]:
    """Orders 0, 1 and 2 of tau whose posterior expectations can be had in double precision."""
    return 0.0, *(m for m in (1.0, 2.0) if moment_exists(k, priors, m + _SLOWEST_TAIL, "tau"))


def missing_moment(k: int, priors: Priors, of: str) -> tuple[int, float, bool] | None:
    """The first of mean and SD that cannot be had, of "mu", "tau" or "theta_new".

    Returns
    -------
    None if both can; otherwise its order, 1 or 2, what stands for it (inf or nan), and whether it exists all the
    same. Where the mean cannot be had, neither can the SD.
    """
    for order in (1, 2):
        if not moment_exists(k, priors, order + _SLOWEST_TAIL, of):
            exists = moment_exists(k, priors, order, of)
            # a mean that does not exist is infinite where only one tail is too heavy
            infinite = not exists and (order == 2 or of == "tau")
            return order, math.inf if infinite else math.nan, exists
    return None


# Where the integrand of a moment falls like tau^-(1 + this) or more slowly, the range of doubles does not
# hold enough of it: exp(-0.1 * 300) is 1e-13, and tau is at most exp(300).
_SLOWEST_TAIL = 0.1

_CHOOSE = "Choose a proper prior on tau such as half_normal(0.5)"

# Small enough to be deep in any prior's limit at zero, large enough that their squares do not underflow.
_NEAR_ZERO = (1e-140, 1e-100)


def _tau_tail(k: int, priors: Priors) -> float:
    """Exponent of the tail of the posterior of tau."""
    return priors.tau.tail + k - (0 if priors.mu.proper else 1)


def _diverges_at_zero(tau: Prior) -> bool:
    """Whether an improper density behaves like tau^-c with c >= 1 at zero (1 / tau is the usual one)."""
    log_density = tau.logpdf(np.array(_NEAR_ZERO))
    if not np.isfinite(log_density).all():
        return bool(np.isposinf(log_density).any())
    slope = (log_density[1] - log_density[0]) / math.log(_NEAR_ZERO[1] / _NEAR_ZERO[0])
    return bool(slope <= -1 + 1e-9)
