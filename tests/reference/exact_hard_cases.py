"""Posteriors of hard normal-normal analyses at 30 digits: writes exact_hard_cases.json beside itself.

Independent of bayespip: the trapezoidal rule in log tau with mpmath (bayespip: adaptive Gauss-Legendre panels
in double precision), every integral taken at the step and at half of it. The distribution function of tau is
a tanh-sinh integral. Run: python tests/reference/exact_hard_cases.py (about ten minutes).
"""

import json
import math
from pathlib import Path

import mpmath as mp

mp.mp.dps = 30
STEP = mp.mpf(1) / 10
AGREEMENT = mp.mpf(10) ** -16  # of both steps, relative
LEVELS = (mp.mpf("0.025"), mp.mpf("0.5"), mp.mpf("0.975"))


def half_normal(t, scale):
    return mp.sqrt(2 / mp.pi) / scale * mp.exp(-((t / scale) ** 2) / 2)


def half_t(t, scale, df):
    constant = 2 * mp.gamma((df + 1) / mp.mpf(2)) / (mp.gamma(df / mp.mpf(2)) * mp.sqrt(df * mp.pi) * scale)
    return constant * (1 + (t / scale) ** 2 / df) ** (-(df + 1) / mp.mpf(2))


def half_cauchy(t, scale):
    return 2 / (mp.pi * scale * (1 + (t / scale) ** 2))


def exponential(t, scale):
    return mp.exp(-t / scale) / scale


def log_normal(t, meanlog, sdlog):
    return mp.exp(-(((mp.log(t) - meanlog) / sdlog) ** 2) / 2) / (t * sdlog * mp.sqrt(2 * mp.pi))


def inverse_gamma(t, shape, scale):
    return scale**shape / mp.gamma(shape) * t ** (-shape - 1) * mp.exp(-scale / t)


def lomax(t, scale, shape):
    return shape / scale * (1 + t / scale) ** (-shape - 1)


DENSITIES = {f.__name__: f for f in (half_normal, half_t, half_cauchy, exponential, log_normal, inverse_gamma, lomax)}


class Analysis:
    """yi, sei, a normal prior (mean, sd) on mu or None for a flat one, a density of tau."""

    def __init__(self, yi, sei, mu, tau):
        self.y = [mp.mpf(a) for a in yi]
        self.v = [mp.mpf(s) ** 2 for s in sei]
        self.mu = mu and tuple(map(mp.mpf, mu))
        family, *parameters = tau
        self.density = DENSITIES[family]
        self.parameters = [mp.mpf(p) for p in parameters]

    def given(self, t):
        """Likelihood of tau, and mean and variance of mu given tau."""
        total = [v + t * t for v in self.v]
        precision = mp.fsum(1 / s for s in total)
        ybar = mp.fsum(y / s for y, s in zip(self.y, total, strict=True)) / precision
        log = -mp.fsum(mp.log(2 * mp.pi * s) + (y - ybar) ** 2 / s for y, s in zip(self.y, total, strict=True)) / 2
        if self.mu is None:
            return mp.exp(log) * mp.sqrt(2 * mp.pi / precision), ybar, 1 / precision
        mean, sd = self.mu
        spread = 1 / precision + sd**2
        log += mp.log(2 * mp.pi / precision) / 2
        log -= (mp.log(2 * mp.pi * spread) + (ybar - mean) ** 2 / spread) / 2
        joint = precision + 1 / sd**2
        return mp.exp(log), (precision * ybar + mean / sd**2) / joint, 1 / joint

    def integrand(self, x):
        """Prior times likelihood with respect to x = log tau."""
        t = mp.exp(x)
        return self.density(t, *self.parameters) * t * self.given(t)[0]

    def nodes(self, step, lower, upper):
        """Nodes (tau, weight, mean, variance) of the trapezoidal rule."""
        rows = []
        for i in range(int((upper - lower) / step) + 1):
            t = mp.exp(lower + i * step)
            likelihood, mean, variance = self.given(t)
            rows.append((t, step * t * self.density(t, *self.parameters) * likelihood, mean, variance))
        largest = max(row[1] for row in rows)
        return [row for row in rows if row[1] > largest * mp.mpf(10) ** -60]


def summary(rows):
    """Log evidence; mean and second moment of tau, mean and SD of mu and of the first and a new effect."""
    evidence = mp.fsum(w for _, w, _, _ in rows)
    rows = [(t, w / evidence, m, v) for t, w, m, v in rows]
    tau = mp.fsum(w * t for t, w, _, _ in rows)
    mu = mp.fsum(w * m for _, w, m, _ in rows)
    return rows, {
        "log_evidence": mp.log(evidence),
        "tau_mean": tau,
        "tau_sd": mp.sqrt(mp.fsum(w * (t - tau) ** 2 for t, w, _, _ in rows)),
        "mu_mean": mu,
        "mu_sd": mp.sqrt(mp.fsum(w * (v + (m - mu) ** 2) for _, w, m, v in rows)),
        "prob_positive": mp.fsum(w * mp.ncdf(m / mp.sqrt(v)) for _, w, m, v in rows),
    }


