"""The PyMC hierarchical models, one file each: adding a model is adding a file.

Every module exposes ``build(effects, priors) -> pm.Model``, a pure function whose model holds its inputs as
``pm.Data`` (``yi``, ``sei`` and the priors' parameters, so that a refit only swaps them) and the variables
``mu``, ``tau`` and the observed ``y``; and ``complete(effects, mu, tau, rng)``, which draws what the model
integrates out: ``theta``, ``theta_new`` and a replicated ``y``.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["available", "load"]


def available() -> tuple[str, ...]:
    """Names of the models, sorted."""
    return tuple(sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str) -> ModuleType:
    """The module of the model of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the choices.
    """
    if name not in available():
        raise ValueError(f"model must be one of {', '.join(available())}; got {name!r}.")
    return import_module(f"{__name__}.{name}")
