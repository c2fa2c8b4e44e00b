"""The published priors as they stand in bayespip.data, each a frozen value.

The codebook ``data/published_priors.toml`` says what every column is, where it was read and what is in doubt.
Sources that give parameters for tau^2 are carried to tau exactly: log tau = log(tau^2) / 2, so that location and
scale of a log-normal or log-t are halved, and tau is the root of an inverse-gamma tau^2.
"""

from __future__ import annotations

import csv
import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bayespip.priors.from_data import du_mouchel, jeffreys, uniform_i2, uniform_shrinkage
from bayespip.priors.types import Prior

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

__all__ = ["Entry", "codebook", "entries", "table"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One published prior.

    Attributes
    ----------
    name
        Unique and stable.
    paper, citation
        Short and full.
    parameter
        "mu" or "tau".
    measure
        For whose effects it was derived; empty if for any.
    family, parameters
        As ``Prior``; parameters are None where the studies' standard errors give them.
    kind
        "empirical", "elicited", "weakly informative", "data-dependent" or "software default".
    status, doubts, checked
        "verified" or "doubtful"; what is in doubt; how it was checked.
    outcome, comparison, topic
        Where it holds; empty if anywhere.
    """

    name: str
    paper: str
    citation: str
    parameter: str
    measure: str
    family: str
    parameters: tuple[Any, ...] | None
    kind: str
    status: str
    doubts: tuple[str, ...] = ()
    checked: str = ""
    outcome: str = ""
    comparison: str = ""
    topic: str = ""

    @property
    def doubt(self) -> str:
        """All doubts in one text."""
        return "; ".join(self.doubts)

    def prior(self, sei: ArrayLike | None = None) -> Prior:
        """The prior itself, its source telling all of this.

        Raises
        ------
        ValueError
            If it takes the studies' standard errors and `sei` is None or holds one that is not positive.
        """
        where = ", ".join(part for part in (self.outcome, self.comparison, self.topic) if part)
        source = "; ".join(part for part in (self.citation, where, self.doubt) if part)
        if self.parameters is not None:
            return Prior(self.family, self.parameters, source, name=self.name, measure=self.measure)
        if sei is None:
            raise ValueError(f"{self.name} takes its scale from the studies: sei must be given.")
        made = _FROM_DATA[self.name](sei)
        return Prior(made.family, made.parameters, source, made.given, self.name, self.measure)


_FROM_DATA = {
    "uniform-shrinkage": uniform_shrinkage,
    "dumouchel": du_mouchel,
    "uniform-i2": uniform_i2,
    "jeffreys": jeffreys,
}


@cache
def codebook() -> dict[str, Any]:
    """The codebook of the published priors."""
    return tomllib.loads((files("bayespip.data") / "published_priors.toml").read_text(encoding="utf-8"))


def table(name: str) -> list[dict[str, str]]:
    """A table of the codebook, as text."""
    file = files("bayespip.data") / codebook()["tables"][name]["file"]
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


@cache
def entries() -> tuple[Entry, ...]:
    """All published priors: empirical ones by paper, then those of one line each."""
    return (
        *_log_normal("turner2015"),
        *_log_normal("turner2012"),
        *_rhodes2015(),
        *_rhodes2016(),
        *_bartos(),
        *_van_zwet(),
        *_single(),
    )


def _shared(table_name: str, /, **own: Any) -> dict[str, Any]:
    """What all rows of a table have in common, and their own."""
    about = codebook()["tables"][table_name]
    shared = {key: about[key] for key in _COMMON if key in about}
    doubts = tuple(filter(None, (about.get("doubt", ""), *own.pop("doubts", ()))))
    return shared | {"parameter": "tau", "doubts": doubts} | own


_COMMON = ("paper", "citation", "measure", "kind", "status", "checked")


def _doubts(name: str) -> dict[str, dict[str, Any]]:
    return {d["name"]: d for d in codebook()["tables"][name]["doubts"]}


def _where(row: dict[str, str]) -> dict[str, str]:
    return {"name": row["name"], "outcome": row["outcome"], "comparison": row["comparison"], "topic": _topic(row)}


def _topic(row: dict[str, str]) -> str:
    """Of a row for any setting: all of Cochrane."""
    return row.get("area", "") or ("" if row["outcome"] else "Cochrane")


def _log_normal(table_name: str) -> Iterator[Entry]:
    for row in table(table_name):
        halves = tuple(float(row[column]) / 2 for column in ("tau2_mu", "tau2_sigma"))
        yield Entry(**_shared(table_name, family="log-normal", parameters=halves, **_where(row)))


def _rhodes2015() -> Iterator[Entry]:
    readings = codebook()["tables"]["rhodes2015"]["readings"]
    doubts = _doubts("rhodes2015")
    for row in table("rhodes2015"):
        doubt = doubts.get(row["name"], {})
        for reading, about in readings.items():
            yield _log_t(row, reading, (about, doubt.get("doubt", "")))
            if "alternative" in doubt:
                changed = row | {column: str(value) for column, value in doubt["alternative"].items()}
                words = (about, "not as printed, but the alternative to a printed cell in doubt", doubt["doubt"])
                yield _log_t(changed, reading, words, "/alternative")


def _log_t(row: dict[str, str], reading: str, doubts: tuple[str, ...], suffix: str = "") -> Entry:
    df, spread = float(row["df"]), float(row["log_tau2_spread"])
    # a t with df degrees of freedom and scale s has the standard deviation s sqrt(df / (df - 2))
    scale = spread if reading == "scale" else spread * math.sqrt((df - 2) / df)
    where = _where(row) | {"name": f"{row['name']}/{reading}{suffix}"}
    parameters = (float(row["log_tau2_location"]) / 2, scale / 2, df)
    return Entry(**_shared("rhodes2015", family="log-t", parameters=parameters, doubts=doubts, **where))


def _rhodes2016() -> Iterator[Entry]:
    doubts = _doubts("rhodes2016")
    for row in table("rhodes2016"):
        parameters = (float(row["tau2_shape"]), float(row["tau2_scale"]))
        words = (doubts.get(row["name"], {}).get("doubt", ""),)
        shared = _shared("rhodes2016", family="root-inverse-gamma", parameters=parameters, doubts=words)
        yield Entry(**shared | _where(row))


def _bartos() -> Iterator[Entry]:
    papers = codebook()["tables"]["bartos"]["papers"]
    for row in table("bartos"):
        own = {"measure": row["measure"], "topic": row["topic"], **papers.get(row["measure"], papers["other"])}
        shared = _shared("bartos", **own)
        if row["tau_family"]:
            parameters = tuple(float(row[c]) for c in ("tau_first", "tau_second") if row[c])
            yield Entry(**shared, name=f"{row['name']}/tau", family=row["tau_family"], parameters=parameters)
        parameters = tuple(float(row[c]) for c in ("mu_location", "mu_scale", "mu_df"))
        yield Entry(**shared | {"parameter": "mu"}, name=f"{row['name']}/mu", family="student-t", parameters=parameters)


def _van_zwet() -> Iterator[Entry]:
    rows = table("van_zwet2021")
    mixture = tuple(float(r["weight"]) for r in rows), tuple(float(r["sd_snr"]) for r in rows)
    shared = _shared("van_zwet2021", parameter="mu", measure=SIGNAL_TO_NOISE, topic="Cochrane")
    yield Entry(**shared, name="van-zwet2021", family="normal mixture", parameters=mixture)


SIGNAL_TO_NOISE = "effect / sei"


def _single() -> Iterator[Entry]:
    """Those of one line each in the codebook; a line for several measures gives several."""
    for line in codebook()["prior"]:
        own = {key: line[key] for key in (*_COMMON, "parameter", "family", "topic") if key in line}
        parameters = None if line.get("sei") else tuple(line["parameters"])
        for measure in line.get("measures", [line.get("measure")]):
            name = line["name"].format(measure=measure)
            doubts = tuple(filter(None, (line.get("doubt", ""),)))
            yield Entry(**own | {"name": name, "measure": measure, "parameters": parameters, "doubts": doubts})
