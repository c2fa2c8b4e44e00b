"""What a sweep asks of every review: priors, models, level, seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from bayespip.measures import MEASURES
from bayespip.priors import Priors
from bayespip.priors.entries import table
from bayespip.priors.sets import POOLED_TOPIC, PriorSet, default_priors
from bayespip.provenance import commit, versions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bayespip.reanalysis.cases import Case

__all__ = ["Settings", "require_same_versions", "settings_of"]

KINDS = ("weakly informative", "empirical pair", "hybrid")
_versions = cache(versions)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of every review.

    Attributes
    ----------
    priors
        Names among the default priors, and priors given as such; None for all defaults.
    topics
        Cochrane topics of the empirical priors; those of each review, or all of Cochrane, if None.
    models
        Sampled models beside the exact engine.
    level
        Probability of the intervals.
    seed
        From which each review has its own.
    versions, commit
        Of what computes.
    """

    priors: tuple[str | PriorSet, ...] | None
    topics: tuple[str, ...] | None
    models: tuple[str, ...]
    level: float
    seed: int
    versions: Mapping[str, str]
    commit: str

    def prior_sets(self, case: Case, topics: Sequence[str]) -> tuple[PriorSet, ...]:
        """The priors of a case: those asked for that its measure has, in the order of the defaults, then those given.

        Parameters
        ----------
        case
            What is fitted.
        topics
            Of its review; those of the settings come first.
        """
        names = {p for p in self.priors or () if isinstance(p, str)}
        given = tuple(p for p in self.priors or () if isinstance(p, PriorSet))
        if self.priors is not None and not names:
            return given
        where = self.topics or topics or (POOLED_TOPIC,)
        defaults = default_priors(case.measure, topics=where, sd=case.sd, sei=case.effects.sei)
        return (*(s for s in defaults if self.priors is None or {s.kind, s.priors.label} & names), *given)

    def as_json(self) -> dict[str, Any]:
        """What JSON holds of them, every digit of the priors' parameters included."""
        found = asdict(self)
        if self.priors is not None:
            found["priors"] = [p if isinstance(p, str) else _as_json(p) for p in self.priors]
        return found


def _as_json(given: PriorSet) -> dict[str, Any]:
    both = {role: getattr(given.priors, role) for role in ("mu", "tau")}
    densities = {r: {"family": p.family, "parameters": list(p.parameters), "source": p.source} for r, p in both.items()}
    return {"name": given.priors.label, **densities}


def settings_of(
    priors: Sequence[str | Priors | PriorSet] | None,
    topics: Sequence[str] | None,
    models: Sequence[str],
    level: float,
    seed: int,
) -> Settings:
    """Settings, checked; see ``sweep`` for the arguments.

    Raises
    ------
    ValueError
        If a prior, topic or model is unknown, a prior is a Python function or has the name of another, or the level
        or the seed is out of range.
    """
    from bayespip.models import load

    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level!r}.")
    if seed < 0:
        raise ValueError(f"seed must be an integer from 0; got {seed!r}.")
    for name in models:
        load(name)
    if topics is not None:
        default_priors("OR", topics=topics)
    sets = None if priors is None else tuple(_checked(p, topics) for p in priors)
    if sets is not None:
        labels = [p if isinstance(p, str) else p.priors.label for p in sets]
        if not sets or len(set(labels)) < len(labels):
            raise ValueError(f"priors must be at least one, with different names; got {', '.join(labels) or 'none'}.")
    once = tuple(dict.fromkeys(models))
    return Settings(sets, None if topics is None else tuple(topics), once, level, seed, _versions(), commit())


def require_same_versions(settings: Settings) -> None:
    """Refuse to compute for a sweep of other versions: one folder holds the results of one program.

    Raises
    ------
    ValueError
        If a version differs from that of the process which began the sweep; the message names both.
    """
    here = _versions()
    differing = [f"{name} {here.get(name)}, not {version}" for name, version in settings.versions.items()
                 if here.get(name) != version]  # fmt: skip
    if differing:
        raise ValueError(f"a worker must have the versions of the process that began the sweep; it has {differing}.")


def _checked(prior: str | Priors | PriorSet, topics: Sequence[str] | None) -> str | PriorSet:
    if isinstance(prior, str):
        _require_known(prior, topics)
        return prior
    found = PriorSet(prior, str(prior.mu), str(prior.tau), "given") if isinstance(prior, Priors) else prior
    for density in (found.priors.mu, found.priors.tau):
        if density.given is not None:
            raise ValueError(
                f"priors of a sweep must be of a named family, by which a sweep started again can be compared; "
                f"{density} is a density given as a function."
            )
    return found


def _require_known(name: str, topics: Sequence[str] | None) -> None:
    every = tuple(topics) if topics is not None else tuple(dict.fromkeys(row["topic"] for row in table("bartos")))
    labels = {
        s.priors.label
        for measure in MEASURES.values()
        for sd in ((None, 1.0) if measure.name == "MD" else (None,))
        for s in default_priors(measure, topics=every, sd=sd, sei=(1.0, 1.0, 1.0))
    }
    if name not in (*KINDS, *labels):
        near = get_close_matches(name, [*KINDS, *sorted(labels)], n=3) or ["tau HN(0.5), mu flat"]
        raise ValueError(
            f"priors must be a kind ({', '.join(KINDS)}) or the name of a default prior set, such as "
            f"{'; '.join(map(repr, near))}; got {name!r}."
        )
