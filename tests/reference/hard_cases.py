"""Posteriors of 200 random hard analyses at 40 digits: writes hard_cases.json beside itself.

Independent of bayespip's quadrature (adaptive Gauss-Legendre panels in double precision): the trapezoidal rule in
log tau with mpmath, whose nodes bend towards an end where the integral has one (Trefethen & Weideman 2014, SIAM
Review 56:385). Every number is found with one set of nodes and verified with another, halfway between those.
Double precision, NumPy and SciPy only say where to start. Run: python tests/reference/hard_cases.py (twenty minutes).
"""

import json
import math
from functools import cached_property
from pathlib import Path

import mpmath as mp
import numpy as np
import scipy
from exact_hard_cases import DENSITIES, Analysis
from scipy import stats
from scipy.special import ndtr

mp.mp.dps = 40
SEED, COUNT = 20261122, 200
LEVEL = mp.mpf("0.95")
AGREEMENT = mp.mpf(10) ** -15  # of both sets of nodes, relative
REACH = 42  # nodes below exp(-42) of the largest are left out
LIGHT = mp.mpf(10) ** -19  # components of less weight reach no digit that is printed
CLOSE = mp.mpf(10) ** -11  # a Newton step of this size leaves an error of about its square
FAR = 14  # P(z > 14) is 8e-45


def log_t(t, location, scale, df):
    z = (mp.log(t) - location) / scale
    constant = mp.gamma((df + 1) / 2) / (mp.gamma(df / 2) * mp.sqrt(df * mp.pi) * scale)
    return constant * (1 + z * z / df) ** (-(df + 1) / 2) / t


def uniform(_, lower, upper):
    return 1 / (upper - lower)


DENSITIES |= {"log_t": log_t, "uniform": uniform}
# the same in double precision, for starting values; how each falls, tau^-a
ROUGHLY = {
    "half_cauchy": lambda scale: stats.halfcauchy(scale=scale).logpdf,
    "log_normal": lambda m, s: stats.lognorm(s, scale=math.exp(m)).logpdf,
    "log_t": lambda m, s, df: lambda t: stats.t(df, m, s).logpdf(np.log(t)) - np.log(t),
    "inverse_gamma": lambda a, b: stats.invgamma(a, scale=b).logpdf,
    "uniform": lambda lower, upper: stats.uniform(lower, upper - lower).logpdf,
}
TAILS = {
    "half_cauchy": lambda *_: 2,
    "log_normal": lambda *_: math.inf,
    "log_t": lambda *_: 1,
    "inverse_gamma": lambda shape, _: shape + 1,
    "uniform": lambda *_: math.inf,
}


