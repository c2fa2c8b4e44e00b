"""Effects with moderators, the columns that a meta-regression takes, and how much of a coefficient is its prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayespip.study_data.tables import column_names, demand, study_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from bayespip.effects import EffectSizes
    from bayespip.mcmc.fit import PymcFit
    from bayespip.measures import Measure

__all__ = ["BETA_SD", "ModeratedEffects", "how_much_is_prior"]

# Prior SD of a coefficient on log ratios and SMDs: a moderator's SD then moves the effect by less than 1 with 95%
# probability, and most programmes have effects smaller than that. Other measures have units of their own.
BETA_SD = 0.5


@dataclass(frozen=True, slots=True, eq=False, init=False)
class ModeratedEffects:
    """Effects of k studies and p columns made of their moderators.

    A moderator of numbers becomes one column in units of its standard deviation, "latitude [per 14.4]". One of
    categories becomes a column a category but the first, one there and zero elsewhere, "allocation [random]": its
    coefficient is the difference from the first category, which is that of the pandas Categorical or the first in
    alphabetical order. Columns are centred, so that mu is the effect at the average of the studies' moderators and its
    prior means what it does without them.

    Parameters
    ----------
    effects
        Effects and standard errors.
    table
        Column study, and one a moderator; studies in any order.

    Attributes
    ----------
    effects
        Effects and standard errors.
    column
        Names of the columns, length p; none if there is no moderator.
    design
        The centred columns, shape (k, p), read-only.
    unit
        Of each moderator of numbers its mean and standard deviation over the studies.

    Raises
    ------
    ValueError
        If table lacks a study or has another, a moderator has a missing value, is constant or neither numbers nor
        text, or the columns determine each other; the message names moderator and studies.

    Examples
    --------
    >>> rows = bp.load_review("bcg")["1.1"].studies
    >>> data = bp.ModeratedEffects(bp.effect_sizes(rows, "RR"), rows[["study", "latitude"]])
    >>> data.column, data.design.shape
    (('latitude [per 14.4]',), (13, 1))
    """

    effects: EffectSizes
    column: tuple[str, ...]
    design: NDArray[np.float64]
    unit: Mapping[str, tuple[float, float]]

    def __init__(self, effects: EffectSizes, table: pd.DataFrame) -> None:
        """Join effects and a table with the column `study` and one a moderator, in any order of studies."""
        moderators = _in_order(effects, table)
        columns: dict[str, NDArray[np.float64]] = {}
        unit: dict[str, tuple[float, float]] = {}
        for name in moderators.columns:
            columns |= _columns(str(name), moderators[name], effects.study, unit)
        design = np.column_stack(list(columns.values())) if columns else np.empty((effects.k, 0))
        design -= design.mean(axis=0)
        _require_independent(tuple(columns), design)
        design.flags.writeable = False
        for field, value in (("effects", effects), ("column", tuple(columns)), ("design", design), ("unit", unit)):
            object.__setattr__(self, field, value)

    @property
    def study(self) -> tuple[str, ...]:
        """Labels of the studies."""
        return self.effects.study

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.effects.k

    @property
    def measure(self) -> Measure:
        """Effect measure."""
        return self.effects.measure

    def with_effects(self, effects: EffectSizes) -> ModeratedEffects:
        """The same moderators of the same studies with other effects."""
        changed = object.__new__(ModeratedEffects)
        fields = (("effects", effects), ("column", self.column), ("design", self.design), ("unit", self.unit))
        for field, value in fields:
            object.__setattr__(changed, field, value)
        return changed


def _in_order(effects: EffectSizes, table: pd.DataFrame) -> pd.DataFrame:
    """The moderators, without the column study, in the order of the effects."""
    if "study" not in column_names(table):
        raise ValueError(f"table must have the column study; it has {', '.join(column_names(table)) or 'none'}.")
    labels = study_labels(table)
    for which, missing in (
        ("table must have every study of the effects; missing", [s for s in effects.study if s not in labels]),
        ("table must have no other study than the effects; it has", [s for s in labels if s not in effects.study]),
    ):
        if missing:
            raise ValueError(f"{which} {', '.join(missing)}.")
    return table.drop(columns="study").set_axis(list(labels)).loc[list(effects.study)]


def _columns(
    name: str, values: pd.Series[Any], study: tuple[str, ...], unit: dict[str, tuple[float, float]]
) -> dict[str, NDArray[np.float64]]:
    """The columns of one moderator, before they are centred; unit takes its mean and standard deviation."""
    import pandas as pd

    demand(f"{name} must not be missing", ~values.isna().to_numpy(), study, [repr(v) for v in values])
    first, *others = values.tolist()
    if all(value == first for value in others):
        raise ValueError(f"{name} must differ between studies; it is {first!r} in all {len(study)}.")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        x = values.to_numpy(dtype=float)
        demand(f"{name} must be finite", np.isfinite(x), study, x)
        unit[name] = (float(x.mean()), float(x.std(ddof=1)))
        return {f"{name} [per {unit[name][1]:.3g}]": x / unit[name][1]}
    if isinstance(values.dtype, pd.CategoricalDtype):
        categories = [c for c in values.cat.categories if (values == c).any()]
    else:
        categories = sorted(values.unique(), key=str)
    return {f"{name} [{c}]": (values == c).to_numpy(dtype=float) for c in categories[1:]}


def _require_independent(names: tuple[str, ...], design: NDArray[np.float64]) -> None:
    """Refuse columns that, with the average, are combinations of the others, however many studies there are."""
    for j in range(1, len(names)):
        before, column = design[:, :j], design[:, j]
        rest = column - before @ np.linalg.lstsq(before, column, rcond=None)[0]
        if np.linalg.norm(rest) <= _RANK_TOLERANCE * np.linalg.norm(column):
            raise ValueError(
                f"moderators must not determine each other; {names[j]} follows from {', '.join(names[:j])}. "
                "Leave one out."
            )


_RANK_TOLERANCE = 1e-9  # far above rounding, far below what data measured to four digits show


def how_much_is_prior(fit: PymcFit) -> pd.DataFrame:
    """Of each coefficient of a meta-regression, how much is its prior.

    Parameters
    ----------
    fit
        By ``pymc_fit("meta_regression", ...)``.

    Returns
    -------
    DataFrame
        One row a coefficient: coefficient; point, lower, upper on the model scale; prior_sd and posterior_sd; ratio,
        posterior over prior SD; prior_share, its square: where prior and likelihood are normal, the share of the
        posterior's precision that is the prior's; sentence, the same in words.

    Raises
    ------
    ValueError
        If the model has no coefficients.

    Examples
    --------
    >>> rows = bp.load_review("bcg")["1.1"].studies
    >>> data = bp.ModeratedEffects(bp.effect_sizes(rows, "RR"), rows[["study", "latitude"]])
    >>> weak = bp.Priors(bp.priors.normal(0, 2.82), bp.priors.half_normal(0.5))
    >>> table = bp.how_much_is_prior(bp.pymc_fit("meta_regression", data, weak, seed=1))
    >>> table["coefficient"].tolist(), bool(table["prior_share"].iloc[0] < 0.1)
    (['latitude [per 14.4]'], True)
    """
    import pandas as pd

    draws, given = fit.draws("beta"), fit.options.get("beta_sd")
    prior_sd = float(BETA_SD if given is None else given)  # type: ignore[arg-type]  # an option of another model
    rows = []
    for j, name in enumerate(fit.effects.column):
        estimate = fit.parameters[f"beta[{name}]"]
        ratio = float(draws[:, j].std() / prior_sd)
        share = min(ratio**2, 1.0)
        rows.append(
            {
                "coefficient": name,
                "point": estimate.point,
                "lower": estimate.lower,
                "upper": estimate.upper,
                "prior_sd": prior_sd,
                "posterior_sd": float(draws[:, j].std()),
                "ratio": ratio,
                "prior_share": share,
                "sentence": f"{name}: {_in_words(share)} ({share:.0%} of its precision is the prior's).",
            }
        )
    return pd.DataFrame(rows)


def _in_words(share: float) -> str:
    if share > 0.75:
        return "the data say next to nothing, the coefficient is its prior"
    if share > 0.25:
        return "prior and data both speak"
    return "the data speak"
