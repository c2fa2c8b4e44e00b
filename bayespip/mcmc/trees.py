"""Sampled posteriors of one analysis under several priors, joined into one DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from bayespip.mcmc.fit import PymcFit

# The same under every prior, so they carry no prior dimension.
_DATA = ("observed_data", "constant_data")


def joined(fits: Mapping[str, PymcFit], *, analysis: str, basis: str) -> xr.DataTree:
    """One tree whose groups have a dimension ``prior``.

    Parameters
    ----------
    fits
        By label of the priors; all of the same data.
    analysis, basis
        Stored as attributes, with the labels and the seeds.

    Returns
    -------
    DataTree
        ``tree.sel(prior=label)`` is what ArviZ expects. Draws are float32: a Monte Carlo error is a thousand times
        as large as what that drops.
    """
    import xarray as xr

    trees = [fit.data for fit in fits.values()]
    labels = xr.Variable("prior", np.array(list(fits)))
    groups = {}
    for name in dict.fromkeys(g for tree in trees for g in tree.children):
        if name in _DATA:
            groups[name] = trees[0][name].to_dataset()
            continue
        having = [(label, tree[name].to_dataset()) for label, tree in zip(fits, trees, strict=True) if name in tree]
        along = xr.Variable("prior", np.array([label for label, _ in having]))
        whole = xr.concat([d for _, d in having], dim="prior", join="outer", data_vars="all", coords="minimal",
                          compat="override", combine_attrs="drop_conflicts").assign_coords(prior=along)  # fmt: skip
        if name == "sample_stats":
            whole["ebfmi"] = ("prior", np.array([d.attrs.get("ebfmi", np.nan) for _, d in having]))
        groups[name] = whole.map(_small, keep_attrs=True)
    tree = xr.DataTree.from_dict(groups)
    first = trees[0].attrs
    same = {k: v for k, v in first.items() if all(_equal(t.attrs.get(k), v) for t in trees)}
    tree.attrs = {**same, "analysis": analysis, "basis": basis, "priors": [str(v) for v in labels.values]}
    return tree


def _small(array: xr.DataArray) -> xr.DataArray:
    small = {"f": np.float32, "i": np.int32}.get(array.dtype.kind)
    return array.astype(small) if small and array.dtype.itemsize > 4 else array


def _equal(one: object, other: object) -> bool:
    return bool(np.array_equal(np.asarray(one, dtype=object), np.asarray(other, dtype=object)))