class Posterior(Analysis):
    """An analysis and where its quadrature begins and ends in log tau; a log-t prior has mass below any tau."""

    def __init__(self, case):
        super().__init__(case["yi"], case["sei"], case["mu"], case["tau"])
        self.case, self.family = case, case["tau"][0]
        self.upper = mp.log(self.parameters[1]) if self.family == "uniform" else None
        self.lower, self.lump = None, None
        if self.family == "log_t":
            # tau^2 changes the likelihood below this by less than 1e-26
            farthest = max(abs(y) for y in self.y) + abs(self.y[0]) + (abs(self.mu[0]) if self.mu else 0)
            self.lower = mp.log(mp.mpf(10) ** -14 * mp.sqrt(min(self.v))) - mp.log(1 + farthest / mp.sqrt(min(self.v)))
            location, scale, df = self.parameters
            z = (location - self.lower) / scale
            mass = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + z * z), regularized=True) / 2
            likelihood, mean, variance = self.given(mp.mpf(0))
            self.lump = mp.mpf(0), mass * likelihood, mean, variance
        tail = TAILS[self.family](*case["tau"][1:]) + len(self.y) - (self.mu is None)
        self.moments = [m for m in (0, 1, 2) if tail - m > 1]

    def given(self, t):
        """As the method it replaces, in half the time; of 40 digits the difference of squares loses ten at most."""
        s0, s1, s2, product, t2 = mp.mpf(0), mp.mpf(0), mp.mpf(0), mp.mpf(1), t * t
        for y, v in zip(self.y, self.v, strict=True):
            total = v + t2
            from_first = y - self.y[0]
            part = from_first / total
            s0, s1, s2, product = s0 + 1 / total, s1 + part, s2 + part * from_first, product * total
        ybar, constant = self.y[0] + s1 / s0, (2 * mp.pi) ** (1 - len(self.y))
        likelihood = mp.sqrt(constant / (product * s0)) * mp.exp((s1 * s1 / s0 - s2) / 2)
        if self.mu is None:
            return likelihood, ybar, 1 / s0
        mean, sd = self.mu
        spread, joint = 1 / s0 + sd**2, s0 + 1 / sd**2
        likelihood *= mp.exp(-((ybar - mean) ** 2) / spread / 2) / mp.sqrt(2 * mp.pi * spread)
        return likelihood, (s0 * ybar + mean / sd**2) / joint, 1 / joint

    def place(self, u, lower, upper):
        """log tau and its derivative at u, which runs over the whole line; without ends they are the same."""
        if upper is not None:
            return upper - mp.log1p(mp.exp(upper - u)), 1 / (1 + mp.exp(u - upper))
        if lower is not None:
            return lower + mp.log1p(mp.exp(u - lower)), 1 / (1 + mp.exp(lower - u))
        return u, mp.mpf(1)

    @cached_property
    def range(self):
        """Where u matters, to the nearest two units."""
        ends = self.lower, self.upper
        centre = mp.floor(next((end for end in ends if end is not None), mp.log(self.v[0]) / 2))
        found = []
        for i in range(-400, 401, 2):
            x, slope = self.place(centre + i, *ends)
            value = self.integrand(x) * slope
            found.append([mp.log(value) + m * x if value else -mp.inf for m in self.moments])
        tops = [max(column) for column in zip(*found, strict=True)]
        used = [i for i, row in enumerate(found) if any(v > t - REACH for v, t in zip(row, tops, strict=True))]
        return centre + 2 * used[0] - 402, centre + 2 * used[-1] - 398

    def rows(self, step, shift, lower=None, upper=None):
        """Nodes (tau, weight, mean, variance)."""
        first, last = self.range
        if lower is not None and lower != self.lower:
            first = lower - REACH
        if upper is not None and upper != self.upper:
            last = upper + REACH
        found = []
        for i in range(int((last - first) / step) + 1):
            x, slope = self.place(first + (i + shift) * step, lower, upper)
            t = mp.exp(x)
            likelihood, mean, variance = self.given(t)
            found.append((t, step * slope * t * self.density(t, *self.parameters) * likelihood, mean, variance))
        return found

    def both(self, step):
        """Two sets of nodes over the whole range."""
        sets = [self.rows(step, shift, self.lower, self.upper) for shift in (mp.mpf(0), mp.mpf(1) / 2)]
        return [[self.lump, *rows] if self.lump else rows for rows in sets]

    def beyond(self, x, step, shift):
        """Integral on the side of log tau = x where the quadrature has no end."""
        ends = {"lower": None, "upper": x} if self.family == "uniform" else {"lower": x, "upper": None}
        return mp.fsum(w for _, w, _, _ in self.rows(step, shift, **ends))