def mixture_quantiles(components):
    """Quantiles of normals (weight, mean, sd), by safeguarded Newton iterations."""
    found, narrowest = [], min(s for _, _, s in components)
    for p in LEVELS:
        low = min(m - 60 * s for _, m, s in components)
        high = max(m + 60 * s for _, m, s in components)
        x = mp.fsum(w * m for w, m, _ in components)
        for _ in range(400):
            cdf = mp.fsum(w * mp.ncdf((x - m) / s) for w, m, s in components)
            pdf = mp.fsum(w * mp.npdf((x - m) / s) / s for w, m, s in components)
            low, high = (x, high) if cdf < p else (low, x)
            new = x - (cdf - p) / pdf if pdf > 0 else low
            if not low < new < high:
                new = (low + high) / 2
            if abs(new - x) < mp.mpf(10) ** -22 * (abs(x) + narrowest):
                break
            x = new
        found.append(new)
    return found


def tau_quantiles(analysis, rows, evidence, lower):
    """Quantiles of tau: tanh-sinh integrals of the density in log tau, Newton iterations from the nodes."""

    def density(x):
        # normalised here, because mp.quad stops at an absolute error
        return analysis.integrand(x) / evidence

    def integral(a, b):
        return mp.quad(density, mp.linspace(a, b, max(math.ceil(abs(b - a) / 2), 1) + 1))

    found = []
    for p in LEVELS:
        total, x = mp.mpf(0), None
        for t, w, _, _ in rows:
            total += w
            if total >= p:
                x = mp.log(t)
                break
        cdf = integral(max(lower, mp.log(rows[0][0]) - 1), x)
        for _ in range(50):
            new = x - (cdf - p) / density(x)
            new = min(max(new, x - 1), x + 1)
            cdf += integral(x, new)
            if abs(new - x) < mp.mpf(10) ** -20:
                break
            x = new
        found.append(mp.exp(new))
    return found


def solve(case):
    analysis = Analysis(case["yi"], case["sei"], case["mu"], case["tau"])
    scales = [*case["sei"], *case["scales"]]
    lower, upper = case.get("range", (mp.log(min(scales)) - 70, mp.log(max(scales)) + 60))
    step = mp.mpf(case.get("step", STEP))
    rows, values = summary(analysis.nodes(step, lower, upper))
    _, check = summary(analysis.nodes(step / 2, lower, upper))
    for name in values:
        if name not in case.get("absent", ()):
            scale = 1 if name == "log_evidence" else abs(check[name])
            assert abs(values[name] - check[name]) <= AGREEMENT * scale, (case["name"], name)
    out = {name: value for name, value in values.items() if name not in case.get("absent", ())}
    y, v = analysis.y[0], analysis.v[0]
    pull = [v / (v + t * t) for t, *_ in rows]
    marginals = {
        "mu": [(w, m, mp.sqrt(s)) for _, w, m, s in rows],
        "theta_new": [(w, m, mp.sqrt(s + t * t)) for t, w, m, s in rows],
        "theta_first": [
            (w, y + b * (m - y), mp.sqrt((1 - b) * v + b * b * s)) for b, (_, w, m, s) in zip(pull, rows, strict=True)
        ],
    }
    light = mp.mpf(10) ** -25
    for name, components in marginals.items():
        heavy = [c for c in components if c[0] > light]
        out[f"{name}_quantiles"] = mixture_quantiles(heavy)
    out["tau_quantiles"] = tau_quantiles(analysis, rows, mp.exp(values["log_evidence"]), lower)
    return {n: [mp.nstr(q, 20) for q in x] if isinstance(x, list) else mp.nstr(x, 20) for n, x in out.items()}


def spread(k, centre, sd):
    """k effects at the normal quantiles: a sample without chance, rounded to what is printed in a review."""
    z = [mp.sqrt(2) * mp.erfinv(2 * (i + mp.mpf("0.5")) / k - 1) for i in range(k)]
    return [round(float(centre + sd * x), 3) for x in z]


def case(name, yi, sei, tau, mu=None, **more):
    scale = {"log_normal": lambda m, _: math.exp(m), "inverse_gamma": lambda _, b: b}.get(
        tau[0], lambda scale, *_: scale
    )(*tau[1:])
    return {"name": name, "yi": yi, "sei": sei, "mu": mu, "tau": tau, "scales": [scale], **more}


