"""Events of arms whose risks follow beta distributions.

The events y of n participants are beta-binomial, with the log probability of a binomial and in addition::

    g(p/r, y) + g((1 - p)/r, n - y) - g(1/r, n),       g(a, m) = log Gamma(a + m) - log Gamma(a) - m log a

for Beta(p/r, (1 - p)/r), which goes to 0 with r. By log Gamma themselves it is a difference of huge numbers where r is
small, and a sampler would take the rounding for a posterior.

Abramowitz M, Stegun IA. Handbook of Mathematical Functions (1964), 6.1.15 (recurrence), 6.1.40 to 6.1.42 (series).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["beyond_binomial"]

SHIFT = np.arange(10.0)  # steps of the recurrence, beyond which the series leaves 1e-15


def beyond_binomial(events: Any, n: Any, p: Any, q: Any, r: Any, *, log1p: Callable[[Any], Any] = np.log1p) -> Any:
    """Log ratio of the beta-binomial to the binomial probability of events.

    Parameters
    ----------
    events, n
        Events and participants.
    p, q
        Mean risk, and one minus it.
    r
        Dispersion, 1 / (a + b) of the beta distribution.
    log1p
        PyTensor's, where these are its variables.

    Returns
    -------
    ndarray or TensorVariable
        Of the shape that all broadcast to.
    """
    return _rising(p / r, events, log1p) + _rising(q / r, n - events, log1p) - _rising(1 / r, n, log1p)


def _rising(a: Any, m: Any, log1p: Callable[[Any], Any]) -> Any:
    """g(a, m), by Stirling's series after the recurrence."""
    far = a + len(SHIFT)
    steps = m * log1p(len(SHIFT) / a) - log1p(m[..., None] / (a[..., None] + SHIFT)).sum(-1)
    return steps + (far + m - 0.5) * log1p(m / far) - m + _stirling(far + m) - _stirling(far)


def _stirling(x: Any) -> Any:
    """What log Gamma(x) exceeds (x - 1/2) log x - x + log(2 pi)/2 by."""
    z = 1 / x
    q = z**2
    return z * (1 / 12 - q * (1 / 360 - q * (1 / 1260 - q * (1 / 1680 - q * (1 / 1188 - q * 691 / 360360)))))