def summary(rows):
    """Log evidence, means and SDs, P(mu > 0)."""
    evidence = mp.fsum(w for _, w, _, _ in rows)
    rows = [(t, w / evidence, m, v) for t, w, m, v in rows]
    tau, mu = mp.fsum(w * t for t, w, _, _ in rows), mp.fsum(w * m for _, w, m, _ in rows)
    found = {
        "log_evidence": mp.log(evidence),
        "tau_mean": tau,
        "tau_sd": mp.sqrt(mp.fsum(w * (t - tau) ** 2 for t, w, _, _ in rows)),
        "mu_mean": mu,
        "theta_new_mean": mu,
        "mu_sd": mp.sqrt(mp.fsum(w * (v + (m - mu) ** 2) for _, w, m, v in rows)),
        "theta_new_sd": mp.sqrt(mp.fsum(w * (v + t * t + (m - mu) ** 2) for t, w, m, v in rows)),
        "prob_positive": mp.fsum(w * mp.ncdf(m / mp.sqrt(v)) for _, w, m, v in rows if w > LIGHT),
    }
    return rows, found


def absent(posterior):
    """Moments that do not exist: a far mu or new effect comes with a tau as large, unless mu has a normal prior."""
    names = set()
    for order, statistic in ((1, "mean"), (2, "sd")):
        if order not in posterior.moments:
            names |= {f"tau_{statistic}", f"theta_new_{statistic}"}
            if posterior.mu is None:
                names.add(f"mu_{statistic}")
    return names


class Mixture:
    """A mixture of normals (weight, mean, sd)."""

    def __init__(self, components):
        self.components = [c for c in components if c[0] > LIGHT]

    def cdf(self, x):
        return self.at(x)[0]

    def at(self, x):
        """P(X < x), density and slope of the log density."""
        below, density, slope = mp.mpf(0), mp.mpf(0), mp.mpf(0)
        for w, m, s in self.components:
            z = (x - m) / s
            if z > FAR:
                below += w
            elif z > -FAR:
                below += w * mp.ncdf(z)
                d = w * mp.npdf(z) / s
                density += d
                slope -= d * z / s
        return below, density, slope / density

    @cached_property
    def roughly(self):
        return RoughMixture(*(np.array([float(v) for v in column]) for column in zip(*self.components, strict=True)))


class RoughMixture:
    """The same in double precision."""

    def __init__(self, weight, mean, sd):
        self.weight, self.mean, self.sd = weight, mean, sd

    def at(self, x):
        z = (float(x) - self.mean) / self.sd
        d = self.weight * np.exp(-(z**2) / 2) / (self.sd * math.sqrt(2 * math.pi))
        return float(self.weight @ ndtr(z)), float(d.sum()), -float((d * z / self.sd).sum() / d.sum())

    @cached_property
    def table(self):
        """x and P(X < x), dense on every scale."""
        centre, unit = float(self.weight @ self.mean), float(self.sd.min())
        reach = float((np.abs(self.mean - centre) + 9 * self.sd).max())
        x = centre + unit * np.sinh(np.linspace(-1, 1, 3001) * math.asinh(reach / unit))
        return x, np.concatenate(
            [ndtr((part[:, None] - self.mean) / self.sd) @ self.weight for part in np.split(x, 3001)]
        )


