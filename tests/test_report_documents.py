"""Documents: the text whole, figures beside it, Word and PDF by Pandoc; what is missing is named."""

import re
import shutil
import subprocess
import zipfile
from dataclasses import replace

import pytest
from reanalyses import study_data
from typer.testing import CliRunner

from bayespip import cli
from bayespip.report import documents
from bayespip.report.documents import PDF_ENGINES, write_document
from bayespip.report.methods import methods
from bayespip.report.plain_language import plain_language
from bayespip.report.verdicts import verdicts
from bayespip.text.findings import findings

RATINGS = {"1.1": ("moderate", "large")}


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="module")
def markdown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("md")
    (folder / "my report_figures").mkdir()
    (folder / "my report_figures" / "mine.txt").write_text("mine")
    return write_document(study_data(), folder / "my report.md", format="md", ratings=RATINGS)


def plain(text):
    return re.sub(r"\\(.)", r"\1", text)


def test_markdown_has_every_part_and_its_figures(markdown):
    text = markdown.read_text(encoding="utf-8")
    assert text.startswith("# Re-analysis: BCG vaccine against tuberculosis")
    assert str(plain_language(study_data(), RATINGS)).strip() in text
    assert str(methods(study_data(), rated=True)).strip() in text
    (verdict,) = verdicts(study_data()).values()
    assert str(verdict) in plain(text)
    named = re.findall(r"!\[.*?\]\(<(.*?)>\)", text)
    assert "my report_figures/comparison.png" in named
    assert len(named) >= 2
    for name in named:
        assert (markdown.parent / name).stat().st_size > 1000
    assert sorted(p.name for p in markdown.parent.iterdir()) == ["my report.md", "my report_figures"]


def test_other_files_of_the_figures_folder_stay(markdown):
    assert (markdown.parent / "my report_figures" / "mine.txt").read_text() == "mine"


def test_ratings_reach_the_document(markdown):
    text = plain(markdown.read_text(encoding="utf-8"))
    assert "BCG vaccine probably results in a large reduction in Tuberculosis." in text
    assert "GRADE guidelines 26" in text


def test_word_has_headings_tables_and_figures(tmp_path):
    need("pandoc")
    file = write_document(study_data(), tmp_path / "r.docx", format="docx")
    with zipfile.ZipFile(file) as package:
        names = package.namelist()
        xml = package.read("word/document.xml").decode()
    assert sum(name.startswith("word/media/") for name in names) >= 2
    for style in ("Heading1", "Heading2"):
        assert f'w:val="{style}"' in xml
    (f,) = findings(study_data())
    assert xml.count("<w:tr>") + xml.count("<w:tr ") > len(f.frequentist) + len(f.bayesian)
    assert "&lt;br&gt;" not in xml
    assert "tau HN(0.5)" in re.sub(r"<[^>]+>", "", xml)
    assert [p.name for p in tmp_path.iterdir()] == ["r.docx"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", list(PDF_ENGINES))
def test_each_engine_makes_a_pdf(engine, tmp_path, monkeypatch):
    need("pandoc")
    need(engine)
    monkeypatch.setattr(documents, "PDF_ENGINES", {engine: PDF_ENGINES[engine]})
    file = write_document(study_data(), tmp_path / "r.pdf", format="pdf")
    assert file.read_bytes().startswith(b"%PDF-")
    if shutil.which("pdftotext"):
        done = subprocess.run(["pdftotext", str(file), "-"], capture_output=True, text=True, check=True)  # noqa: S607
        assert "What was found" in done.stdout
        assert "References" in done.stdout


@pytest.mark.slow
def test_names_from_a_file_bring_no_image_tag_or_tex(tmp_path):
    need("pandoc")
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not an image")
    title = f"![x]({secret}) <script>alert(1)</script> \\input{{{secret}}} $\\alpha$"
    result = study_data()
    hostile = replace(result, review=replace(result.review, title=title))
    file = write_document(hostile, tmp_path / "r.docx", format="docx")
    with zipfile.ZipFile(file) as package:
        said = re.sub(r"<[^>]+>", "", package.read("word/document.xml").decode())
        media = [package.read(name) for name in package.namelist() if name.startswith("word/media/")]
    assert b"not an image" not in media
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said
    assert "$\\alpha$" in said


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    found = shutil.which
    monkeypatch.setattr(documents.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"format docx needs pandoc, which is not installed \(https://pandoc"):
        write_document(study_data(), tmp_path / "r.docx", format="docx")
    monkeypatch.setattr(documents.shutil, "which", lambda name: "/bin/pandoc" if name == "pandoc" else None)
    with pytest.raises(FileNotFoundError, match="one of weasyprint, xelatex beside pandoc"):
        write_document(study_data(), tmp_path / "r.pdf", format="pdf")
    monkeypatch.setattr(documents.shutil, "which", found)
    assert list(tmp_path.iterdir()) == []


def test_what_pandoc_says_when_it_fails_is_passed_on(tmp_path, monkeypatch):
    failing = tmp_path / "pandoc"
    failing.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(documents.shutil, "which", lambda name: str(failing))
    (tmp_path / "r.docx").write_text("earlier")
    with pytest.raises(OSError, match="pandoc could not write format docx: no space left"):
        write_document(study_data(), tmp_path / "r.docx", format="docx")
    assert (tmp_path / "r.docx").read_text() == "earlier"


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format must be one of md, docx, pdf; got 'odt'"):
        write_document(study_data(), tmp_path / "r.odt", format="odt")


@pytest.mark.slow
def test_the_command_writes_markdown(tmp_path):
    arguments = ["report", "bcg", "--out", str(tmp_path / "r.md"), "--format", "md", "--no-pymc"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.md").read_text(encoding="utf-8").startswith("# Re-analysis: BCG")


def test_the_command_refuses_a_format_before_it_computes(tmp_path):
    arguments = ["report", "bcg", "--out", str(tmp_path / "r.odt"), "--format", "odt"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 1
    assert "format must be one of html, md, docx, pdf; got 'odt'" in " ".join(done.output.split())
