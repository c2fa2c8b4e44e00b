"""The words of Cochrane's files, in ours: data types, methods, models, effect measures, sides of a forest plot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bayespip.measures import MEASURES, O_E, Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bayespip.settings import Settings

__all__ = [
    "DATA_COLUMNS",
    "JUDGEMENTS",
    "METHODS",
    "MODELS",
    "QUANTITIES",
    "TYPES",
    "favoured",
    "meaning",
    "measure_of",
    "unique_names",
]

# Columns of Analysis.studies between in_total and footnote, for each data type of Settings.
DATA_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "dichotomous": ("event_e", "n_e", "event_c", "n_c"),
    "continuous": ("mean_e", "sd_e", "n_e", "mean_c", "sd_c", "n_c"),
    "generic": ("yi", "sei", "n_e", "n_c"),
    "O-E": ("o_e", "variance", "event_e", "n_e", "event_c", "n_c"),
    "other": ("text",),
}

# Analysis.stored, in this order; the last four are the test for subgroup differences.
QUANTITIES = (
    "effect", "lower", "upper", "z", "p", "tau2", "chi2", "df", "i2", "p_chi2", "k", "n_e", "n_c", "event_e",
    "event_c", "weight", "estimable", "q", "df_q", "p_q", "i2_q",
)  # fmt: skip

# Of the three tables below, the keys are folded as `meaning` folds: lower case, letters and digits only.
TYPES: Mapping[str, str] = {
    "dich": "dichotomous", "dic": "dichotomous", "dichotomous": "dichotomous",
    "cont": "continuous", "con": "continuous", "continuous": "continuous",
    "iv": "generic", "giv": "generic", "inversevariance": "generic", "genericinversevariance": "generic",
    "generic": "generic", "contrastlevel": "generic",
    "ipd": "O-E", "oe": "O-E", "oeandvariance": "O-E", "oev": "O-E", "oevariance": "O-E",
    "other": "other", "oth": "other", "otherdata": "other",
}  # fmt: skip

METHODS: Mapping[str, str] = {
    "mh": "MH", "mantelhaenszel": "MH",
    "iv": "IV", "inversevariance": "IV", "giv": "IV",
    "peto": "Peto", "expoevar": "Peto", "oe": "Peto",
}  # fmt: skip

MODELS: Mapping[str, str] = {
    "no": "fixed", "fixed": "fixed", "fixedeffect": "fixed", "fixedeffects": "fixed", "commoneffect": "fixed",
    "yes": "random", "random": "random", "randomeffect": "random", "randomeffects": "random",
}  # fmt: skip

# RevMan 5 answers "Was it adequate?"; RevMan Web judges the risk.
JUDGEMENTS: Mapping[str, str] = {
    "yes": "Low risk", "low": "Low risk", "lowrisk": "Low risk", "lowriskofbias": "Low risk",
    "no": "High risk", "high": "High risk", "highrisk": "High risk", "highriskofbias": "High risk",
    "unknown": "Unclear risk", "unclear": "Unclear risk", "unclearrisk": "Unclear risk",
    "unclearriskofbias": "Unclear risk",
    "someconcerns": "Some concerns",
}  # fmt: skip

_MEASURES: Mapping[str, str] = {
    "or": "OR", "oddsratio": "OR",
    "rr": "RR", "riskratio": "RR", "relativerisk": "RR",
    "rd": "RD", "riskdifference": "RD",
    "md": "MD", "wmd": "MD", "meandifference": "MD",
    "smd": "SMD", "stdmeandifference": "SMD", "standardizedmeandifference": "SMD",
    "standardisedmeandifference": "SMD",
    "petoor": "PETO", "petooddsratio": "PETO", "peto": "PETO",
    "hr": "HR", "hazardratio": "HR", "hazardsratio": "HR",
    "rom": "ROM", "ratioofmeans": "ROM",
}  # fmt: skip

_O_E_MEASURES = {"PETO": "PETO", "OR": "PETO", "HR": "HR"}
_ARM_MEASURES = {"dichotomous": ("OR", "RR", "RD", "PETO"), "continuous": ("MD", "SMD", "ROM")}

_FAVOURS = re.compile(r"\s*(?:in\s+)?favou?r(?:s|ing)?(?:\s+of)?\b(?P<arm>.*)", re.IGNORECASE | re.DOTALL)
_EXPERIMENTAL = re.compile(r"(the )?(experimental|treatment|intervention)( treatment| intervention)?( group| arm)?")
# A side that holds one of these names the other arm: "no treatment", "usual treatment".
_NOT_THE_ARM = {
    "no", "not", "non", "none", "without", "control", "comparator", "comparison", "placebo", "usual",
    "standard",
}  # fmt: skip


def meaning(words: Mapping[str, str], text: str | None) -> str | None:
    """What a file's word means in ours, whatever its case and punctuation; None where it is not in the table."""
    return words.get(_fold(text))


