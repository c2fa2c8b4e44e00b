"""What a network says: every treatment against every other, their ranks, and where direct and indirect evidence part.

Sources: Salanti G, Ades AE, Ioannidis JPA. Graphical methods and numerical summaries for presenting results from
multiple-treatment meta-analysis. J Clin Epidemiol 2011;64:163-171 (SUCRA); Dias S, Welton NJ, Caldwell DM, Ades AE.
Checking consistency in mixed treatment comparison meta-analysis. Stat Med 2010;29:932-944 (node-splitting, its p).
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayespip.mcmc.fit import PymcFit, pymc_fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bayespip.model_data.networks import Network
    from bayespip.priors import Priors

__all__ = ["inconsistency_table", "league_table", "rank_table"]

BETTER = ("higher", "lower")
CAUTION = (
    "Ranks say nothing of how much better a treatment is, nor how good the evidence is: one that is little studied is "
    "often first or last by chance. Read them beside the league table, and see how wide the intervals of the ranks are."
)
EDGES = ("point", "lower", "upper")


def league_table(fit: PymcFit) -> pd.DataFrame:
    """Every treatment against every other.

    Parameters
    ----------
    fit
        By ``pymc_fit("network", ...)`` of a network that is not split.

    Returns
    -------
    DataFrame
        One row an ordered pair: treatment, against; point (median), lower, upper of the effect on the display scale
        (ratios for ratio measures), and point_model, lower_model, upper_model; prob_positive, P(effect > 0 | data) on
        the model scale; level.

    Raises
    ------
    ValueError
        If the fit is of another model, or its network is split.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame(  # invented
    ...     {
    ...         "study": ["A", "A", "B", "B", "C", "C"],
    ...         "treatment": ["control", "X", "control", "Y", "X", "Y"],
    ...         "mean": [11.2, 9.1, 12.0, 10.4, 9.9, 9.5],
    ...         "sd": [4.8, 4.2, 5.1, 4.6, 4.4, 4.9],
    ...         "n": [50, 45, 38, 40, 33, 35],
    ...     }
    ... )
    >>> network = bp.Network.from_arms(rows, "MD")
    >>> priors = bp.Priors(bp.priors.normal(0, 10), bp.priors.half_normal(2))
    >>> fit = bp.pymc_fit("network", network, priors, seed=1)
    >>> bp.league_table(fit)[["treatment", "against"]].values.tolist()[:2]
    [['control', 'X'], ['control', 'Y']]
    """
    effects = _effects(fit)
    rows = []
    for treatment, against in permutations(effects, 2):
        draws = effects[treatment] - effects[against]
        model = _summary(draws, fit.level)
        shown = fit.effects.measure.display(model)
        row: dict[str, Any] = {"treatment": treatment, "against": against} | dict(zip(EDGES, shown, strict=True))
        row |= {f"{edge}_model": value for edge, value in zip(EDGES, model, strict=True)}
        rows.append(row | {"prob_positive": float(np.mean(draws > 0)), "level": fit.level})
    return pd.DataFrame(rows)


def rank_table(fit: PymcFit, better: str) -> pd.DataFrame:
    """Ranks of the treatments, 1 the best.

    Parameters
    ----------
    fit
        As in ``league_table``.
    better
        Which effects are better: "higher" or "lower".

    Returns
    -------
    DataFrame
        One row a treatment: treatment; p_best, the probability of rank 1; mean_rank; rank_lower and rank_upper, the
        central interval of the rank; sucra, the surface under its cumulative ranks: (T - mean_rank)/(T - 1), 1 for the
        certainly best; level. In ``attrs["caution"]`` what ranks do not say.

    Raises
    ------
    ValueError
        As in ``league_table``, or if better is not one of its choices.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame(  # invented
    ...     {
    ...         "study": ["A", "A", "B", "B", "C", "C"],
    ...         "treatment": ["control", "X", "control", "Y", "X", "Y"],
    ...         "mean": [11.2, 9.1, 12.0, 10.4, 9.9, 9.5],
    ...         "sd": [4.8, 4.2, 5.1, 4.6, 4.4, 4.9],
    ...         "n": [50, 45, 38, 40, 33, 35],
    ...     }
    ... )
    >>> network = bp.Network.from_arms(rows, "MD")
    >>> priors = bp.Priors(bp.priors.normal(0, 10), bp.priors.half_normal(2))
    >>> fit = bp.pymc_fit("network", network, priors, seed=1)
    >>> bp.rank_table(fit, better="lower")["treatment"].tolist()
    ['control', 'X', 'Y']
    """
    if better not in BETTER:
        raise ValueError(f"better must be one of {', '.join(BETTER)}; got {better!r}.")
    effects = _effects(fit)
    sign = -1 if better == "higher" else 1
    ranks = np.argsort(np.argsort(sign * np.column_stack(list(effects.values())), axis=1), axis=1) + 1
    tail = (1 - fit.level) / 2
    lower, upper = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf")
    table = pd.DataFrame(
        {
            "treatment": list(effects),
            "p_best": (ranks == 1).mean(axis=0),
            "mean_rank": ranks.mean(axis=0),
            "rank_lower": lower,
            "rank_upper": upper,
            "sucra": (len(effects) - ranks.mean(axis=0)) / (len(effects) - 1),
            "level": fit.level,
        }
    )
    table.attrs["caution"] = CAUTION
    return table


def inconsistency_table(network: Network, priors: Priors, *, seed: int, **sampling: Any) -> pd.DataFrame:
    """Direct beside indirect evidence, by splitting each comparison that has both.

    Parameters
    ----------
    network
        Not split.
    priors
        Priors on each d, also that of the direct evidence, and on tau.
    seed
        Of every fit.
    **sampling
        To ``pymc_fit``: level, draws ...

    Returns
    -------
    DataFrame
        One row a comparison of ``Network.comparisons_to_split`` (none if there are none): treatment, against; direct,
        indirect and difference (direct less indirect) with their _lower and _upper, medians and central intervals on
        the model scale; p, the Bayesian p-value 2 min(P(difference > 0), P(difference < 0)) (Dias 2010).

    Raises
    ------
    ConvergenceError, ValueError
        As ``pymc_fit``; ValueError if the network is split.

    Notes
    -----
    A large p is no proof of consistency: with few trials a split has little power, and tau takes up what disagrees.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame(  # invented
    ...     {
    ...         "study": ["A", "A", "B", "B", "C", "C"],
    ...         "treatment": ["control", "X", "control", "Y", "X", "Y"],
    ...         "mean": [11.2, 9.1, 12.0, 10.4, 9.9, 9.5],
    ...         "sd": [4.8, 4.2, 5.1, 4.6, 4.4, 4.9],
    ...         "n": [50, 45, 38, 40, 33, 35],
    ...     }
    ... )
    >>> network = bp.Network.from_arms(rows, "MD")
    >>> priors = bp.Priors(bp.priors.normal(0, 10), bp.priors.half_normal(2))
    >>> bp.inconsistency_table(network, priors, seed=1)[["treatment", "against"]].values.tolist()
    [['Y', 'X'], ['X', 'control'], ['Y', 'control']]
    """
    if network.split is not None:
        raise ValueError(f"network must not be split; it is, at {' vs '.join(network.split)}.")
    columns = ["treatment", "against"]
    columns += [f"{name}{edge}" for name in ("direct", "indirect", "difference") for edge in ("", "_lower", "_upper")]
    rows = []
    for pair in network.comparisons_to_split():
        # against the reference where it is one of the two
        against, treatment = sorted(pair, key=lambda name: (name != network.reference, name))
        fit = pymc_fit("network", network.split_at(against, treatment), priors, seed=seed, **sampling)
        effects = _by_treatment(fit)
        direct, indirect = fit.draws("d")[:, -1], effects[treatment] - effects[against]
        difference = direct - indirect
        edges = [_summary(draws, fit.level) for draws in (direct, indirect, difference)]
        positive = float(np.mean(difference > 0))
        rows.append([treatment, against, *np.concatenate(edges), 2 * min(positive, 1 - positive)])
    return pd.DataFrame(rows, columns=[*columns, "p"])


def _effects(fit: PymcFit) -> dict[str, NDArray[np.float64]]:
    """Draws of every treatment's effect against the reference, where one parameter says all of it."""
    if fit.model != "network":
        raise ValueError(f"fit must be of the model network; got one of {fit.model}.")
    if fit.effects.split is not None:
        raise ValueError(
            f"fit must be of a network that is not split; it is, at {' vs '.join(fit.effects.split)}, and its d are "
            "without the direct evidence on that comparison."
        )
    return _by_treatment(fit)


def _by_treatment(fit: PymcFit) -> dict[str, NDArray[np.float64]]:
    draws = fit.draws("d")
    reference, *others = fit.effects.treatments
    return {reference: np.zeros(len(draws)), **{name: draws[:, i] for i, name in enumerate(others)}}


def _summary(draws: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Median and central interval."""
    tail = (1 - level) / 2
    return np.quantile(draws, [0.5, tail, 1 - tail])
