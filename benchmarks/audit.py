"""How many seeded errors the audit finds, and how often it finds fault with a clean report.

Clean reports are simulated and printed as papers print them; into each of as many others one error is seeded.
``python benchmarks/audit.py`` prints the table in docs/decisions/audit.md. It takes about a minute.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special, stats

from bayespip.auditing import audit_reported
from bayespip.measures import MEASURES
from bayespip.review import Reported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Rng = np.random.Generator

Z = float(special.ndtri(0.975))
SEED = 20160817


class Truth(NamedTuple):
    """A pooled result before it is printed, and how it is printed."""

    measure: str
    yi: np.ndarray
    vi: np.ndarray
    n: np.ndarray
    common: bool
    decimals: int
    p_style: int

    @property
    def tau2(self) -> float:
        if self.common:
            return 0.0
        w = 1 / self.vi
        c = w.sum() - (w**2).sum() / w.sum()
        return max(0.0, (self.q - self.k + 1) / c)

    @property
    def k(self) -> int:
        return len(self.yi)

    @property
    def q(self) -> float:
        w = 1 / self.vi
        return float((w * (self.yi - (w * self.yi).sum() / w.sum()) ** 2).sum())

    @property
    def pooled(self) -> tuple[float, float]:
        w = 1 / (self.vi + self.tau2)
        return float((w * self.yi).sum() / w.sum()), float(w.sum() ** -0.5)


def draw(rng: Rng) -> Truth:
    """2 to 12 studies of a measure, under heterogeneity or none."""
    k = int(rng.choice([2, 2, 3, 3, 4, 5, 6, 8, 10, 12]))
    measure = str(rng.choice(["RR", "OR", "RD", "MD", "SMD"]))
    n = np.round(np.exp(rng.normal(4.5, 0.8, k))) + 8
    unit = {"RR": 2.5, "OR": 4.0, "RD": 0.9, "MD": 12.0, "SMD": 2.0}[measure]
    scale = unit / 3
    tau = abs(rng.normal(0, 0.4)) * scale if rng.uniform() < 0.7 else 0.0
    yi = rng.normal(rng.normal(0, 0.7) * scale, np.hypot(tau, unit / np.sqrt(n)))
    vi = unit**2 / n + (yi**2 / (2 * n) if measure == "SMD" else 0)
    return Truth(measure, yi, vi, n, rng.uniform() < 0.3, int(rng.choice([2, 2, 3])), int(rng.integers(3)))


def fixed(x: float, decimals: int) -> str:
    return f"{x:.{decimals}f}"


def p_text(p: float, style: int) -> str:
    """As RevMan prints it, or to three decimals with or without a bound."""
    if style == 0:
        if p < 1e-5:
            return "<0.00001"
        return next(fixed(p, d) for d in (2, 3, 4, 5) if p >= 10.0**-d or d == 5)
    return "<0.001" if style == 1 and p < 0.001 else fixed(p, 3)


def printed(truth: Truth, **changes: object) -> Reported:
    """The report of a result; `changes` are numbers that take the place of the right ones."""
    t, spec = truth, MEASURES[truth.measure]
    m, s = t.pooled
    shown = {"estimate": m, "ci_lower": m - Z * s, "ci_upper": m + Z * s}
    interval = {name: fixed(float(spec.display(x)), t.decimals) for name, x in shown.items()}
    p = 2 * stats.norm.sf(abs(m) / s)
    texts: dict[str, object] = interval | {
        "p": p_text(p, t.p_style),
        "q": fixed(t.q, 2),
        "p_q": p_text(float(special.chdtrc(t.k - 1, t.q)), t.p_style),
        "i2": fixed(max(0.0, 1 - (t.k - 1) / t.q) * 100, 0 if t.p_style < 2 else 1),
        "tau2": None if t.common else fixed(t.tau2, max(2, t.decimals)),
    }
    claim = "significant" if p < 0.05 else "not significant"
    whole: dict[str, object] = {"measure": spec, "k": t.k, "df": t.k - 1, "claim": claim, "n": int(t.n.sum())}
    return Reported(**(whole | texts | changes))  # type: ignore[arg-type]


Seeder = "Callable[[Truth, Reported, Rng], Reported | None]"


def another(rng: Rng, *, k: int | None = None) -> Reported:
    """A report of other studies, as many of them if k is given."""
    truth = draw(rng)
    while k is not None and truth.k != k:
        truth = draw(rng)
    return printed(truth)


def taken_from_another(field: str) -> Seeder:
    def seed(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
        value = getattr(another(rng, k=truth.k), field)
        same = value is None or getattr(report, field) is None or value.text == getattr(report, field).text
        return None if same else replace(report, **{field: value})

    return seed


def transposed(fields: tuple[str, ...]) -> Seeder:
    """Two neighbouring digits change places."""

    def seed(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
        del truth
        field = str(rng.choice(fields))
        number = getattr(report, field)
        if number is None:
            return None
        text = number.text
        places = [
            i for i in range(len(text) - 1) if (text[i] + text[i + 1]).isdigit() and text[i] != text[i + 1]
        ]  # fmt: skip
        if not places:
            return None
        i = int(rng.choice(places))
        return replace(report, **{field: text[:i] + text[i + 1] + text[i] + text[i + 2 :]})

    return seed


def sign(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    """The estimate's sign; of a ratio, its inverse."""
    del rng
    m, _ = truth.pooled
    text = fixed(float(report.measure.display(-m)), truth.decimals)
    return None if float(text) in (0.0, report.estimate.value) else replace(report, estimate=text)


