"""Random-effects network meta-analysis: several treatments at once, contrast-based, consistent, with one tau.

Trial i compares its arms 1 ... p_i with its first, b. With y_i the p_i effects and S_i the covariance of their sampling
errors, taken as known (beside the diagonal the variance of the shared first arm)::

    y_i     ~ N(delta_i, S_i)
    delta_i ~ N(X_i d, tau^2 R)        R[j, j] = 1, R[j, l] = 1/2
    d_t     ~ priors.mu, each          effect of treatment t against the reference, whose own is 0

Consistency is the row of X_i: the effect of arm a is d_a - d_b. The halves in R follow from one tau for every pair of
treatments, so that three arms are no more alike in one pair than in another. delta integrated out::

    y_i     ~ N(X_i d, S_i + tau^2 R)

One matrix W_i diagonalises both, W_i R W_i' = I and W_i S_i W_i' = diag(v_i) (R = L L', then the eigenvectors of
L^-1 S_i L^-T). It does not depend on tau, so that a trial of any number of arms is p_i independent normals::

    W_i (y_i - X_i d) ~ N(0, diag(v_i) + tau^2 I),     density of y_i: times |det W_i|, where det W_i^2 = 1 / det R

With two treatments this is the normal-normal model.

Node-splitting (Dias 2010): in a network split at a comparison, X_i refers the direct evidence on it to a parameter of
its own; the difference of the two d that it belongs to remains, as the indirect evidence.

Lu G, Ades AE. Combination of direct and indirect evidence in mixed treatment comparisons. Stat Med 2004;23:3105-3124;
Dias S, Sutton AJ, Ades AE, Welton NJ. Med Decis Making 2013;33:607-617 (NICE TSD 2), of trials with several arms;
Dias S, Welton NJ, Caldwell DM, Ades AE. Checking consistency in mixed treatment comparison meta-analysis. Stat Med
2010;29:932-944. Two forms diagonalised at once: Golub GH, Van Loan CF. Matrix Computations (2013), section 8.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayespip.model_data.networks import Network
from bayespip.models import About

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bayespip.priors import Priors
    from bayespip.reanalysis.cases import Case

    Array = NDArray[np.float64]

__all__ = [
    "ABOUT",
    "build",
    "check",
    "complete",
    "coords",
    "data_of",
    "draw_data",
    "draw_prior",
    "log_predictive",
    "values",
]

ABOUT = About(
    question="How do several treatments compare, where no trial has them all?",
    likelihood="y_i ~ N(delta_i, S_i), S_i known, with the variance of the shared arm beside its diagonal; "
    "delta_i ~ N(X_i d, tau^2 R), R with halves beside its diagonal; effects consistent",
    priors="d_t: any proper, each treatment against the reference; tau: any proper",
    needs="arms or contrasts of trials that connect the treatments (Network)",
    reference="Lu & Ades 2004, Stat Med 23:3105; Dias et al. 2013, Med Decis Making 33:607; Dias et al. 2010, "
    "Stat Med 29:932",
    predictive="new estimates of new effects in the same trials: y_i ~ N(X_i d, S_i + tau^2 R)",
    effects=("d", "d_new"),
    dims={"d_new": ("treatment",)},
)
LOG_2_PI = np.float64(np.log(2 * np.pi))


def build(network: Network, priors: Priors) -> pm.Model:
    """The model as a PyMC model.

    Parameters
    ----------
    network
        Effects of k trials on T treatments, at most M a trial.
    priors
        Priors on each d, and on tau.

    Returns
    -------
    Model
        Coordinates ``study``, ``treatment`` (all but the reference and, in a split network, the direct comparison),
        ``place`` and ``row``; data ``yi`` and ``reported`` (1 or 0), shape (k, M), ``design``, shape (k, M, T - 1),
        ``root`` (the W_i), shape (k, M, M), ``variance`` (the v_i), shape (k, M), and the parameters of the priors;
        variables ``d``, shape (T - 1,), ``tau`` and the observed ``y``, a trial's effects together. The number of
        trials may change with the data.

    Raises
    ------
    ValueError
        If the prior on tau is a density given as a function.
    """
    dims = {"yi": ("study", "place"), "reported": ("study", "place"), "design": ("study", "place", "treatment")}
    dims |= {"root": ("study", "row", "place"), "variance": ("study", "row")}
    with pm.Model(coords={"study": network.study, **coords(network)}) as model:
        data = {name: pm.Data(name, value, dims=dims[name]) for name, value in values(network).items()}
        d = priors.mu.to_pymc("mu", variable="d", dims="treatment")
        tau = priors.tau.to_pymc("tau")
        mean = (data["design"] * d).sum(-1)
        parameters = (mean, tau, data["root"], data["variance"], data["reported"])
        signature = "(j),(),(j,j),(j),(j)->(j)"
        pm.CustomDist("y", *parameters, logp=_logp, signature=signature, observed=data["yi"], dims=dims["yi"])
    return model


def _logp(y: Any, mean: Any, tau: Any, root: Any, variance: Any, reported: Any) -> Any:  # noqa: PLR0917
    """Log density of each trial's effects, shape (k,): see the module's formulas. Parameters in the order of PyMC's."""
    whitened = (root * (y - mean)[..., None, :]).sum(-1)
    total = variance + tau**2
    rows = -0.5 * (whitened**2 / total + pt.log(total) + LOG_2_PI)
    return (reported * rows).sum(-1) - 0.5 * _log_det_between(reported.sum(-1), pt)


def values(network: Network) -> dict[str, Array]:
    """Effects by trial, which there are, how they follow from the parameters, and what makes them independent.

    Of a place without an effect they are 0, and the variance 1, which nothing reads.
    """
    root, variance = _whitening(network)
    return {
        "yi": network.yi,
        "reported": network.reported.astype(float),
        "design": network.design,
        "root": root,
        "variance": variance,
    }