class Tau:
    """The marginal of tau: distribution function by an integral from the last point asked for."""

    def __init__(self, posterior, evidence, step, shift):
        self.posterior, self.evidence, self.step, self.shift = posterior, evidence, step, mp.mpf(shift)
        self.known = {}

    def density(self, t):
        return self.posterior.density(t, *self.posterior.parameters) * self.posterior.given(t)[0] / self.evidence

    def cdf(self, t):
        part = self.posterior.beyond(mp.log(t), self.step, self.shift) / self.evidence
        return part if self.posterior.family == "uniform" else 1 - part

    def at(self, t):
        near = [s for s in self.known if abs(s - t) < s / 1000]
        if not near:
            self.known[t] = self.cdf(t)
            near = [t]
        start = near[0]
        middle, half = (t + start) / 2, (t - start) / 2
        small = mp.fsum(w * self.density(middle + half * u) for u, w in zip(*GAUSS, strict=True)) * half if half else 0
        above, under = self.density(t * (1 + DELTA)), self.density(t * (1 - DELTA))
        return self.known[start] + small, self.density(t), mp.log(above / under) / (2 * DELTA * t)

    @cached_property
    def table(self):
        """tau and P(T < tau) in double precision."""
        posterior, case = self.posterior, self.posterior.case
        first, last = posterior.range
        ends = posterior.lower, posterior.upper
        x0 = posterior.place(first, *ends)[0] if posterior.lower is None else posterior.lower
        x = np.linspace(float(x0), float(last if posterior.upper is None else posterior.upper), 200_001)
        t, yi, vi = np.exp(x), np.array(case["yi"]), np.array(case["sei"]) ** 2
        total = vi[:, None] + t**2
        s0 = (1 / total).sum(axis=0)
        ybar = (yi[:, None] / total).sum(axis=0) / s0
        log = -0.5 * (np.log(total).sum(axis=0) + np.log(s0) + ((yi[:, None] - ybar) ** 2 / total).sum(axis=0))
        if case["mu"]:
            spread = 1 / s0 + case["mu"][1] ** 2
            log -= 0.5 * (np.log(spread) + (ybar - case["mu"][0]) ** 2 / spread)
        with np.errstate(divide="ignore"):
            inside = np.minimum(t, case["tau"][2] if posterior.upper is not None else np.inf)
            log += ROUGHLY[posterior.family](*case["tau"][1:])(inside)
        density = np.exp(log - (log + x).max())
        pieces = np.concatenate([[0.0], np.cumsum((density * t)[1:] + (density * t)[:-1]) / 2 * (x[1] - x[0])])
        lump = float(posterior.lump[1] / self.evidence) if posterior.lump else 0.0
        return t, lump + (1 - lump) * pieces / pieces[-1]


DELTA = mp.mpf(10) ** -9
GAUSS = (
    [mp.mpf(0), *(s * mp.sqrt(5 + r * 2 * mp.sqrt(mp.mpf(10) / 7)) / 3 for r in (-1, 1) for s in (-1, 1))],
    [mp.mpf(128) / 225, *((322 - r * 13 * mp.sqrt(70)) / 900 for r in (-1, 1) for s in (-1, 1))],
)


def quantile(marginal, p, start, close):
    """By Newton's method until a step is so small, in units of the interval, that the next would be its square.

    A step beyond what is known to lie on either side of the quantile goes halfway there instead.
    """
    x, low, high = mp.mpf(start), mp.mpf(0) if isinstance(marginal, Tau) else -mp.inf, mp.inf
    for _ in range(200):
        below, density, _ = marginal.at(x)
        low, high = (x, high) if below < p else (low, x)
        move = (p - below) / density if density else mp.inf
        if abs(move) * density < close:
            return x + move
        if low < x + move < high:
            x += move
        else:
            x = (low + high) / 2 if mp.isfinite(low + high) else x + mp.sign(p - below) * (1 + abs(x))
    raise ArithmeticError(f"no quantile at {p}")


def same_density(marginal, a, b, close):
    """Ends near a and b with the same density at both and the right probability between them, as ``quantile``."""
    for _ in range(60):
        (below_a, at_a, slope_a), (below_b, at_b, slope_b) = marginal.at(a), marginal.at(b)
        missing, unequal = LEVEL - (below_b - below_a), mp.log(at_a / at_b)
        # missing = at_b db - at_a da; unequal = slope_b db - slope_a da
        determinant = at_b * slope_a - at_a * slope_b
        da = (missing * slope_b - unequal * at_b) / determinant
        db = (missing * slope_a - unequal * at_a) / determinant
        damp = min(1, (b - a) / 20 / max(abs(da), abs(db), mp.mpf(10) ** -40))
        a, b = max(a + damp * da, a / 2) if isinstance(marginal, Tau) else a + damp * da, b + damp * db
        if max(abs(da), abs(db)) < close * (b - a):
            return a, b
    raise ArithmeticError("no shortest interval")


