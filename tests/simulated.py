"""A review of the tests' own: simulated data, and the results that a file would store, by the plain formulas."""

import math
from functools import cache
from statistics import NormalDist

import numpy as np
import pandas as pd

from bayespip.measures import MEASURES, Measure
from bayespip.readers.assembling import StudyRow, study_table
from bayespip.readers.results import reported_of, stored_table
from bayespip.readers.vocabulary import favoured
from bayespip.review import Analysis, Review
from bayespip.settings import Settings, Subgroup

ARMS = {"label_e": "Exercise", "label_c": "Waiting list"}
RIGHT = ARMS | {"label_left": "Favours waiting list", "label_right": "Favours exercise"}
LEFT = ARMS | {"label_left": "Favours exercise", "label_right": "Favours waiting list"}
POINTS = Measure("Points", "Points", (), log=False)

# Simulated: event_e, n_e, event_c, n_c. The third trial says nothing of a risk ratio.
COUNTS = [(14, 31, 6, 29), (22, 40, 17, 43), (0, 12, 0, 11), (9, 25, 2, 26)]
# mean_e, sd_e, n_e, mean_c, sd_c, n_c
MEANS = [(21.4, 6.1, 33, 26.9, 7.3, 35), (24.8, 5.2, 18, 25.1, 6.6, 21), (19.7, 8.0, 52, 25.2, 7.7, 49)]
# log hazard ratio, its standard error
HAZARDS = [(-0.41, 0.22), (-0.12, 0.31), (0.35, 0.40), (-0.05, 0.18)]


def log_risk_ratios():
    used = np.array([row for row in COUNTS if row[0] + row[2]], dtype=float)
    a, n, c, m = used.T
    return np.log(a / n / (c / m)), np.sqrt(1 / a - 1 / n + 1 / c - 1 / m)


def mean_differences():
    mean_e, sd_e, n_e, mean_c, sd_c, n_c = np.array(MEANS).T
    return mean_e - mean_c, np.sqrt(sd_e**2 / n_e + sd_c**2 / n_c)


def pooled_sd():
    """Within the arms of MEANS."""
    _, sd_e, n_e, _, sd_c, n_c = np.array(MEANS).T
    return math.sqrt(((n_e - 1) * sd_e**2 + (n_c - 1) * sd_c**2).sum() / (n_e + n_c - 2).sum())


def dersimonian_laird(yi, sei, level=0.95):
    """Estimate, lower and upper limit, tau2 and Q, by the formulas of 1986."""
    yi, w = np.asarray(yi), 1 / np.asarray(sei) ** 2
    q = (w * (yi - (w * yi).sum() / w.sum()) ** 2).sum()
    tau2 = max(0.0, (q - (yi.size - 1)) / (w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (1 / w + tau2)
    mu, half = (w * yi).sum() / w.sum(), NormalDist().inv_cdf((1 + level) / 2) / math.sqrt(w.sum())
    return mu, mu - half, mu + half, tau2, q


def texts(yi, sei, measure, level=0.95, **counts):
    """What a file stores of a random-effects result, at 16 digits."""
    mu, lower, upper, tau2, q = dersimonian_laird(yi, sei, level)
    shown = (*measure.display([mu, lower, upper]), tau2, q)
    stored = dict(zip(("effect", "lower", "upper", "tau2", "chi2"), (f"{x:.16g}" for x in shown), strict=True))
    return stored | {name: str(n) for name, n in counts.items()} | {"df": str(len(yi) - 1), "estimable": "YES"}


def rows(data_type, data, *, subgroups=None, names="ABCD"):
    groups = subgroups or [""] * len(data)
    labels = [f"Trial {name} {2001 + i}" for i, name in enumerate(names[: len(data)])]
    made = [
        StudyRow(label, group, in_total=True, data=tuple(x), footnote="")
        for label, group, x in zip(labels, groups, data, strict=True)
    ]
    return study_table(data_type, made)


def analysis(number, outcome, measure, studies, settings, *, results=None, subgroups=()):
    stored, favours = stored_table(results or {}), favoured(settings)
    return Analysis(
        id=f"1.{number}", comparison="Exercise versus waiting list", outcome=outcome, timepoint="", measure=measure,
        studies=studies, settings=settings, subgroups=subgroups, stored=stored, favours=favours,
        reported=reported_of(stored, measure, settings, favours),
    )  # fmt: skip


@cache
def simulated():
    """Six analyses: two with totals, one of subgroups only, one not pooled, one of text, one without a unit known."""
    dichotomous = Settings(
        data_type="dichotomous", method="IV", model="random", effect_label="Risk Ratio", swap_events=False, **RIGHT
    )
    continuous = Settings(data_type="continuous", method="IV", model="random", effect_label="Mean Difference", **LEFT)
    hazards = Settings(
        data_type="generic", method="IV", model="random", log_data=True, effect_label="Hazard Ratio",
        totals="subgroups", **LEFT,
    )  # fmt: skip
    apart = Settings(
        data_type="dichotomous", method="MH", model="random", effect_label="Risk Ratio", totals="none", **RIGHT
    )
    points = Settings(data_type="generic", method="IV", model="random", log_data=False, effect_label="Points", **LEFT)
    text = Settings(data_type="other", totals="none")
    by_age = [(*row, np.nan, np.nan) for row in HAZARDS]
    yi, sei = np.array(HAZARDS).T
    analyses = (
        analysis(1, "Recovery", MEASURES["RR"], rows("dichotomous", COUNTS), dichotomous,
                 results={"": texts(*log_risk_ratios(), MEASURES["RR"], k=4)}),
        analysis(2, "Pain", MEASURES["MD"], rows("continuous", MEANS), continuous,
                 results={"": texts(*mean_differences(), MEASURES["MD"], k=3)}),
        analysis(3, "Death", MEASURES["HR"],
                 rows("generic", by_age, subgroups=["Under 60", "Under 60", "60 and over", "60 and over"]), hazards,
                 results={"Under 60": texts(yi[:2], sei[:2], MEASURES["HR"]),
                          "60 and over": texts(yi[2:], sei[2:], MEASURES["HR"])},
                 subgroups=(Subgroup(1, "Under 60"), Subgroup(2, "60 and over"))),
        analysis(4, "Falls", MEASURES["RR"], rows("dichotomous", COUNTS[:2]), apart),
        analysis(5, "Costs", None, rows("other", [("cheaper",), ("no <difference> | unclear",)]), text),
        analysis(6, "Score", POINTS, rows("generic", [(1.5, 0.8, 30, 30), (2.5, 0.9, 28, 31)]), points,
                 results={"": texts([1.5, 2.5], [0.8, 0.9], POINTS)}),
    )  # fmt: skip
    names = [f"Trial {name} {2001 + i}" for i, name in enumerate("ABCD")]
    years = pd.Series([2001 + i for i in range(4)], dtype="Int64")
    studies = pd.DataFrame({"study": pd.Series(names, dtype="str"), "year": years})
    return Review(
        id="simulated", title="A simulated review", doi="", provenance="Simulated for the tests; no trial was run.",
        analyses=analyses, studies=studies,
    )  # fmt: skip
