"""Tables of a network: leagues and ranks against draws, node-splits against Bucher's method."""

import numpy as np
import pytest
from scipy import stats
from simulated_networks import MANY, PRIORS, TRIANGLE, pair
from test_networks import cooper

from bayespip import priors as p
from bayespip.effects import EffectSizes
from bayespip.mcmc.diagnostics import diagnose
from bayespip.mcmc.fit import PymcFit, pymc_fit
from bayespip.model_data.networks import Network
from bayespip.network_tables import inconsistency_table, league_table, rank_table

MCSE_BOUND = 5  # the run's own rule; a normal deviate exceeds it once in 1.7 million
KNOWN_TAU = 0.2


@pytest.fixture(scope="module")
def fit() -> PymcFit:
    return pymc_fit("network", Network(MANY.trials, "OR"), PRIORS, seed=3)


def _known(tau: float, wide: float) -> p.Priors:
    return p.Priors(p.normal(0, wide), p.uniform(tau * (1 - 1e-9), tau * (1 + 1e-9)))


def _are_quantiles(points: list[float], mean: float, sd: float, ess: float) -> None:
    """Lower, median and upper point of draws that are worth ess independent ones of a normal distribution."""
    for point, share in zip(points, (0.025, 0.5, 0.975), strict=True):
        z = stats.norm.ppf(share)
        error = sd * np.sqrt(share * (1 - share) / ess) / stats.norm.pdf(z)
        assert abs(point - (mean + sd * z)) <= MCSE_BOUND * error, (point, mean + sd * z)


def _effective(network: Network, priors: p.Priors) -> float:
    """Fewest effective draws, in bulk or tails, of the fit that a table made with seed 2 rests on."""
    table = diagnose(pymc_fit("network", network, priors, seed=2, draws=4000), ("d",))
    return float(table[["ess_bulk", "ess_tail"]].min(axis=None))


def test_a_league_has_every_pair_once_in_each_direction(fit: PymcFit) -> None:
    table = league_table(fit).set_index(["treatment", "against"])
    assert len(table) == 4 * 3
    for (a, b), row in table.iterrows():
        back = table.loc[(b, a)]
        assert row["point_model"] == pytest.approx(-back["point_model"], rel=1e-12)
        assert row["lower_model"] == pytest.approx(-back["upper_model"], rel=1e-12)
        assert row["point"] == pytest.approx(np.exp(row["point_model"]), rel=1e-12)
    found = table.loc[("pip", "control")]
    own = fit.parameters["d[pip]"]
    assert tuple(found[["point_model", "lower_model", "upper_model"]]) == (own.point, own.lower, own.upper)
    draws = fit.draws("d")
    assert table.loc[("pip", "cbt"), "prob_positive"] == np.mean(draws[:, 1] > draws[:, 0])
    assert table.loc[("pip", "cbt"), "point_model"] == np.median(draws[:, 1] - draws[:, 0])


@pytest.mark.parametrize(("better", "sign"), [("higher", -1), ("lower", 1)])
def test_ranks_are_those_of_the_draws(fit: PymcFit, better: str, sign: int) -> None:
    table = rank_table(fit, better)
    effects = np.column_stack([np.zeros(4000), fit.draws("d")])
    ranks = stats.rankdata(sign * effects, axis=1)
    assert list(table["treatment"]) == ["control", "cbt", "pip", "support"]
    np.testing.assert_allclose(table["p_best"], (ranks == 1).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["mean_rank"], ranks.mean(axis=0), rtol=1e-12)
    # Salanti 2011: the mean of the cumulative probabilities of ranks 1 to T - 1
    sucra = np.mean([(ranks <= r).mean(axis=0) for r in (1, 2, 3)], axis=0)
    np.testing.assert_allclose(table["sucra"], sucra, rtol=1e-12)
    assert table["sucra"].mean() == pytest.approx(0.5, rel=1e-12)
    assert "by chance" in table.attrs["caution"]
    with pytest.raises(ValueError, match="better must be one of higher, lower; got 'more'"):
        rank_table(fit, "more")


