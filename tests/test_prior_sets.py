"""The default priors: names, sources, scales, and the published numbers behind them."""

import json
import math

import numpy as np
import pytest

from bayespip.measures import MEASURES, Measure
from bayespip.priors.sets import TOPICS, default_priors

PIP_TOPICS = ("Common Mental Disorders", "Developmental, Psychosocial and Learning Problems")
# Names of the measures in the file of published priors
IN_FILE = {"SMD": "SMD", "OR": "logOR", "RR": "logRR", "RD": "RD", "PETO": "logOR"}


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


GENERIC_RATIO = Measure("Rate ratio", "Rate ratio", (), log=True)
NO_SCALE = ("MD", "PR", "COR", "ZCOR", Measure("GEN", "Generic effect", (), log=False))


@pytest.mark.parametrize("measure", ["RR", "PETO", "HR", "ROM", GENERIC_RATIO], ids=str)
def test_other_log_ratios_keep_the_scales_of_log_odds_ratios(measure):
    weak = [s.priors for s in default_priors(measure, topics=()) if s.kind == "weakly informative"]
    assert weak == [s.priors for s in default_priors("OR", topics=())]
    assert len(weak) == 8


@pytest.mark.parametrize("measure", ["ROM", GENERIC_RATIO], ids=str)
def test_ratios_without_published_priors_have_the_weak_ones_only(measure):
    assert default_priors(measure, topics=tuple(TOPICS)) == default_priors(measure, topics=())


def test_peto_odds_ratios_use_the_pairs_of_odds_ratios_and_say_so():
    odds, peto = (default_priors(m, topics=PIP_TOPICS) for m in ("OR", "PETO"))
    assert [s.priors.name for s in peto] == [s.priors.name for s in odds]
    for one, other in zip(odds, peto, strict=True):
        for axis in ("mu", "tau"):
            of_odds, of_peto = getattr(one.priors, axis), getattr(other.priors, axis)
            assert (of_odds.family, of_odds.parameters) == (of_peto.family, of_peto.parameters)
            borrowed = "Bartos" in of_odds.source
            assert of_peto.source == of_odds.source + (", of odds ratios" if borrowed else "")


@pytest.mark.parametrize("topics", [(), ("Cochrane",), PIP_TOPICS, tuple(TOPICS)])
def test_hazard_ratios_have_the_pool_of_all_reviews_once_whatever_the_topic(published, topics):
    pairs = [s.priors for s in default_priors("HR", topics=topics) if s.kind == "empirical pair"]
    assert len(pairs) == bool(topics)
    (row,) = published["bartos2021_2023_cochrane_topics"]["tables"]["logHR"].values()
    for pair in pairs:
        assert pair.mu.parameters == (row["mu"]["location"], row["mu"]["scale"], row["mu"]["df"])
        assert pair.tau.parameters == (row["tau"]["shape"], row["tau"]["scale"])
        assert pair.tau.quantile([0.5, 0.95]) == pytest.approx(
            [row["tau"]["tau_median"], row["tau"]["tau_q95"]], abs=5e-5
        )
        assert pair.tau.source.endswith(", Cochrane")


@pytest.mark.parametrize("measure", NO_SCALE, ids=str)
def test_what_has_no_known_scale_has_flat_priors(measure):
    (only,) = default_priors(measure, topics=tuple(TOPICS))
    assert (only.mu, only.tau) == ("flat", "uniform (improper)")
    assert not only.priors.mu.proper
    assert not only.priors.tau.proper


def test_a_measure_of_a_file_does_not_take_the_priors_of_one_whose_name_it_bears():
    # A file may call a difference on its own scale "SMD", or a logarithm "RD".
    (only,) = default_priors(Measure("SMD", "SMD", (), log=False))
    assert only.tau == "uniform (improper)"
    assert {s.kind for s in default_priors(Measure("RD", "RD", (), log=True))} == {"weakly informative"}


def test_risk_differences_have_the_published_priors_only():
    assert {s.kind for s in default_priors("RD")} == {"empirical pair", "hybrid"}


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


def test_every_cochrane_topic_can_be_named_and_one_without_a_pair_has_that_of_all_reviews():
    (pair,) = (s for s in default_priors("SMD", topics=("Back and Neck",)) if s.kind == "empirical pair")
    assert (pair.tau, pair.priors.tau.parameters) == ("Bartos Back and Neck", (1.75, 0.57))
    (pair,) = (s for s in default_priors("OR", topics=("Childhood Cancer",)) if s.kind == "empirical pair")
    assert pair.tau == "Bartos Cochrane"


@pytest.mark.parametrize("sd", [0.02, 4.0, 250.0])
def test_priors_on_mean_differences_are_those_of_smd_times_the_standard_deviation(sd):
    of_smd, of_md = default_priors("SMD", topics=PIP_TOPICS), default_priors("MD", topics=PIP_TOPICS, sd=sd)
    at = np.linspace(0.01, 3, 7)
    for smd, md in zip(of_smd, of_md, strict=True):
        assert md.kind == smd.kind
        assert "SD" in md.tau
        for one, other in ((smd.priors.mu, md.priors.mu), (smd.priors.tau, md.priors.tau)):
            assert one.family == other.family
            if one.proper:
                assert np.allclose(other.logpdf(at * sd) + np.log(sd), one.logpdf(at), rtol=1e-11)
                assert f"standard deviation {sd:.4g}" in other.source


@pytest.mark.parametrize("sd", [0.0, -1.0, float("inf"), float("nan")])
def test_a_standard_deviation_must_be_positive_and_finite(sd):
    with pytest.raises(ValueError, match="sd must be positive and finite"):
        default_priors("MD", sd=sd)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_without_a_unit_priors_take_their_scale_from_the_standard_errors(k):
    sei = np.linspace(0.2, 3.0, k)
    sets = default_priors("MD", sei=sei)
    assert [s.tau for s in sets] == ["uniform shrinkage", "DuMouchel", "uniform (improper)"][: 3 if k > 2 else 2]
    assert {s.mu for s in sets} == {"flat"}
    for one, other in zip(sets[:2], default_priors("MD", sei=1000 * sei), strict=False):
        assert np.allclose(other.priors.tau.quantile([0.1, 0.9]), 1000 * one.priors.tau.quantile([0.1, 0.9]))


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
    with pytest.raises(ValueError, match=r"measure must be one of RR, OR, PETO, .*; got 'IRR'\."):
        default_priors("IRR")