def shortest(marginal, table, support, refine):
    """Ends of the shortest interval: both of the same density, unless one is an end of the support."""
    x, below = table
    starts = below < 1 - float(LEVEL)
    ends = np.interp(below[starts] + float(LEVEL), below, x)
    widths = ends - x[starts]
    best = int(np.argmin(widths))
    lower, upper = support
    # the table begins at a tau beside which no width differs
    if lower is not None and widths[0] <= widths[best] * (1 + 1e-10):
        return lower, refine(LEVEL)
    if upper is not None and best == starts.sum() - 1:
        return refine(1 - LEVEL), upper
    a, b = mp.mpf(x[starts][best]), mp.mpf(ends[best])
    if isinstance(marginal, Mixture):
        a, b = same_density(marginal.roughly, a, b, 1e-10)
    a, b = same_density(marginal, a, b, CLOSE)
    assert b - a <= widths[best] * (1 + 1e-5), "another minimum"
    return a, b


def scale(values, name, known):
    """What an error of this value counts relative to: itself, its posterior SD, for a probability or logarithm one."""
    if name in ("log_evidence", "prob_positive"):
        return max(1, abs(values[name]))
    sd = f"{name.rsplit('_', 1)[0]}_sd"
    return max(abs(values[name]), values[sd] if sd in known else 0)


def nodes(posterior):
    """A step at which two sets of nodes agree, both sets normalised, and the summaries."""
    step, missing = mp.mpf(1) / 8, absent(posterior)
    for _ in range(8):
        (rows, values), (others, check) = (summary(rows) for rows in posterior.both(step))
        kept = [name for name in values if name not in missing]
        if all(abs(values[n] - check[n]) <= AGREEMENT * scale(check, n, kept) for n in kept):
            return step, rows, others, {n: values[n] for n in kept}
        step /= 2
    raise ArithmeticError(posterior.case)


class DisagreementError(ArithmeticError):
    """Two sets of nodes give different values."""


def limits(marginal, other, support):
    """Quantiles and shortest interval, found with one set of nodes and verified with the other."""
    mixture = isinstance(marginal, Mixture)
    table = marginal.roughly.table if mixture else marginal.table

    def refine(p):
        start = np.interp(float(p), *reversed(table))
        start = quantile(marginal.roughly, p, start, 1e-13) if mixture else start
        return quantile(marginal, p, start, CLOSE)

    levels = (1 - LEVEL) / 2, mp.mpf("0.5"), (1 + LEVEL) / 2
    found = [refine(p) for p in levels]
    ends = shortest(marginal, table, support, refine)
    inside = [other.cdf(e) if e not in support else mp.mpf(i) for i, e in enumerate(ends)]
    differences = [other.cdf(q) - p for q, p in zip(found, levels, strict=True)] + [inside[1] - inside[0] - LEVEL]
    if max(map(abs, differences)) > AGREEMENT:
        raise DisagreementError(differences)
    return found, list(ends)


def tau_limits(posterior, evidence, step):
    """The same of tau, whose integrals may need a finer step than those over all of its range."""
    support = mp.mpf(0), posterior.parameters[1] if posterior.family == "uniform" else None
    for _ in range(4):
        try:
            return limits(*(Tau(posterior, evidence, step, shift) for shift in (0, mp.mpf(1) / 2)), support)
        except DisagreementError:
            step /= 2
    raise DisagreementError(posterior.case)


def solve(case):
    posterior = Posterior(case)
    step, rows, others, out = nodes(posterior)
    found = {"tau": tau_limits(posterior, mp.exp(out["log_evidence"]), step)}
    for name, new in (("mu", 0), ("theta_new", 1)):
        sets = (Mixture([(w, m, mp.sqrt(v + new * t * t)) for t, w, m, v in r]) for r in (rows, others))
        found[name] = limits(*sets, (None, None))
    for name, (quantiles, ends) in found.items():
        out[f"{name}_quantiles"], out[f"{name}_shortest"] = quantiles, ends
    return {n: [mp.nstr(q, 17) for q in x] if isinstance(x, list) else mp.nstr(x, 17) for n, x in out.items()}


