"""The PyMC hierarchical models, one file each: adding a model is adding a file.

A model is a module with

``ABOUT``
    An ``About``: the question it answers, its likelihood, priors, needs and reference.
``build(data, priors, **options) -> pm.Model``
    A pure function. All that a refit changes is ``pm.Data``: what ``values`` gives, and the priors' parameters
    (``mu_mean``, ``tau_scale`` ...). Dimensions are named; ``study`` is that of the studies. Options change the
    structure, are hashable, and are the same in every function here.
``values(data) -> dict``
    What the model holds of the studies, by the names of its ``pm.Data``.
``complete(data, draws, rng, **options) -> dict``
    Given draws of its variables, each of shape ``(*S, *its own)``, draws of what it integrates out or predicts:
    ``theta`` and ``theta_new`` where they exist, and a replicate of each observed variable under its name.
``draw_prior(data, priors, rng, size=(), **options) -> dict`` and ``draw_data(data, truth, rng, **options)``
    The same model as a simulator, written without PyMC: its free variables, deterministics and ``theta_new`` from
    the priors, each of shape ``(*size, *its own)``; and data of the design of ``data`` given one such draw. They give
    the prior predictive distribution and simulation-based calibration.

``data_of(case) -> data``
    What it takes of an analysis of a review (``cases.Case``); ValueError with the reason where that is not there.
    A model of several outcomes at once has ``data_of_cases(cases)`` instead: ``.data``, sets of outcomes, and
    ``.left``, label of a case to the reason why it is in none.

and, where it needs them,

``check(data, priors, **options)``
    Refuses, as ValueError, what the model cannot take. Without it both priors must be proper.
``kind(data)``
    What of the data, beyond lengths, changes the structure, hashable: the measure, where the likelihood depends on it.
``coords(data) -> dict``
    Labels of its dimensions other than ``study``.
``pad(data, size)``
    Data with as many studies, the added ones without information: for models with a parameter a study, which are
    compiled for a number of studies.
``log_predictive(data, draws, rng, **options)``
    Log density of each study's data given draws of the variables that are not the studies' own, those integrated
    out, shape ``(*S, k)``: for leaving studies out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from bayespip.fits import EFFECTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

__all__ = ["About", "available", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a reader must know of a model before using it.

    Attributes
    ----------
    question
        The question it answers.
    likelihood, priors
        In the notation of its paper.
    needs
        The data it takes.
    reference
        Where it comes from.
    predictive
        What its posterior predictive draws are.
    latent
        Variables that belong to single studies, whose densities are no priors for power-scaling.
    effects
        Variables on the scale of the measure, shown as ratios where it is one.
    dims
        Dimensions of what ``complete`` and ``draw_prior`` give beyond the model's own variables, ``theta`` and
        ``theta_new``.
    target_accept
        Acceptance rate that ``pymc_fit`` aims at, unless told: lower where the record of calibration, run at 0.95, has
        next to no divergences.

    Examples
    --------
    >>> from bayespip.models import load
    >>> load("normal_normal").ABOUT.needs
    'effects and standard errors'
    """

    question: str
    likelihood: str
    priors: str
    needs: str
    reference: str
    predictive: str
    latent: tuple[str, ...] = ()
    effects: tuple[str, ...] = EFFECTS
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    target_accept: float = 0.99


def available() -> tuple[str, ...]:
    """Names of the models, sorted.

    Examples
    --------
    >>> from bayespip.models import available
    >>> "normal_normal" in available()
    True
    """
    return tuple(sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str) -> ModuleType:
    """The module of the model of that name.

    Raises
    ------
    ValueError
        If there is none; the message lists the choices.

    Examples
    --------
    >>> from bayespip.models import load
    >>> load("student_t").ABOUT.question
    'What is the average effect, if one trial may lie far from the others?'
    """
    if name not in available():
        raise ValueError(f"model must be one of {', '.join(available())}; got {name!r}.")
    return import_module(f"{__name__}.{name}")