def lost_minus(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    """A limit without its minus sign."""
    del truth
    field = str(rng.choice(["ci_lower", "ci_upper"]))
    value = getattr(report, field)
    return replace(report, **{field: value.text[1:]}) if value.text.startswith("-") and value.value else None


def limits_of(change: Callable[[float, float, Truth], tuple[float, float]]) -> Seeder:
    """Other limits on the model scale, given m and s."""

    def seed(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
        del rng
        low, high = (report.measure.display(x) for x in change(*truth.pooled, truth))
        new = {"ci_lower": fixed(float(low), truth.decimals), "ci_upper": fixed(float(high), truth.decimals)}
        same = (report.ci_lower.text, report.ci_upper.text) == tuple(new.values())
        return None if same else replace(report, **new)

    return seed


def log_limits(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng
    if not report.measure.log:
        return None
    m, s = truth.pooled
    return replace(report, ci_lower=fixed(m - Z * s, truth.decimals), ci_upper=fixed(m + Z * s, truth.decimals))


def one_sided(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng
    m, s = truth.pooled
    text = p_text(float(stats.norm.sf(abs(m) / s)), truth.p_style)
    return None if report.p is None or text == report.p.text else replace(report, p=text)


def tau_for_tau2(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng
    if report.tau2 is None:
        return None
    text = fixed(truth.tau2**0.5, max(2, truth.decimals))
    return None if text == report.tau2.text else replace(report, tau2=text)


def q_for_tau2(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng, truth
    return None if report.tau2 is None or report.q.text == report.tau2.text else replace(report, tau2=report.q)


def p_of_other_df(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng
    text = p_text(float(special.chdtrc(truth.k, truth.q)), truth.p_style)
    return None if text == report.p_q.text else replace(report, p_q=text)


def i2_as_share(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng, truth
    text = fixed(report.i2.value / 100, 2)
    return None if report.i2.value == 0 else replace(report, i2=text)


def reversed_claim(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    del rng, truth
    return replace(report, claim="not significant" if report.claim == "significant" else "significant")


def se_as_sd(truth: Truth, report: Reported, rng: Rng) -> Reported | None:
    """In one study of an SMD: all else follows faithfully from the wrong study."""
    del report
    if truth.measure != "SMD":
        return None
    i = int(rng.integers(truth.k))
    yi, vi = truth.yi.copy(), truth.vi.copy()
    yi[i] *= np.sqrt(truth.n[i] / 2)
    vi[i] = 4 / truth.n[i] + yi[i] ** 2 / (2 * truth.n[i])
    return printed(truth._replace(yi=yi, vi=vi))


KINDS: Mapping[str, Seeder] = {
    "limits exchanged": lambda t, r, rng: replace(r, ci_lower=r.ci_upper, ci_upper=r.ci_lower),
    "limits of another result": lambda t, r, rng: replace(
        r, **{f: getattr(o, f) for o in [another(rng)] for f in ("ci_lower", "ci_upper")}
    ),
    "estimate of another result": taken_from_another("estimate"),
    "digits transposed in the estimate": transposed(("estimate",)),
    "digits transposed in a limit": transposed(("ci_lower", "ci_upper")),
    "sign of the estimate": sign,
    "minus lost from a limit": lost_minus,
    "limits left on the log scale": log_limits,
    "SD in place of SE in the interval": limits_of(
        lambda m, s, t: (m - Z * s * t.n.sum() ** 0.5 / 2, m + Z * s * t.n.sum() ** 0.5 / 2)
    ),
    "estimate -/+ SE as the interval": limits_of(lambda m, s, t: (m - s, m + s)),
    "90% limits called 95%": limits_of(lambda m, s, t: (m - 1.6449 * s, m + 1.6449 * s)),
    "p of another result": taken_from_another("p"),
    "one-sided p": one_sided,
    "digits transposed in p": transposed(("p",)),
    "claim reversed": reversed_claim,
    "Q of another result": taken_from_another("q"),
    "digits transposed in Q": transposed(("q",)),
    "p of Q of another result": taken_from_another("p_q"),
    "p of Q on k df": p_of_other_df,
    "I2 of another result": taken_from_another("i2"),
    "I2 as a share": i2_as_share,
    "df = k": lambda t, r, rng: replace(r, df=t.k),
    "tau2 of another result": taken_from_another("tau2"),
    "tau for tau2": tau_for_tau2,
    "Q for tau2": q_for_tau2,
    "digits transposed in tau2": transposed(("tau2",)),
    "SE taken as SD in one study": se_as_sd,
}


class Rate(NamedTuple):
    """Of one kind of error: reports, those flagged, and how sure the audit was at best."""

    kind: str
    reports: int
    found: int
    impossible: int


def detection(kind: str, reports: int = 200, seed: int = SEED) -> Rate:
    """Flagged reports among those with one seeded error."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    seen: Counter[str] = Counter()
    while seen["reports"] < reports:
        truth = draw(rng)
        wrong = KINDS[kind](truth, printed(truth), rng)
        if wrong is None:
            continue
        findings = audit_reported(wrong)
        seen["reports"] += 1
        seen["found"] += bool(findings)
        seen["impossible"] += any(f.how_sure == "impossible" for f in findings)
    return Rate(kind, seen["reports"], seen["found"], seen["impossible"])


def false_alarms(reports: int = 2000, seed: int = SEED) -> list[tuple[Reported, str]]:
    """Clean reports with which the audit finds fault, and what it says."""
    rng = np.random.default_rng([seed, 999])
    clean = (printed(draw(rng)) for _ in range(reports))
    return [(report, finding.sentence) for report in clean for finding in audit_reported(report)]


def main() -> None:
    started = time.perf_counter()
    alarms = false_alarms()
    elapsed = (time.perf_counter() - started) / 2000
    print(f"False alarms on 2,000 clean reports: {len(alarms)} ({1e3 * elapsed:.2f} ms a report)\n")
    for report, sentence in alarms[:10]:
        print(report, sentence)
    print("| seeded error | reports | found | of them impossible |\n|---|---|---|---|")
    rates = [detection(kind) for kind in KINDS]
    for kind, reports, found, impossible in rates:
        print(f"| {kind} | {reports} | {found / reports:.0%} | {impossible / reports:.0%} |")
    total, found = sum(r.reports for r in rates), sum(r.found for r in rates)
    print(f"| all | {total} | {found / total:.0%} | {sum(r.impossible for r in rates) / total:.0%} |")


if __name__ == "__main__":
    main()
