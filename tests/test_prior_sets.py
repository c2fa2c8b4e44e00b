"""The default priors: names, sources, scales, and the published numbers behind them."""

import json
import math

import pytest

from bayespip.measures import MEASURES
from bayespip.prior_sets import TOPICS, default_priors

PIP_TOPICS = ("Common Mental Disorders", "Developmental, Psychosocial and Learning Problems")
# Names of the measures in the file of published priors
IN_FILE = {"SMD": "SMD", "OR": "logOR", "RR": "logRR", "RD": "RD"}


@pytest.fixture(scope="module")
def published(shared_dir):
    file = shared_dir / "priors" / "heterogeneity_priors.json"
    return json.loads(file.read_text(encoding="utf-8"))


def by_name(measure, **options):
    return {s.priors.name: s for s in default_priors(measure, **options)}


def test_every_weak_tau_meets_every_weak_mu():
    sets = default_priors("RR", topics=PIP_TOPICS)
    weak = [(s.tau, s.mu) for s in sets if s.kind == "weakly informative"]
    taus, mus = ("HN(0.5)", "HN(1)", "HC(0.5)", "U(0, 2)"), ("flat", "N(0, 2.82²)")
    assert weak == [(tau, mu) for mu in mus for tau in taus]
    assert len(sets) == 8 + 3 * len(PIP_TOPICS)


def test_an_empirical_pair_is_run_as_a_pair_and_its_tau_elsewhere_only_as_a_hybrid():
    sets = default_priors("RR", topics=PIP_TOPICS)
    for s in sets:
        assert (s.kind == "empirical pair") == (s.tau == s.mu)
        assert (s.kind == "hybrid") == ("Bartos" in s.tau and s.tau != s.mu)
        assert s.priors.name.startswith("hybrid: ") == (s.kind == "hybrid")
    assert [s.mu for s in sets if s.kind == "hybrid"] == ["flat", "N(0, 2.82²)"] * 2


@pytest.mark.parametrize("measure", MEASURES)
def test_names_differ_and_say_both_axes(measure):
    sets = default_priors(measure, topics=tuple(TOPICS))
    names = [s.priors.name for s in sets]
    assert len(set(names)) == len(names)
    assert all(name.removeprefix("hybrid: ") == f"tau {s.tau}, mu {s.mu}" for name, s in zip(names, sets, strict=True))


@pytest.mark.parametrize("measure", MEASURES)
def test_every_prior_but_the_flat_one_has_a_source(measure):
    for s in default_priors(measure, topics=tuple(TOPICS)):
        assert s.priors.tau.source
        assert s.priors.mu.source or s.priors.mu.family == "flat"


def test_scales_on_smd_are_those_on_log_odds_ratios_times_root_three_over_pi():
    log_or, smd = default_priors("OR", topics=()), default_priors("SMD", topics=())
    factor = math.sqrt(3) / math.pi
    for one, other in zip(log_or, smd, strict=True):
        for axis in ("mu", "tau"):
            from_log_or, scaled = getattr(one.priors, axis), getattr(other.priors, axis)
            assert from_log_or.family == scaled.family
            rounded = tuple(float(f"{p * factor:.3g}") for p in from_log_or.parameters)
            assert scaled.parameters == rounded
            if scaled.parameters:
                assert "sqrt(3)/pi" in scaled.source
    assert {s.tau for s in smd} == {"HN(0.276)", "HN(0.551)", "HC(0.276)", "U(0, 1.1)"}
    assert {s.mu for s in smd} == {"flat", "N(0, 1.55²)"}


def test_log_risk_ratios_keep_the_scales_of_log_odds_ratios():
    assert [s.priors for s in default_priors("RR", topics=())] == [s.priors for s in default_priors("OR", topics=())]


def test_risk_differences_have_the_published_priors_only():
    assert {s.kind for s in default_priors("RD")} == {"empirical pair", "hybrid"}


def test_mean_differences_have_no_scale_of_their_own():
    (only,) = default_priors("MD")
    assert not only.priors.mu.proper
    assert not only.priors.tau.proper


@pytest.mark.parametrize("measure", IN_FILE)
@pytest.mark.parametrize("topic", TOPICS)
def test_empirical_pairs_are_the_published_ones(published, measure, topic):
    row = published["bartos2021_2023_cochrane_topics"]["tables"][IN_FILE[measure]][topic]
    (pair,) = (s.priors for s in default_priors(measure, topics=(topic,)) if s.kind == "empirical pair")
    mu, tau = row["mu"], row["tau"]
    assert (pair.mu.family, pair.mu.parameters) == ("student-t", (mu["location"], mu["scale"], mu["df"]))
    assert pair.tau.family.replace("-", "_") == tau["dist"]
    assert pair.tau.parameters == tuple(tau[name] for name in ("shape", "scale", "sd") if name in tau)
    # The file's quantiles, of tau and not of tau^2, have four decimals.
    assert pair.tau.quantile([0.5, 0.95]) == pytest.approx([tau["tau_median"], tau["tau_q95"]], abs=5e-5)
    assert topic in pair.tau.source
    assert topic in pair.mu.source


def test_friedes_scales_are_the_published_ones(published):
    said = next(r for r in published["weakly_informative"] if r["who"].startswith("Friede"))
    for scale in (0.5, 1.0):
        assert f"{scale})" in said["tau"]
    scales = {s.priors.tau.parameters[0] for s in default_priors("OR", topics=()) if "Friede" in s.priors.tau.source}
    assert scales == {0.5, 1.0}


def test_an_unknown_topic_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"topics must be among .*Common Mental Disorders.*; got 'Dentistry'\."):
        default_priors("RR", topics=("Dentistry",))


def test_an_unknown_measure_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="measure must be one of RR, OR, RD, MD, SMD; got 'HR'"):
        default_priors("HR")
