"""The methods paragraph names what was run, and its references are those that it cites."""

import inspect
import re
from dataclasses import replace

import pytest
from reanalyses import published, sampled, study_data
from simulated import simulated

import bayespip as bp
from bayespip.priors.sets import default_priors
from bayespip.report.methods import methods
from bayespip.report.references import Citations, Reference, bibtex, known, of_source
from bayespip.reproduction import tally


@pytest.fixture(scope="module")
def of_all():
    return {
        name: methods(result) for name, result in (("pip", published()), ("bcg", study_data()), ("mcmc", sampled()))
    }


def text(made):
    return "\n".join(made.paragraphs)


def cited(made):
    return [int(n) for group in re.findall(r"\[([\d, ]+)\]", text(made)) for n in group.split(", ")]


def test_every_reference_is_cited_and_numbered_in_order(of_all):
    for made in of_all.values():
        numbers = cited(made)
        assert list(dict.fromkeys(numbers)) == list(range(1, len(made.references) + 1))
        assert len(set(made.references)) == len(made.references)


def test_only_what_was_run_is_cited(of_all):
    keys = {name: {r.key for r in made.references} for name, made in of_all.items()}
    assert {"pymc", "hoffman2014", "vehtari2021"} <= keys["mcmc"]
    assert not {"pymc", "hoffman2014", "vehtari2021"} & (keys["pip"] | keys["bcg"])
    assert "beyer2002" in keys["pip"]  # bounds
    assert "beyer2002" not in keys["bcg"]
    assert {"friede2017", "rover2021", "gelman2006", "gunhan2020", "bartos2023"} <= keys["bcg"]  # the default priors
    assert "bartos2021" not in keys["bcg"]  # of SMDs
    assert "chinn2000" not in keys["bcg"]
    assert all("santesso2020" not in own for own in keys.values())


def test_grade_is_cited_only_with_ratings():
    rated = methods(study_data(), rated=True)
    assert "santesso2020" in {r.key for r in rated.references}
    assert "GRADE" in text(rated)
    assert "GRADE" not in text(methods(study_data()))


def test_versions_seed_level_and_method_names_are_those_of_the_run(of_all):
    for name, result in (("pip", published()), ("bcg", study_data()), ("mcmc", sampled())):
        said = text(of_all[name])
        versions = result.settings["versions"]
        for package in ("bayespip", "numpy", "scipy"):
            assert f"{package} {versions[package]}" in said
        assert f"the seed of random numbers is {result.settings['seed']}." in said
        assert "central 95% intervals" in said
        assert "HKSJ factor not allowed below 1 [" in said
    assert "nutpie" in text(of_all["mcmc"])


def test_the_sampler_is_described_as_it_is_set(of_all):
    defaults = {n: p.default for n, p in inspect.signature(bp.pymc_fit).parameters.items()}
    assert (defaults["chains"], defaults["draws"], defaults["tune"]) == (4, 1000, 1000)
    assert "four chains of 1,000 draws after 1,000 of warm-up" in text(of_all["mcmc"])
    assert "2 PyMC fits beside the exact engine: 2 converged" in text(of_all["mcmc"])


def test_every_prior_of_the_run_is_named_with_its_source(of_all):
    said = text(of_all["bcg"])
    table = study_data().priors
    for density in table["density"]:
        family, bracket, rest = density.partition("(")
        spelt = {"half-cauchy": "half-Cauchy", "student-t": "Student t"}.get(family, family)
        assert f"{spelt}{bracket}{rest}" in said
    assert "Risk ratio, 11 pairs of priors" in said
    assert "(hybrid)" in said


def test_a_prior_without_a_known_work_shows_the_source_it_was_given(of_all):
    assert "half-normal(10) (test)" in text(of_all["mcmc"])
    assert "normal(0, 2.82) (Gunhan 2020)" in text(of_all["pip"])


