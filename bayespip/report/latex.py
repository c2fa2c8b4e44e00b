"""The comparison as LaTeX tables in the style of booktabs.

They need the packages booktabs, longtable and array, and are as wide as the text: set them in landscape, or smaller.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bayespip.text.findings import findings
from bayespip.text.summary import first_tables, outcome_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bayespip.reanalysis.job import Reanalysis

__all__ = ["latex_comparison", "latex_outcome"]

PREAMBLE = r"% \usepackage{booktabs,longtable,array}"
_ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "²": r"\textsuperscript{2}", "×": r"$\times$", "−": "$-$",
    "–": "--", "—": "---", "τ": r"$\tau$", "μ": r"$\mu$", "≥": r"$\geq$", "≤": r"$\leq$", "±": r"$\pm$",
}  # fmt: skip
_GUTTER = 3  # characters that the space between two columns takes
# A number, not in a name ("R-2") nor after the point of another, though after the two points of a range.
_NUMBER = re.compile(r"(?<![\w-])(?<!\w\.)(-?)(\d+(?:\.\d+)?|inf\b)(?:e(-?\d+))?(?!\w)")


def latex_comparison(result: Reanalysis) -> str:
    """All outcomes, a table a measure and set of priors: published, Cochrane's default, and Bayesian."""
    tables = [
        _longtable(heads, rows, f"{title}: published, frequentist and Bayesian results", f"tab:comparison-{i}")
        for i, (title, heads, rows) in enumerate(first_tables(findings(result)), start=1)
    ]
    return "\n\n".join([PREAMBLE, *tables]) + "\n"


def latex_outcome(result: Reanalysis, label: str) -> str:
    """One outcome under every method and prior.

    Parameters
    ----------
    result
        From ``reanalyse``.
    label
        Of the outcome, as ``Finding.label``.

    Raises
    ------
    ValueError
        If there is no such outcome; the message lists the choices.
    """
    found = {f.label: f for f in findings(result)}
    if label not in found:
        raise ValueError(f"label must be one of {', '.join(found)}; got {label!r}.")
    f = found[label]
    about = ", ".join(part for part in (f.analysis.outcome, f.analysis.timepoint) if part)
    name = re.sub(r"[^A-Za-z0-9.]+", "-", label).strip("-")
    return f"{PREAMBLE}\n\n{_longtable(*outcome_table(f), f'{label} {about}', f'tab:{name}')}\n"


def escaped(text: str) -> str:
    """Text as LaTeX sets it: special characters escaped, minus signs and powers of ten as mathematics."""
    plain = "".join(_ESCAPED.get(character, character) for character in " ".join(text.split()))
    return _NUMBER.sub(_number, plain)


def _number(match: re.Match[str]) -> str:
    sign, digits, exponent = match.groups()
    if exponent:
        return rf"${sign}{digits} \times 10^{{{exponent}}}$"
    return f"$-${digits}" if sign else digits


def _longtable(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """Columns in proportion to their longest line, together as wide as the text."""
    cells = [[line for row in (heads, *rows) for line in row[i].split("<br>")] for i in range(len(heads))]
    longest = [max(map(len, lines)) + _GUTTER for lines in cells]
    share = 1 / sum(longest)
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{\dimexpr {n * share:.4f}\linewidth-2\tabcolsep\relax}}" for n in longest
    )
    head = " & ".join(_cell(h) for h in heads) + r" \\"
    body = "\n".join(" & ".join(_cell(cell) for cell in row) + r" \\" for row in rows)
    return "\n".join([
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        rf"\caption{{{escaped(caption)}}}\label{{{label}}}\\",
        r"\toprule", head, r"\midrule", r"\endfirsthead",
        r"\toprule", head, r"\midrule", r"\endhead",
        r"\bottomrule", r"\endlastfoot",
        body,
        r"\end{longtable}",
    ])  # fmt: skip


def _cell(text: str) -> str:
    return r" \newline ".join(escaped(line) for line in text.split("<br>"))
