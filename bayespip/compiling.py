"""A PyMC model compiled for nutpie, in a fraction of the time that nutpie itself takes.

``nutpie.compile_pymc_model`` hands every datum over by itself, through a wrapper that takes Numba seconds a
model and is not cached between processes. Where all data are scalars or have one value a study, they can
travel as one vector: the wrapper is then a few lines, and PyTensor caches what it calls on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
from numba import carray  # type: ignore[attr-defined]  # exported, but not by __all__
from nutpie.compile_pymc import CompiledPyMCModel  # type: ignore[import-untyped]
from pymc.initial_point import make_initial_point_fn
from pytensor.gradient import grad
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["compile_sampler"]

# The series of nutpie whose C signatures are those below (nutpie/compile_pymc.py); another series compiles by
# its own means.
NUTPIE_SERIES = "0.16."
_DOUBLES = numba.types.CPointer(numba.types.double)  # type: ignore[no-untyped-call]
_LOG_DENSITY = numba.types.int64(numba.types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, _DOUBLES)
_EXPAND = numba.types.int64(numba.types.uint64, numba.types.uint64, _DOUBLES, _DOUBLES, _DOUBLES)


@dataclass(frozen=True)
class _PackedModel(CompiledPyMCModel):  # type: ignore[misc]  # nutpie publishes no types
    """A compiled model whose data are one vector; its draws are those of the unconstrained values."""

    def with_data(self, **updates: Any) -> _PackedModel:
        """The same model with other data, under the names of the PyMC model's."""
        unknown = updates.keys() - self.shared_data.keys()
        if unknown:
            choices = ", ".join(self.shared_data)
            raise ValueError(f"data must be among {choices}; got {', '.join(sorted(unknown))}.")
        data = self.shared_data | updates
        return replace(self, shared_data=data, user_data=_packed(data))  # type: ignore[call-arg]  # nutpie's


def compile_sampler(model: pm.Model) -> Any:
    """A model as ``nutpie.sample`` takes it.

    Parameters
    ----------
    model
        A PyMC model.

    Returns
    -------
    CompiledModel
        Its ``with_data`` swaps the data; the columns of its trace include every unconstrained value.
    """
    if not (nutpie.__version__.startswith(NUTPIE_SERIES) and _is_packable(model)):
        return nutpie.compile_pymc_model(model)
    names = [value.name for value in model.value_vars]
    n = len(names)
    function = _log_density(model)
    # Scalars first, as _log_density unpacks them.
    data = {v.name: v.get_value() for v in sorted(model.data_vars, key=lambda v: v.ndim)}
    return _PackedModel(
        dims={},
        reparameterized_names=[],
        compiled_logp_func=_log_density_callback(function.vm.jit_fn, n),
        compiled_expand_func=_expand_callback(),
        initial_point_func=_initial_point(model, names),
        shared_data=data,
        shared_var_keys={},
        user_data=_packed(data),
        n_expanded=n,
        shape_info=(names, [slice(i, i + 1) for i in range(n)], [()] * n),
        logp_func=function,
        expand_func=None,
        _n_dim=n,
        _shapes=dict.fromkeys(names, ()),
        _coords={},
    )


def _is_packable(model: pm.Model) -> bool:
    """Whether the parameters are scalars and the data real scalars or real vectors along ``study``."""
    dims = model.named_vars_to_dims
    return all(value.ndim == 0 and value.dtype == "float64" for value in model.value_vars) and all(
        v.dtype == "float64" and (v.ndim == 0 or dims.get(v.name) == ("study",)) for v in model.data_vars
    )


def _packed(data: Mapping[str, Any]) -> NDArray[np.float64]:
    """The length of the vector itself, then all data."""
    lengths = {name: len(value) for name, value in data.items() if np.ndim(value)}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"data must have one value a study; got lengths {found}.")
    values = np.concatenate([np.ravel(value) for value in data.values()])
    return np.concatenate([[values.size + 1], values]).astype(np.float64)


def _unpacked(model: pm.Model, data: Any) -> dict[Any, Any]:
    """The model's data, and its number of studies, as parts of the packed vector."""
    scalars = [v for v in model.data_vars if v.ndim == 0]
    vectors = [v for v in model.data_vars if v.ndim == 1]
    first = 1 + len(scalars)
    k = (data.shape[0] - first) // max(len(vectors), 1)
    parts = {v: data[i] for i, v in enumerate(scalars, start=1)}
    parts |= {v: data[first + i * k : first + (i + 1) * k] for i, v in enumerate(vectors)}
    return parts | {length: k for dim, length in model.dim_lengths.items() if dim == "study"}


def _log_density(model: pm.Model) -> Any:
    """From the unconstrained point and the packed data to the log density and its gradient."""
    values = model.value_vars
    point = pt.vector("point", dtype="float64", shape=(len(values),))
    data = pt.vector("data", dtype="float64")
    # Rewritten before it is differentiated, as nutpie does: the gradient of the stable form is stable.
    logp: Any = rewrite_graph(model.logp(), include=["canonicalize", "stabilize"])
    slope: Any = grad(logp, values)
    graphs = clone_replace([logp, pt.stack(slope)], {value: point[i] for i, value in enumerate(values)})
    return pm.compile([point, data], graphs, givens=_unpacked(model, data), mode="NUMBA")


def _log_density_callback(inner: Any, n: int) -> Any:
    """The C function of nutpie's: 0 if all is finite, above 0 if the step diverges."""

    def log_density(size: Any, point: Any, gradient: Any, logp: Any, data: Any) -> int:
        if size != n:
            return -1
        try:
            value, slope = inner(carray(point, (n,)), carray(data, (int(data[0]),)))
        except Exception:  # noqa: BLE001  # Numba knows no other
            return 1
        logp[0] = value.item()
        for i in range(n):
            gradient[i] = slope[i]
            if not np.isfinite(slope[i]):
                return 3
        return 0 if np.isfinite(logp[0]) else 4

    return numba.cfunc(_LOG_DENSITY)(log_density)


@cache
def _expand_callback() -> Any:
    """The C function that gives nutpie what to store of a point: the point."""

    def expand(size: Any, expanded: Any, point: Any, out: Any, data: Any) -> int:  # noqa: ARG001
        if size != expanded:
            return -1
        for i in range(size):
            out[i] = point[i]
        return 0

    return numba.cfunc(_EXPAND)(expand)


def _initial_point(model: pm.Model, names: list[str]) -> Callable[[int], NDArray[np.float64]]:
    """From a seed to a starting point: the support point, jittered, as nutpie's own."""
    start = make_initial_point_fn(
        model=model, default_strategy="support_point", jitter_rvs=set(model.free_RVs), return_transformed=True
    )

    alone = Lock()  # chains start in threads; a PyTensor function has one set of inputs

    def initial_point(seed: int) -> NDArray[np.float64]:
        with alone:
            drawn = start(seed)
        return np.array([drawn[name] for name in names], dtype=np.float64)

    return initial_point