def test_published_results_come_with_their_assumptions(of_all):
    said = text(of_all["pip"])
    assert "Only pooled results were published." in said
    assert "Assumed throughout: pooled by inverse variance and DerSimonian-Laird" in said
    assert "The number of studies k is not stated for P7, pooled for k = 1 and for k = 2." in said
    assert "flat over their admissible log variances" in said
    assert "published. For each we took" not in text(of_all["bcg"])


def test_bounds_are_named_only_where_they_were_computed():
    result = bp.reanalyse(bp.load_review("pip"), analyses=["P2"], with_bounds=False, with_pymc=False)
    assert "Bounds" not in text(methods(result))
    assert "We pooled 1 chosen analysis of" in text(methods(result))


def test_stored_results_are_said_to_be_reproduced(of_all):
    result = bp.reanalyse(simulated(), analyses=["1.1"], with_pymc=False)
    said = methods(result)
    assert f"as RevMan does [3]: {tally(result.reproduction)}." in text(said)
    assert said.references[2].key == "deeks2010"
    assert "stores" not in text(of_all["bcg"])


def test_markdown_has_numbered_references(of_all):
    made = of_all["bcg"]
    shown = str(made)
    assert shown.startswith("## Methods\n\n")
    for i, reference in enumerate(made.references, start=1):
        assert f"\n{i}. " in shown
        assert reference.title.split(":")[0] in shown.replace("\\", "")


def test_known_works_are_whole():
    works = known()
    assert len(works) > 20
    for key, work in works.items():
        assert key == work.key
        assert work.authors
        assert work.title
        assert 1970 <= work.year <= 2030
        assert work.journal or work.publisher
        assert not work.doi or re.fullmatch(r"10\.\d{4,}/\S+", work.doi)
        assert all(re.search(r" [A-Z]{1,4}$", author) for author in work.authors)


def test_sources_of_default_priors_are_known_works():
    sets = []
    for measure in ("RR", "OR", "SMD", "HR", "RD"):
        sets += default_priors(measure, topics=("Common Mental Disorders",))
    sets += default_priors("COR", sei=[0.1, 0.2, 0.3])
    sources = {p.source for s in sets for p in (s.priors.mu, s.priors.tau) if p.source}
    assert {s for s in sources if of_source(s) is None} == set()
    assert of_source("my own belief") is None


def test_a_reference_reads_as_vancouver_and_as_bibtex():
    work = known()["rover2020"]
    assert str(work) == (
        "Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6):1-51. "
        "doi:10.18637/jss.v093.i06."
    )
    assert work.bibtex.startswith('@article{rover2020,\n  author = {R{\\"o}ver, C},\n')
    assert "  pages = {1--51}," in work.bibtex
    assert str(known()["pymc"]).startswith(
        "Abril-Pla O, Andreani V, Carroll C, Dong L, Fonnesbeck CJ, Kochurov M, et al. "
    )
    assert " and others}" in known()["santesso2020"].bibtex
    odd = Reference("x", "50% & more_of #1 {a}")
    assert r"50\% \& more\_of \#1" in odd.bibtex


def test_bibtex_is_balanced(of_all):
    for made in of_all.values():
        source = bibtex(made.references)
        assert source.count("@") == len(made.references)
        assert source.count("{") == source.count("}")


def test_citing_twice_gives_one_number():
    cite = Citations()
    assert cite("box1980") == "[1]"
    assert cite("rover2015", "box1980") == "[1, 2]"
    assert [r.key for r in cite.cited] == ["box1980", "rover2015"]
    with pytest.raises(KeyError):
        cite("nobody1900")


def test_a_title_from_a_file_is_text():
    result = study_data()
    review = replace(result.review, title="50% <b>$x$</b> } \\input{x}")
    made = methods(replace(result, review=review))
    assert "\\<b\\>\\$x\\$" in str(made)
    entry = made.references[0].bibtex
    assert entry.count("{") == entry.count("}")
    assert "\\input" not in entry