@pytest.mark.slow
def test_what_has_no_table() -> None:
    other = pymc_fit("normal_normal", EffectSizes("ab", [0, 0.1], [0.2, 0.2], "SMD"), PRIORS, seed=1)
    with pytest.raises(ValueError, match="must be of the model network; got one of normal_normal"):
        league_table(other)
    split = TRIANGLE.split_at("control", "pip")
    with pytest.raises(ValueError, match="network must not be split; it is, at control vs pip"):
        inconsistency_table(split, PRIORS, seed=1)
    with pytest.raises(ValueError, match="of a network that is not split; it is, at control vs pip"):
        rank_table(pymc_fit("network", split, PRIORS, seed=1), "lower")


def test_without_indirect_evidence_there_is_nothing_to_split() -> None:
    star = Network([pair("1", "control", "a", 0, 1), pair("2", "control", "b", 0, 1)], "SMD")
    table = inconsistency_table(star, PRIORS, seed=1)
    assert table.empty
    assert list(table.columns[[0, 1, 2, -1]]) == ["treatment", "against", "direct", "p"]


@pytest.mark.slow
def test_splits_of_a_triangle_are_bucher_s() -> None:
    """Bucher 1997, J Clin Epidemiol 50:683: pairwise inverse variance, indirect by difference."""
    known = _known(KNOWN_TAU, 100.0)
    table = inconsistency_table(TRIANGLE, known, seed=2, draws=4000)
    assert list(zip(table["treatment"], table["against"], strict=True)) == [
        ("cbt", "control"), ("pip", "cbt"), ("pip", "control")
    ]  # fmt: skip
    effect, variance = {}, {}
    for a, b in zip(table["treatment"], table["against"], strict=True):
        of = [t for t in TRIANGLE.trials if set(t.arms) == {a, b}]
        y = np.array([t.yi[0] if t.arms[0] == b else -t.yi[0] for t in of])
        w = 1 / np.array([t.cov[0, 0] + KNOWN_TAU**2 for t in of])
        effect[a, b], variance[a, b] = (w * y).sum() / w.sum(), 1 / w.sum()
        effect[b, a], variance[b, a] = -effect[a, b], variance[a, b]
    for row in table.to_dict("records"):
        a, b = row["treatment"], row["against"]
        via = ({"control", "pip", "cbt"} - {a, b}).pop()
        indirect, spread = effect[a, via] + effect[via, b], variance[a, via] + variance[via, b]
        z = abs(effect[a, b] - indirect) / np.sqrt(variance[a, b] + spread)
        ess = _effective(TRIANGLE.split_at(b, a), known)
        for name, expected, var in (
            ("direct", effect[a, b], variance[a, b]),
            ("indirect", indirect, spread),
            ("difference", effect[a, b] - indirect, variance[a, b] + spread),
        ):
            points = [row[name + edge] for edge in ("_lower", "", "_upper")]
            _are_quantiles(points, expected, np.sqrt(var), ess)
        # twice a share of draws, which is at most 1/2
        assert abs(row["p"] - 2 * stats.norm.sf(z)) <= MCSE_BOUND * 2 * np.sqrt(0.25 / ess)


@pytest.mark.slow
def test_simulated_inconsistency_is_seen() -> None:
    # simulated: 20 trials a comparison, pip against cbt 0.6 off what the others say
    rng = np.random.default_rng(3)
    truth = {("control", "pip"): -0.5, ("control", "cbt"): -0.2, ("cbt", "pip"): 0.3}
    trials = [
        pair(f"simulated {i} {a} {b}", a, b, rng.normal(d, np.hypot(0.15, 0.1)), 0.15)
        for (a, b), d in truth.items()
        for i in range(20)
    ]
    table = inconsistency_table(Network(trials, "SMD"), PRIORS, seed=1)
    assert (table["p"] < 0.01).all()
    row = table.set_index(["treatment", "against"]).loc[("pip", "cbt")]
    assert row["difference_lower"] < 0.6 < row["difference_upper"]


@pytest.mark.slow
def test_cooper_2003_alone_says_what_its_arms_say() -> None:
    known = _known(1e-6, 1000.0)
    table = league_table(pymc_fit("network", cooper(), known, seed=2, draws=4000)).set_index(["treatment", "against"])
    row = table.loc["psychodynamic therapy", "cognitive behavioural therapy"]
    sd = np.sqrt(4.2**2 / 45 + 4.8**2 / 42)
    _are_quantiles([row["lower"], row["point"], row["upper"]], 8.9 - 9.2, sd, _effective(cooper(), known))