def _fold(text: str | None) -> str:
    return re.sub(r"[^a-z0-9]", "", (text or "").casefold())


def measure_of(
    data_type: str, effect_label: str, log_data: bool | None = None, method: str | None = None
) -> Measure | None:
    """The effect measure that a file means.

    Parameters
    ----------
    data_type
        As in Settings.
    effect_label
        The file's words for the measure: "OR", "Odds Ratio", "Hazard ratio"; for generic data anything.
    log_data
        Whether generic data are logarithms.
    method
        Of pooling, as in Settings: an odds ratio pooled by "Peto" is a Peto odds ratio.

    Returns
    -------
    Measure or None
        For generic data a new Measure where the label is no known one or contradicts log_data; None for "other".

    Raises
    ------
    ValueError
        If the label of two-arm or O-E data is not known; the message lists those that are.
    """
    if data_type == "other":
        return None
    name = _MEASURES.get(_fold(effect_label))
    if data_type == "generic":
        known = MEASURES.get(name) if name else None
        if known is not None and known.log == bool(log_data):
            return known
        label = effect_label or "Generic effect"
        return Measure(effect_label or "GEN", label, (), log=bool(log_data))
    if data_type == "O-E":
        # Exp[(O-E)/Var] estimates a hazard ratio, or of events without their times Peto's odds ratio.
        if name in _O_E_MEASURES:
            return MEASURES[_O_E_MEASURES[name]]
        label = effect_label or "Exp[(O-E)/Var]"
        return Measure(label, label, O_E, log=True)
    choices = _ARM_MEASURES[data_type]
    if name == "OR" and method == "Peto":
        name = "PETO"
    if name not in choices:
        raise ValueError(
            f"effect measure of {data_type} data must be one of {', '.join(choices)}; got {effect_label!r}."
        )
    return MEASURES[name]


def favoured(settings: Settings) -> str | None:
    """The direction that favours the experimental arm: "lower", "higher", or None where the sides do not say.

    A side names the experimental arm if after "Favours" it holds all words of label_e, in singular or plural, or is
    "experimental", "treatment" or "intervention"; not if it holds a word such as "no", "usual" or "control" that
    label_e does not, nor if it fits label_c as well or better. "lower": the left side names it and the right side
    does not; "higher": the mirror. Anything else is None: nothing is guessed.
    """
    left, right = (_names_experimental(side, settings) for side in (settings.label_left, settings.label_right))
    if left == right:
        return None
    return "lower" if left else "higher"


def _names_experimental(side: str, settings: Settings) -> bool:
    match = _FAVOURS.fullmatch(side)
    if match is None:
        return False
    words = _words(match["arm"])
    e, c = (_words(re.sub(r"(?i)^\s*favou?rs\b", "", label)) for label in (settings.label_e, settings.label_c))
    if (set(words) - set(e)) & _NOT_THE_ARM:
        return False
    if _EXPERIMENTAL.fullmatch(" ".join(words)) and not set(words) <= set(c):
        return True
    fits_e, fits_c = bool(e) and set(e) <= set(words), bool(c) and set(c) <= set(words)
    return fits_e and (not fits_c or set(e) > set(c))


def _words(text: str) -> list[str]:
    """In lower case, a plural as its singular."""
    return [re.sub(r"(?<=[^\Ws_][^\Ws_])s$", "", word) for word in re.findall(r"\w+", text.casefold())]


def unique_names(names: list[str]) -> list[str]:
    """Subgroup names, non-empty and unique: "Subgroup 2" for an empty second, "x (2)" for the second "x"."""
    result: list[str] = []
    taken = {n for n in names if n}
    for number, name in enumerate(names, start=1):
        wanted = name or f"Subgroup {number}"
        candidate, copy = wanted, 1
        while candidate in result or (candidate != name and candidate in taken):
            copy += 1
            candidate = f"{wanted} ({copy})"
        result.append(candidate)
    return result
