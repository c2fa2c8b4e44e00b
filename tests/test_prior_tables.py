"""The catalogue in the terminal: every prior, its numbers, every doubt in words."""

import re

import pytest

from bayespip.priors.entries import entries
from bayespip.priors.lookup import select
from bayespip.priors.tables import show_priors


def shown(capsys, monkeypatch, *description, **options):
    monkeypatch.setenv("COLUMNS", "80")
    show_priors(*description, **options)
    return capsys.readouterr().out


def test_without_a_description_there_is_one_line_a_paper(capsys, monkeypatch):
    text = shown(capsys, monkeypatch)
    for paper in {e.paper.split()[0] for e in entries()}:
        assert paper in text
    assert "--topic" in text
    assert "hyper-parameters not obtained" in re.sub(r"\s+", " ", text)
    assert len(text.splitlines()) < 60


def test_a_description_gives_name_density_meaning_and_doubts(capsys, monkeypatch):
    found = {"outcome": "mental health", "comparison": "non-pharmacological vs. placebo", "parameter": "tau"}
    text = shown(capsys, monkeypatch, "SMD", **found)
    assert max(map(len, text.splitlines())) <= 80
    packed = re.sub(r"\s+", "", text)
    for entry in select("SMD", **found):
        assert str(entry.prior()).replace(" ", "") in packed
        for doubt in entry.doubts:
            assert doubt.replace(" ", "") in packed
    assert "0.012to1.7" in packed
    assert "doubtful" in text


def test_ratios_have_a_factor_also_under_priors_for_any_measure(capsys, monkeypatch):
    text = shown(capsys, monkeypatch, "RR", paper="OHDSI")
    assert "×3.8" in text
    text = shown(capsys, monkeypatch, "SMD", paper="OHDSI")
    assert "×" not in text.split("Median and central")[0]


def test_everything_shows_every_prior(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    show_priors(everything=True)
    text = capsys.readouterr().out
    assert all(entry.name in text for entry in entries())
    assert "from sei" in text
    assert "improper" in text


def test_what_nothing_fits_is_refused():
    with pytest.raises(ValueError, match="topic must be one of"):
        show_priors("RR", topic="Astrology")
