"""What the two arms of an analysis are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayespip.review import Analysis

__all__ = ["arm_names"]

_UNNAMED = ("experimental", "control")  # RevMan's own labels where its user named no arm
_VERSUS = re.compile(r"\s+(?:versus|vs\.?)\s+", re.IGNORECASE)
_FAVOURS = re.compile(r"favou?rs\s+", re.IGNORECASE)


def arm_names(analysis: Analysis) -> tuple[str, str]:
    """Names of the experimental and of the control arm.

    The labels of the review's file come first: a comparison titled "0 ppm F versus 1000 ppm F" can have the higher
    concentration as its experimental arm. Without them the comparison names both ("PIP versus control"), and where
    it does not they are "experimental" and "control".
    """
    settings = analysis.settings
    if settings is not None:
        # some authors write the axis label "Favours exercise" into the arm's
        labels = tuple(_FAVOURS.sub("", label.strip(), count=1) for label in (settings.label_e, settings.label_c))
        if all(labels) and tuple(map(str.lower, labels)) != _UNNAMED:
            return labels[0], labels[1]
    names = [part.strip() for part in _VERSUS.split(analysis.comparison)]
    return (names[0], names[1]) if len(names) == 2 and all(names) else _UNNAMED