OUTLIER = [0.1, 0.2, 0.15, 0.25, 0.05, 4.2]
HOMOGENEOUS = spread(131, 0.2, 0.2)
SIZES = [round(0.1 + 0.2 * ((37 * i) % 131) / 131, 3) for i in range(131)]

CASES = [
    case("sei ratio 1e6", [0.3, 0.5], [1e-6, 1.0], ["half_normal", 0.5]),
    case("sei 1e-3, 1, 1e3", [0.3, -0.5, 200.0], [1e-3, 1.0, 1e3], ["half_normal", 0.5]),
    case("sei ratio 1e6, normal mu", [0.3, 0.5], [1e-6, 1.0], ["half_cauchy", 0.5], [0, 2.82]),
    case("sei 1e-4", [0.1, 0.3, -0.2, 0.15, 0.4], [1e-4] * 5, ["half_normal", 0.5]),
    case("sei 1e-4, agreeing", [0.1, 0.1001, 0.0999, 0.1, 0.10005], [1e-4] * 5, ["half_normal", 0.5]),
    case("sei 1e4", [1e4, 3e4, -2e4, 1.5e4, 4e4], [1e4] * 5, ["half_normal", 0.5]),
    case("sei 1e4, wide tau", [1e4, 3e4, -2e4, 1.5e4, 4e4], [1e4] * 5, ["half_cauchy", 1e4]),
    case("outlier of 40 SE", OUTLIER, [0.1] * 6, ["half_normal", 0.5]),
    case("outlier of 40 SE, half-Cauchy", OUTLIER, [0.1] * 6, ["half_cauchy", 0.5], [0, 2.82]),
    case("tau prior 1e-6", [0.3, 0.8], [0.2, 0.35], ["half_normal", 1e-6]),
    case("tau prior 1e-6 against outlier", OUTLIER, [0.1] * 6, ["half_normal", 1e-6]),
    case("tau prior 1e6", [0.3, 0.8, 0.1], [0.2, 0.35, 0.3], ["half_normal", 1e6]),
    case("tau prior 1e6, k = 2", [0.3, 0.8], [0.2, 0.35], ["half_normal", 1e6]),
    case("tau prior 1e6, k = 2, normal mu", [0.3, 0.8], [0.2, 0.35], ["half_normal", 1e6], [0, 2.82]),
    case("inverse-gamma", [0.3, 0.8], [0.2, 0.35], ["inverse_gamma", 0.97, 0.11],
         absent=("tau_sd", "mu_sd")),
    case("inverse-gamma, normal mu", [0.3, 0.8], [0.2, 0.35], ["inverse_gamma", 0.97, 0.11], [0, 2.82]),
    case("inverse-gamma, k = 6", [0.3, 0.8, 0.1, -0.2, 0.5, 0.9], [0.2, 0.35, 0.3, 0.25, 0.15, 0.4],
         ["inverse_gamma", 0.97, 0.11]),
    case("k = 131, homogeneous", HOMOGENEOUS, SIZES, ["half_normal", 0.5], step="0.05"),
    case("k = 1", [0.4], [0.3], ["half_normal", 0.5]),
    case("k = 1, normal mu", [0.4], [0.3], ["half_t", 0.5, 4], [0, 2.82]),
    case("mu prior in conflict, z = 30", [3.0, 3.2], [0.1, 0.12], ["half_normal", 0.5], [0, 0.1]),
    case("no heterogeneity at all", [0.25] * 4, [0.1, 0.2, 0.15, 0.3], ["exponential", 0.3]),
    case("far from zero", [1e6 + 1, 1e6 - 1, 1e6 + 2.5], [1.0, 1.5, 0.5], ["half_normal", 1.0]),
    case("Lomax", [0.3, 0.8, -0.4], [0.2, 0.35, 0.3], ["lomax", 0.5, 1.5]),
    case("log-normal", [-0.3, -1.4], [0.4, 0.5], ["log_normal", -1.28, 0.87], [0, 2.82]),
    case("tau prior next to a point", [0.3, 0.8], [0.2, 0.35], ["log_normal", math.log(0.2), 1e-3],
         step="0.0001", range=(math.log(0.2) - 0.0125, math.log(0.2) + 0.0125)),
]  # fmt: skip


def main():
    solved = []
    for c in CASES:
        print(c["name"], flush=True)
        kept = {n: c[n] for n in ("name", "yi", "sei", "mu", "tau")}
        solved.append({**kept, "exact": solve(c)})
    meta = {"script": Path(__file__).name, "mpmath": mp.__version__, "digits": mp.mp.dps}
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"meta": meta, "cases": solved}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
