"""The batch engine: the reference file, pinned hard cases, ``exact_fit``, and nothing that depends on the batch."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_data import load_reference
from scipy import stats
from test_exact_reference import DATASETS, IMPROPER, effects_of, priors_of, scale_of

from bayespip import priors as pr
from bayespip.effects import EffectSizes
from bayespip.exact.batches import exact_batch
from bayespip.exact.fit import exact_fit

# What is promised, in max(|reference|, posterior SD); for probabilities and logs of a size below one, absolute.
TOLERANCE = 1e-8
PARAMETERS = ("mu", "tau", "theta_new")
STATISTICS = ("mean", "sd", "median", "lower", "upper")
STUDY_VARIABLES = {"shrinkage", *(f"theta_{statistic}" for statistic in STATISTICS)}
PINNED = json.loads(Path(__file__).with_name("reference").joinpath("exact_hard_cases.json").read_text("utf-8"))
MUS = (pr.flat(), pr.normal(0, 2.82), pr.student_t(0, 0.5, 4))
TAUS = (
    pr.half_normal(0.5),
    pr.half_cauchy(0.5),
    pr.half_t(0.3, 4),
    pr.exponential(0.4),
    pr.log_normal(-1.5, 0.8),
    pr.log_t(-1, 0.9, 5),
    pr.uniform(0, 2),
    pr.uniform(0.3, 0.7),
    pr.inverse_gamma(1.5, 0.2),
    pr.root_inverse_gamma(1.4, 0.02),
    pr.lomax(0.5, 1.05),
    pr.uniform_shrinkage([0.2, 0.3]),
    pr.jeffreys([0.2, 0.3]),
    pr.uniform(0, math.inf),
)
PAIRS = [pr.Priors(mu, tau) for mu in MUS for tau in TAUS]


def studies_of(yi, sei, measure="MD"):
    return EffectSizes([f"study {i}" for i in range(len(yi))], yi, sei, measure)


def random_effects(seed, sizes):
    rng = np.random.default_rng(seed)
    return [studies_of(rng.normal(rng.normal(), 0.5, k), np.exp(rng.normal(-1.2, 0.8, k))) for k in sizes]


MANY = random_effects(1, (1, 2, 2, 3, 5, 13))


class Differences:
    """Collects what differs by more than the tolerance, so that a failure shows all of it."""

    def __init__(self):
        self.compared, self.found = 0, []

    def add(self, what, ours, wanted, scale):
        self.compared += 1
        if math.isfinite(wanted):
            good = abs(ours - wanted) <= TOLERANCE * max(abs(wanted), scale)
        else:
            good = np.array_equal(ours, wanted, equal_nan=True)
        if not good:
            self.found.append(f"{what}: {ours!r}, wanted {wanted!r}")

    def marginal(self, what, cell, prefix, marginal):
        scale = marginal.sd if math.isfinite(marginal.sd) else (marginal.upper - marginal.lower) / 4
        # a narrow posterior is no more precise than the digits of where it lies
        scale += 4 * np.spacing(abs(marginal.point)) / TOLERANCE
        wanted = (marginal.mean, marginal.sd, marginal.point, marginal.lower, marginal.upper)
        for statistic, value in zip(STATISTICS, wanted, strict=True):
            self.add(f"{what} {statistic}", float(cell[f"{prefix}_{statistic}"]), value, scale)

    def fit(self, what, cell, fit):
        for parameter in PARAMETERS:
            self.marginal(f"{what} {parameter}", cell, parameter, getattr(fit, parameter))
        self.add(f"{what} P(mu > 0)", float(cell["prob_positive"]), fit.prob_positive, 1.0)
        self.add(f"{what} log evidence", float(cell["log_evidence"]), fit.log_evidence, 1.0)

    def check(self, at_least):
        assert not self.found, "\n".join(self.found)
        assert self.compared >= at_least


def compare(effects, priors, **options):
    """All cells of a batch against ``exact_fit``, the reasons against its refusals."""
    batch, differences = exact_batch(effects, priors, **options), Differences()
    for a, one in enumerate(effects):
        for p, pair in enumerate(priors):
            cell = {name: batch[name].to_numpy()[a, p] for name in batch if batch[name].dims == ("analysis", "prior")}
            if reason := cell.pop("reason"):
                with pytest.raises(ValueError, match=re.escape(reason)):
                    exact_fit(one, pair)
                assert all(math.isnan(value) for value in cell.values())
            else:
                differences.fit(f"analysis {a}, {pair}", cell, exact_fit(one, pair))
    return differences


@pytest.mark.parametrize("name", DATASETS)
def test_posteriors_are_those_of_the_reference(name):
    dataset, differences = load_reference()["datasets"][name], Differences()
    effects = effects_of(dataset)
    entries = {key: entry for key, entry in dataset["bayes"].items() if entry["exact"]["proper"]}
    batch = exact_batch([effects], [priors_of(entry, effects) for entry in entries.values()], studies=True)
    assert (batch["reason"] == "").all()
    for p, (key, entry) in enumerate(entries.items()):
        exact = entry["exact"]
        differences.add(f"{key} log evidence", float(batch["log_evidence"][0, p]), exact["log_norm_const"], 1.0)
        wanted = {parameter: exact[parameter] for parameter in PARAMETERS}
        wanted |= dict(enumerate(exact["theta"].values()))
        for parameter, reference in wanted.items():
            scale = scale_of(reference)
            values = (reference["mean"], reference["sd"], reference["median"], *reference["central"])
            for statistic, value in zip(STATISTICS, values, strict=True):
                column = batch[f"theta_{statistic}" if isinstance(parameter, int) else f"{parameter}_{statistic}"]
                found = float(column[parameter if isinstance(parameter, int) else 0, p])
                if value is None:  # infinite or does not exist
                    assert not math.isfinite(found)
                else:
                    differences.add(f"{key} {parameter} {statistic}", found, value, scale)
        differences.add(f"{key} P(mu > 0)", float(batch["prob_positive"][0, p]), exact["mu"]["p_gt0"], 1.0)
    differences.check(at_least=8 * 25)


@pytest.mark.parametrize("case", PINNED["cases"], ids=lambda case: case["name"])
def test_hard_cases(case):
    mu = pr.normal(*case["mu"]) if case["mu"] else pr.flat()
    family, *parameters = case["tau"]
    priors = pr.Priors(mu, getattr(pr, family)(*parameters))
    batch = exact_batch([studies_of(case["yi"], case["sei"])], [priors], studies=True)
    exact, differences = case["exact"], Differences()
    for key, reference in exact.items():
        if key.endswith("_quantiles"):
            parameter = key.removesuffix("_quantiles")
            prefix = "theta" if parameter == "theta_first" else parameter
            wanted = np.array(reference, dtype=float)
            found = [float(batch[f"{prefix}_{s}"].to_numpy().flat[0]) for s in ("lower", "median", "upper")]
            # the digits that yi itself has: a location cannot be had to more
            digits = 4 * np.spacing(np.abs(case["yi"]).max()) / TOLERANCE
            for ours, value in zip(found, wanted, strict=True):
                differences.add(key, ours, value, (wanted[2] - wanted[0]) / 4 + digits)
        else:
            scale = float(exact.get(f"{key.split('_')[0]}_sd", 1.0)) if key.endswith(("_mean", "_sd")) else 1.0
            differences.add(key, float(batch[key][0, 0]), float(reference), scale)
    differences.check(at_least=15)


def test_every_family_on_every_prior_of_mu_agrees_with_exact_fit():
    compare(MANY, PAIRS).check(at_least=len(MANY) * len(PAIRS) * 17 * 0.9)


@settings(max_examples=15)
@given(
    studies=st.lists(
        st.tuples(st.floats(-5, 5), st.floats(math.log(1e-3), math.log(30)).map(math.exp)), min_size=1, max_size=6
    ),
    shift=st.sampled_from([0.0, 1e4]),
    scale=st.floats(math.log(0.01), math.log(10)).map(math.exp),
)
def test_random_analyses_agree_with_exact_fit(studies, shift, scale):
    yi, sei = map(np.array, zip(*studies, strict=True))
    taus = (pr.half_normal(scale), pr.half_cauchy(scale), pr.log_t(math.log(scale), 0.8, 5), pr.uniform(0, scale))
    pairs = [pr.Priors(mu, tau) for mu in (pr.flat(), pr.normal(0.3 + shift, 2)) for tau in taus]
    pairs.append(pr.Priors(pr.student_t(shift, 1, 3), taus[0]))
    compare([studies_of(yi + shift, sei)], pairs).check(at_least=17 * 9)


def hard_analysis(rng):
    """Standard errors from 1e-4 to 1e4 and ratios of up to 1e6, outliers of 40 SE, ties; priors of any scale beside."""
    k, spread = int(rng.choice([1, 2, 2, 2, 3, 5, 10, 30])), rng.choice([0.0, 0.5, 3.0, 6.0])
    sei = 10 ** np.clip(rng.uniform(-4, 4) + rng.uniform(-spread / 2, spread / 2, k), -4, 4)
    yi = rng.normal(0, 1, k) * sei * rng.choice([0.1, 1.0, 5.0])
    yi[0] += 40 * sei[0] * (rng.uniform() < 0.3)
    if rng.uniform() < 0.2:
        yi[:] = yi[0]
    scale = sei.min() * 10 ** rng.uniform(-2, 2)
    taus = (
        pr.half_normal(scale),
        pr.half_cauchy(scale),
        pr.half_t(scale, 1.5),
        pr.log_t(math.log(scale), 0.9, 5),
        pr.lomax(scale, 1.0),
        pr.inverse_gamma(1.2, scale),
        pr.uniform(0, 3 * scale),
    )
    return studies_of(yi, sei), [pr.Priors(mu, tau) for mu in (pr.flat(), pr.normal(0, 2 * scale)) for tau in taus]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_random_hard_cases_agree_with_exact_fit(seed):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        effects, priors = hard_analysis(rng)
        compare([effects], priors).check(at_least=14 * 17)


def shortest_of(batch, parameter, a=0, p=0):
    return [float(batch[f"{parameter}_shortest_{end}"][a, p]) for end in ("lower", "upper")]


@pytest.mark.parametrize("mu", MUS, ids=str)
def test_shortest_intervals_agree_with_exact_fit(mu):
    effects, priors = [MANY[2], MANY[4]], [pr.Priors(mu, tau) for tau in TAUS]
    batch, differences = exact_batch(effects, priors), Differences()
    for a, one in enumerate(effects):
        for p, pair in enumerate(priors):
            if batch["reason"][a, p].item():
                continue
            fit = exact_fit(one, pair)
            for parameter in PARAMETERS:
                marginal = getattr(fit, parameter)
                wanted = marginal.interval(kind="shortest")
                for ours, end in zip(shortest_of(batch, parameter, a, p), wanted, strict=True):
                    differences.add(f"{a}, {pair} {parameter}", ours, end, (marginal.upper - marginal.lower) / 4)
    differences.check(at_least=2 * 13 * 6)


def bumps(t):
    """Log density with two modes, the second no higher than the first."""
    return np.logaddexp(stats.norm(0.3, 0.08).logpdf(t), stats.norm(1.4, 0.11).logpdf(t))


def steps(t):
    """Log density that jumps up at 0.3 and down at 0.9."""
    return np.where((t > 0.3) & (t < 0.9), 0.5, -1.5) - 0.8 * t


def kink(t):
    """Log density with a corner at 0.6, its maximum."""
    return -4 * np.abs(t - 0.6)


SHAPES = {
    "two modes": pr.density(bumps, "two modes", tail=math.inf, proper=False),
    "jumps": pr.density(steps, "jumps", tail=math.inf, proper=False),
    "corner": pr.density(kink, "corner", tail=math.inf, proper=False),
    "infinite at zero": pr.density(stats.gamma(0.5).logpdf, "gamma(0.5)", tail=math.inf, proper=False),
    "rising to its end": pr.uniform(0, 0.2),
    "falling": pr.exponential(0.3),
}


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("name", SHAPES)
def test_no_interval_of_tau_is_shorter_than_the_shortest(name, level):
    """Against the widths of five hundred others: of a small study pair, and of one whose likelihood has its say."""
    effects = [studies_of([0.3, 0.8], [0.5, 0.6]), studies_of([0.0, 1.2, -0.5, 0.7], [0.3, 0.2, 0.25, 0.4])]
    pair = pr.Priors(pr.flat(), SHAPES[name])
    batch = exact_batch(effects, [pair], level=level)
    for a, one in enumerate(effects):
        tau = exact_fit(one, pair).tau
        lower, upper = shortest_of(batch, "tau", a)
        assert tau.cdf(upper) - tau.cdf(lower) == pytest.approx(level, abs=1e-10)
        below = np.linspace(0, 1 - level, 501)[:-1]
        starts, ends = tau.quantile(below), tau.quantile(below + level)
        assert upper - lower <= (ends - starts).min() + 1e-10
        # shifted either way it is no shorter: a boundary, a jump, or the same density at both ends
        before, after = tau.pdf([lower * (1 - 1e-7), upper * (1 - 1e-7)]), tau.pdf([lower + 1e-7, upper + 1e-7])
        assert lower == 0 or before[0] <= before[1] * (1 + 1e-5)
        assert after[0] >= after[1] * (1 - 1e-5)


def test_the_shortest_interval_of_a_mean_with_two_modes_is_the_shorter_of_two():
    """Prior and data in conflict, beside a study so precise that its effect is a spike in the tail."""
    effects = [studies_of([3.0, 3.2], [0.3, 0.3]), studies_of([2.0, 0.0, 0.1], [1e-3, 0.2, 0.3])]
    priors = [pr.Priors(pr.student_t(0.0, 0.1, 1.0), pr.half_normal(s)) for s in (0.3, 1.0)]
    batch = exact_batch(effects, priors)
    for a, one in enumerate(effects):
        for p, pair in enumerate(priors):
            fit = exact_fit(one, pair)
            for parameter in ("mu", "theta_new"):
                marginal, (lower, upper) = getattr(fit, parameter), shortest_of(batch, parameter, a, p)
                assert marginal.cdf(upper) - marginal.cdf(lower) == pytest.approx(0.95, abs=1e-10)
                below = np.linspace(0, 0.05, 41)[1:-1]
                others = marginal.quantile([below, below + 0.95])
                assert upper - lower <= (others[1] - others[0]).min() * (1 + 1e-12)
                assert marginal.pdf(lower) == pytest.approx(marginal.pdf(upper), rel=1e-7)


def bits(batch):
    """All numbers of a Dataset, by variable."""
    return {name: batch[name].to_numpy() for name in batch if name != "reason"}


def assert_same_bits(ours, wanted):
    assert ours.keys() == wanted.keys()
    for name, values in ours.items():
        assert np.array_equal(values, wanted[name], equal_nan=True), name


@pytest.mark.parametrize("threads", [1, 2])
def test_a_result_does_not_depend_on_what_else_is_in_the_call(threads):
    together = bits(exact_batch(MANY, PAIRS, studies=True))
    order_a, order_p = np.random.default_rng(2).permutation(len(MANY)), np.random.default_rng(3).permutation(len(PAIRS))
    shuffled = exact_batch([MANY[a] for a in order_a], [PAIRS[p] for p in order_p], threads=threads)
    assert_same_bits(
        bits(shuffled),
        {n: v[order_a][:, order_p] for n, v in together.items() if n not in STUDY_VARIABLES},
    )
    start = np.cumsum([0, *(e.k for e in MANY)])
    for a, p in ((0, 5), (3, 0), (4, 20), (5, 6), (5, 33)):
        alone = bits(exact_batch([MANY[a]], [PAIRS[p]], studies=True, threads=threads))
        rows = {n: slice(start[a], start[a + 1]) if n in STUDY_VARIABLES else slice(a, a + 1) for n in together}
        assert_same_bits(alone, {n: v[rows[n], p : p + 1] for n, v in together.items()})


def test_effects_of_studies_are_ragged_and_those_of_exact_fit():
    effects, priors = MANY[:5], [PAIRS[0], PAIRS[14], PAIRS[33]]
    batch, differences = exact_batch(effects, priors, studies=True), Differences()
    assert batch["study_analysis"].to_numpy().tolist() == [a for a, e in enumerate(effects) for _ in range(e.k)]
    assert batch["study_label"].to_numpy().tolist() == [label for e in effects for label in e.study]
    for p, pair in enumerate(priors):
        marginals = [marginal for e in effects for marginal in exact_fit(e, pair).theta.values()]
        for row, marginal in enumerate(marginals):
            cell = {f"theta_{s}": batch[f"theta_{s}"][row, p] for s in STATISTICS}
            differences.marginal(f"{pair} {marginal.name}", cell, "theta", marginal)
        pulls = np.concatenate([exact_fit(e, pair).shrinkage for e in effects])
        for row, pull in enumerate(pulls):
            differences.add(f"{pair} shrinkage", float(batch["shrinkage"][row, p]), pull, pull)
    differences.check(at_least=12 * 3 * 6)


@pytest.mark.parametrize(("name", "key"), IMPROPER)
def test_improper_posteriors_are_nan_with_the_reason(name, key):
    dataset = load_reference()["datasets"][name]
    effects = effects_of(dataset)
    batch = exact_batch([effects], [priors_of(dataset["bayes"][key], effects)], studies=True)
    assert "improper for k = 2 studies" in batch["reason"].item()
    assert all(np.isnan(values).all() for values in bits(batch).values())


def test_a_prior_for_another_measure_or_for_the_sampler_only_has_its_reason():
    published = next(p for p in pr.empirical("OR", topic="Cochrane"))
    sampler_only = pr.truncated_student_t(0, 1, 4, 0)
    priors = [pr.Priors(pr.flat(), published), pr.Priors(sampler_only, pr.half_normal(0.5)), PAIRS[0]]
    compare([studies_of([0.1, 0.3], [0.2, 0.3], "SMD")], priors).check(at_least=17)
    batch = exact_batch([studies_of([0.1, 0.3], [0.2, 0.3], "SMD")], priors)
    assert ["SMD" in r or "truncated" in r for r in batch["reason"].to_numpy()[0]] == [True, True, False]


def test_one_study_under_a_tail_that_no_double_holds():
    """Log-t prior, flat mu, k = 1: tau follows the prior, whose tail falls like a power of log tau."""
    prior = pr.log_t(-1, 0.9, 5)
    batch = exact_batch([studies_of([0.4], [0.3])], [pr.Priors(pr.flat(), prior)])
    found = [float(batch[f"tau_{s}"].item()) for s in ("lower", "median", "upper")]
    assert found == pytest.approx(prior.quantile([0.025, 0.5, 0.975]), rel=TOLERANCE)
    lower = float(batch["mu_lower"].item())
    # P(mu < lower) as an integral over the prior's own quantiles
    p = (np.arange(200_000) + 0.5) / 200_000
    below = stats.norm.cdf(lower, 0.4, np.hypot(0.3, prior.quantile(p))).mean()
    assert below == pytest.approx(0.025, abs=1e-6)


def test_a_users_density_is_the_family_it_equals():
    def plateau(t):
        return np.where((t > 0.3) & (t < 0.7), -math.log(0.4), -math.inf)

    densities = {
        pr.density(stats.halfnorm(scale=0.5).logpdf, "half-normal", tail=math.inf): pr.half_normal(0.5),
        pr.density(plateau, "plateau", tail=math.inf, proper=False): pr.uniform(0.3, 0.7),
    }
    ours = exact_batch(MANY, [pr.Priors(pr.flat(), prior) for prior in densities])
    wanted = exact_batch(MANY, [pr.Priors(pr.flat(), prior) for prior in densities.values()])
    for name, values in bits(ours).items():
        assert values == pytest.approx(bits(wanted)[name], rel=TOLERANCE, abs=TOLERANCE), name


def test_one_call_of_a_users_density_serves_every_analysis():
    calls = []

    def logpdf(t):
        if t.size > 2:  # two points tell what it does at zero
            calls.append(t.size)
        return stats.halfnorm(scale=0.4).logpdf(t)

    pair = pr.Priors(pr.flat(), pr.density(logpdf, "counted", tail=math.inf, proper=False))
    exact_batch(MANY, [pair])
    first = len(calls)
    assert first < 10  # a few rounds of halving, however many analyses
    exact_batch(random_effects(5, [3] * 20), [pair])
    assert len(calls) == first


@pytest.mark.parametrize(
    ("logpdf", "message"),
    [
        (lambda t: np.full(t.shape, np.nan), "must be a number everywhere; that of bad is nan at tau"),
        (lambda t: np.full(t.shape, -np.inf), "must be positive somewhere; that of bad is zero at all"),
        (lambda t: np.random.default_rng(1).normal(size=t.shape), "too rough to integrate: .* do not resolve bad"),
    ],
    ids=["nan", "zero", "noise"],
)
def test_bad_densities_are_refused_by_name(logpdf, message):
    prior = pr.density(logpdf, "bad", tail=math.inf, proper=False)
    with pytest.raises(ValueError, match=message):
        exact_batch(MANY[4:5], [pr.Priors(pr.normal(0, 1), prior)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effects": []}, "effects must hold at least one; got none"),
        ({"priors": []}, "priors must hold at least one; got none"),
        ({"level": 1.0}, r"level must lie in \(0, 1\); got 1.0"),
        ({"threads": 0}, "threads must be positive; got 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        exact_batch(**({"effects": MANY[:1], "priors": PAIRS[:1]} | arguments))


def test_the_level_is_that_of_the_intervals():
    batch = exact_batch(MANY[4:5], PAIRS[:1], level=0.8)
    fit = exact_fit(MANY[4], PAIRS[0], level=0.8)
    assert batch.attrs["level"] == 0.8
    for parameter in PARAMETERS:
        found = [batch[f"{parameter}_{s}"].item() for s in ("lower", "upper")]
        marginal = getattr(fit, parameter)
        assert found == pytest.approx([marginal.lower, marginal.upper], abs=TOLERANCE)