def rounded(x, digits=4):
    return float(f"{x:.{digits}g}")


def analysis(rng, kind):
    """Invented effects and standard errors."""
    k = int(rng.choice([2, 2, 2, 3, 5, 8]))
    if kind == "ratio 1e6":
        k = min(k, 3)
        sei = 10 ** (rng.uniform(-4, -2) + np.concatenate([[0.0, 6.0], rng.uniform(0, 6, k - 2)]))
    else:
        level = {"1e-4": -4, "1e4": 4, "any": rng.uniform(-4, 4)}.get(kind, rng.uniform(-1, 0))
        sei = 10 ** np.clip(level + rng.uniform(-0.4, 0.4, k), -4, 4)
    yi = rng.normal(0, 1, k) * sei * rng.choice([0.3, 1.0, 3.0]) + rng.normal() * sei.min()
    if kind == "tau at 0":
        yi = np.full(k, yi[0]) + sei * rng.uniform(-0.05, 0.05, k) * (rng.uniform() < 0.7)
    if kind == "outlier of 40 SE":
        yi[0] += 40 * sei[0] * rng.choice([-1, 1])
    return [rounded(s) for s in sei], [rounded(y, 6) for y in yi]


def prior(rng, family, sei):
    """Published (Turner 2015, Rhodes 2015, Bartos 2021 and 2023; RoBMA's default), or on the scale of the studies."""
    published = {
        "half_cauchy": [(0.5,), (0.337,)],
        "log_t": [(-1.72, 1.295, 5), (-2.67, 0.949, 5), (-0.03, 1.265, 5)],
        "inverse_gamma": [(1.73, 0.46), (0.97, 0.14), (1.46, 0.19), (1.0, 0.15)],
        "uniform": [(0, 2), (0, 10)],
        "log_normal": [(-1.28, 0.87), (-1.635, 0.84), (-0.665, 0.725), (-1.005, 0.82)],
    }[family]
    if family == "log_normal" or rng.uniform() < 0.5:
        return [family, *map(float, published[rng.integers(len(published))])]
    scale = rounded(min(sei) * 10 ** rng.uniform(-1, 1.5), 3)
    own = {
        "half_cauchy": (scale,),
        "log_t": (rounded(math.log(scale)), 0.9, 5.0),
        "inverse_gamma": (1.6, scale),
        "uniform": (0.0, scale),
    }
    return [family, *own[family]]


def cases():
    """Every kind of data under every family, under a flat, a weakly informative and a narrow prior on mu."""
    rng = np.random.default_rng(SEED)
    kinds = ("k = 2", "tau at 0", "1e-4", "1e4", "any", "ratio 1e6", "outlier of 40 SE", "outlier of 40 SE")
    for i in range(COUNT):
        family, kind = tuple(ROUGHLY)[i % 5], kinds[i // 5 % 8]
        sei, yi = analysis(rng, kind)
        if kind == "k = 2":
            sei, yi = sei[:2], yi[:2]
        mu = [None, None, [0.0, 2.82], [0.0, rounded(2 * min(sei))]][rng.integers(4)]
        tau = prior(rng, family, sei)
        yield {"name": f"simulated {i}: {kind}, {family}", "yi": yi, "sei": sei, "mu": mu, "tau": tau}


def main():
    solved = []
    for case in cases():
        print(case["name"], flush=True)
        solved.append(case | {"exact": solve(case)})
    write(solved)


def write(solved):
    versions = {"mpmath": mp.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    meta = {"script": Path(__file__).name, "seed": SEED, "cases": len(solved), "digits": mp.mp.dps, **versions}
    lines = ",\n".join(f"  {json.dumps(case)}" for case in solved)
    text = f'{{\n "meta": {json.dumps(meta)},\n "cases": [\n{lines}\n ]\n}}\n'
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
