"""A PyMC model compiled for nutpie, in a fraction of the time that nutpie itself takes.

``nutpie.compile_pymc_model`` hands every datum over by itself, through a wrapper that takes Numba seconds a
model and is not cached between processes. Here all data travel as one vector, and so do the parameters: the
wrapper is then a few lines, and PyTensor caches what it calls on disk.

Data along ``study`` may change their length between fits where no parameter lies along it; where one does, the
number of studies is a part of the compiled model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
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
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["along_studies", "compile_sampler"]

# The series of nutpie whose C signatures are those below (nutpie/compile_pymc.py); another series compiles by
# its own means.
NUTPIE_SERIES = "0.16."
_DOUBLES = numba.types.CPointer(numba.types.double)  # type: ignore[no-untyped-call]
_LOG_DENSITY = numba.types.int64(numba.types.uint64, _DOUBLES, _DOUBLES, _DOUBLES, _DOUBLES)
_EXPAND = numba.types.int64(numba.types.uint64, numba.types.uint64, _DOUBLES, _DOUBLES, _DOUBLES)


@dataclass(frozen=True)
class _PackedModel(CompiledPyMCModel):  # type: ignore[misc]  # nutpie publishes no types
    """A compiled model whose data are one vector; its draws are those of the unconstrained values.

    Attributes
    ----------
    layout
        Name and shape of each datum, in their order in the vector; -1 where it has the number of studies.
    """

    layout: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def with_data(self, **updates: Any) -> _PackedModel:
        """The same model with other data, under the names of the PyMC model's."""
        unknown = updates.keys() - self.shared_data.keys()
        if unknown:
            choices = ", ".join(self.shared_data)
            raise ValueError(f"data must be among {choices}; got {', '.join(sorted(unknown))}.")
        data = self.shared_data | updates
        packed = _packed(data, self.layout)
        return replace(self, shared_data=data, user_data=packed)  # type: ignore[call-arg]  # nutpie's


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
    shapes = list(_shapes(model).values())
    parts = _slices(shapes)
    n = parts[-1].stop
    function = _log_density(model)
    data = {v.name: v.get_value() for v in _in_order(model)}
    layout = _layout(model)
    return _PackedModel(
        dims={},
        reparameterized_names=[],
        compiled_logp_func=_log_density_callback(function.vm.jit_fn, n),
        compiled_expand_func=_expand_callback(),
        initial_point_func=_initial_point(model, names),
        shared_data=data,
        shared_var_keys={},
        user_data=_packed(data, layout),
        n_expanded=n,
        shape_info=(names, parts, shapes),
        logp_func=function,
        expand_func=None,
        _n_dim=n,
        _shapes=dict(zip(names, shapes, strict=True)),
        _coords={},
        layout=layout,
    )


def _is_packable(model: pm.Model) -> bool:
    """Whether parameters are real, data real or whole, and ``study`` the first dimension where it is one."""
    dims = model.named_vars_to_dims
    return all(value.dtype == "float64" for value in model.value_vars) and all(
        v.dtype in ("float64", "int64", "int32") and "study" not in dims.get(v.name, ())[1:] for v in model.data_vars
    )


def along_studies(model: pm.Model) -> bool:
    """Whether the model has a parameter a study, and so is compiled for a number of studies."""
    return any("study" in model.named_vars_to_dims.get(v.name, ()) for v in model.free_RVs)


def _shapes(model: pm.Model) -> dict[str, tuple[int, ...]]:
    """Of the unconstrained parameters."""
    start = model.initial_point()
    return {value.name: np.shape(start[value.name]) for value in model.value_vars}


def _slices(shapes: Sequence[tuple[int, ...]]) -> list[slice]:
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)]).tolist()
    return [slice(*ends[i : i + 2]) for i in range(len(shapes))]


def _layout(model: pm.Model) -> dict[str, tuple[int, ...]]:
    """Of each datum its shape; -1 first in the shape of those whose length is the number of studies."""
    free = not along_studies(model)
    dims = model.named_vars_to_dims
    shapes = {}
    for v in _in_order(model):
        shape = v.get_value().shape
        shapes[v.name] = (-1, *shape[1:]) if free and "study" in dims.get(v.name, ()) else shape
    return shapes


def _in_order(model: pm.Model) -> list[Any]:
    """The data, those along ``study`` last."""
    return sorted(model.data_vars, key=lambda v: "study" in model.named_vars_to_dims.get(v.name, ()))


def _packed(data: Mapping[str, Any], layout: Mapping[str, tuple[int, ...]]) -> NDArray[np.float64]:
    """The length of the vector itself, then all data.

    Raises
    ------
    ValueError
        If a datum has another shape than the one compiled, or those along ``study`` have different lengths.
    """
    for name, shape in layout.items():
        found = np.shape(data[name])
        if len(found) != len(shape) or any(a not in (-1, b) for a, b in zip(shape, found, strict=True)):
            raise ValueError(f"{name} must have the shape {shape} it was compiled with; got {found}.")
    lengths = {name: len(data[name]) for name, shape in layout.items() if -1 in shape}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"data must have one value a study; got lengths {found}.")
    values = np.concatenate([np.ravel(data[name]) for name in layout])
    return np.concatenate([[values.size + 1], values]).astype(np.float64)


def _unpacked(model: pm.Model, data: Any) -> dict[Any, Any]:
    """The model's data, and the lengths of its dimensions, as parts of the packed vector."""
    layout = _layout(model)
    fixed = sum(math.prod(shape) for shape in layout.values() if -1 not in shape)
    across = sum(-math.prod(shape) for shape in layout.values() if -1 in shape)
    k = (data.shape[0] - 1 - fixed) // max(across, 1)
    parts: dict[Any, Any] = {}
    at: Any = 1
    for v in _in_order(model):
        shape = [k if n == -1 else n for n in layout[v.name]]
        size = math.prod(shape)
        part = data[at : at + size].reshape(shape, ndim=len(shape)) if shape else data[at]
        parts[v] = part.astype(v.dtype)
        at += size
    studies = {dim: k for dim in model.dim_lengths if dim == "study" and across}
    lengths = {dim: studies.get(dim, np.int64(len(model.coords[dim]))) for dim in model.dim_lengths}
    return parts | {
        length: pt.cast(lengths[dim], "int64")
        for dim, length in model.dim_lengths.items()
        if not isinstance(length, Constant)
    }


def _log_density(model: pm.Model) -> Any:
    """From the unconstrained point and the packed data to the log density and its gradient."""
    values = model.value_vars
    shapes = list(_shapes(model).values())
    parts = _slices(shapes)
    point = pt.vector("point", dtype="float64", shape=(parts[-1].stop,))
    data = pt.vector("data", dtype="float64")
    # Rewritten before it is differentiated, as nutpie does: the gradient of the stable form is stable.
    logp: Any = rewrite_graph(model.logp(), include=["canonicalize", "stabilize"])
    slopes: Any = grad(logp, values)
    slope: Any = pt.join(0, *(g.ravel() for g in slopes))  # type: ignore[no-untyped-call]  # PyTensor's
    places = {
        value: point[part.start] if not shape else point[part].reshape(shape)
        for value, part, shape in zip(values, parts, shapes, strict=True)
    }
    graphs = clone_replace([logp, slope], places)
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
        return np.concatenate([np.ravel(drawn[name]) for name in names]).astype(np.float64)

    return initial_point