def coords(network: Network) -> dict[str, tuple[str, ...]]:
    """The parameters' treatments; the places of a trial's effects, and the rows of what makes them independent."""
    places = tuple(str(i + 1) for i in range(network.places))
    return {"treatment": network.columns, "place": places, "row": places}


def check(network: Network, priors: Priors) -> None:
    """Refuse other data and improper priors."""
    if not isinstance(network, Network):
        raise ValueError(f"network needs a Network of trials; got {type(network).__name__}.")
    for prior in (priors.mu, priors.tau):
        if not prior.proper:
            raise ValueError(f"network needs proper priors; got {prior} on {'d' if prior.role == 'mu' else 'tau'}.")


def data_of(case: Case) -> NoReturn:
    """Refuses: an analysis of a review compares two groups.

    Raises
    ------
    ValueError
        Always; the message says what to do.
    """
    raise ValueError(
        f"{case.label} compares two groups; network needs all arms of its trials: Network.from_arms(table, measure)."
    )


def complete(network: Network, draws: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
    """Draw what the model integrates out, given draws of d and tau.

    Returns
    -------
    dict
        ``d_new``, the effects against the reference in a new trial of all treatments (in a split network also of the
        direct comparison, as if in a trial of its own), shape (*S, T - 1), from the posterior; ``y``, shape
        (*S, k, M), from the posterior predictive distribution, nan where a trial has no more effects.
    """
    return {"d_new": _new_effects(network, draws, rng), "y": _new_estimates(network, draws, rng)}


def draw_prior(
    network: Network, priors: Priors, rng: np.random.Generator, size: tuple[int, ...] = ()
) -> dict[str, Array]:
    """The parameters from their priors, d and d_new of shape (*size, T - 1), tau of shape size."""
    drawn = {"d": priors.mu.rvs((*size, len(network.columns)), rng), "tau": priors.tau.rvs(size, rng)}
    return drawn | {"d_new": _new_effects(network, drawn, rng)}


def draw_data(network: Network, truth: Mapping[str, Array], rng: np.random.Generator) -> Network:
    """Effects of the same trials, as precise, given one draw of the parameters."""
    return network.with_yi(_new_estimates(network, truth, rng))


def log_predictive(
    network: Network,
    draws: Mapping[str, Array],
    rng: np.random.Generator,  # noqa: ARG001  (delta is integrated out in closed form)
) -> Array:
    """Log density of each trial's effects given d and tau, delta integrated out, shape (*S, k)."""
    root, variance = _whitening(network)
    error = network.yi - _means(network, draws)
    z = (root * error[..., None, :]).sum(-1)
    total = variance + draws["tau"][..., None, None] ** 2
    rows = network.reported * (z**2 / total + np.log(total) + LOG_2_PI)
    return np.asarray(-0.5 * rows.sum(-1) - 0.5 * _log_det_between(network.reported.sum(-1), np))


def _between(n: int) -> Array:
    """R, the covariance of n effects of a trial in units of tau^2."""
    return np.asarray((np.eye(n) + 1) / 2)


def _log_det_between(n: Any, module: Any) -> Any:
    """Log determinant of R: eigenvalues 1/2, n - 1 times, and (n + 1)/2."""
    return module.log(n + 1.0) - n * np.log(np.float64(2))


def _whitening(network: Network) -> tuple[Array, Array]:
    """W_i, shape (k, M, M), and v_i, shape (k, M): 0 and 1 where a trial has no more effects."""
    root = np.zeros((network.k, network.places, network.places))
    variance = np.ones((network.k, network.places))
    for i, trial in enumerate(network.trials):
        n = len(trial.yi)
        inverse = np.linalg.inv(np.linalg.cholesky(_between(n)))
        v, vectors = np.linalg.eigh(inverse @ trial.cov @ inverse.T)
        root[i, :n, :n], variance[i, :n] = vectors.T @ inverse, v
    return root, variance


def _means(network: Network, draws: Mapping[str, Array]) -> Array:
    """Of each trial's effects what is expected of them, shape (*S, k, M)."""
    return np.asarray(np.einsum("kmt,...t->...km", network.design, draws["d"]))


def _new_effects(network: Network, draws: Mapping[str, Array], rng: np.random.Generator) -> Array:
    """d_new: R between the treatments is that of arms with SD tau / sqrt(2) each; a split comparison stands alone."""
    d, tau = draws["d"], draws["tau"][..., None]
    n = len(network.treatments) - 1
    arms = rng.normal(size=(*d.shape[:-1], n + 1)) / np.sqrt(2)
    alone = rng.normal(size=(*d.shape[:-1], d.shape[-1] - n))
    return np.asarray(d + tau * np.concatenate([arms[..., 1:] - arms[..., :1], alone], axis=-1))


def _new_estimates(network: Network, draws: Mapping[str, Array], rng: np.random.Generator) -> Array:
    """New effects in such trials, arms with SD tau / sqrt(2), and the estimates of them, shape (*S, k, M)."""
    shape = (*np.shape(draws["tau"]), network.k, network.places)
    tau = draws["tau"][..., None, None]
    arms = rng.normal(size=(*shape[:-1], network.places + 1)) * (tau / np.sqrt(2))
    errors = np.zeros(shape)
    for i, trial in enumerate(network.trials):
        n = len(trial.yi)
        errors[..., i, :n] = rng.normal(size=(*shape[:-2], n)) @ np.linalg.cholesky(trial.cov).T
    found = _means(network, draws) + arms[..., 1:] - arms[..., :1] + errors
    return np.asarray(np.where(network.reported, found, np.nan))
