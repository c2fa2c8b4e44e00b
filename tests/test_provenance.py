"""What a report of a bug names, and what is stored with results."""

import io
import platform
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import bayespip as bp
from bayespip import provenance

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0]


@pytest.fixture
def shown():
    file = io.StringIO()
    bp.show_versions(file)
    return {
        name.strip(): value
        for name, colon, value in (line.partition(" : ") for line in file.getvalue().splitlines())
        if colon
    }


def test_every_dependency_is_named_with_the_version_that_is_installed(shown):
    for requirement in PROJECT["dependencies"]:
        assert shown[name_of(requirement)] == version(name_of(requirement))
    assert shown["pytensor"] == version("pytensor")
    assert shown["python"].startswith(platform.python_version())
    assert shown["platform"] == platform.platform()


def test_an_optional_dependency_is_named_with_its_extra(shown):
    for extra, requirements in PROJECT["optional-dependencies"].items():
        for requirement in requirements:
            assert f"{name_of(requirement)} ({extra})" in shown
    assert {"pandoc", "weasyprint", "xelatex"} <= shown.keys()


def test_the_package_is_named_with_its_commit(shown):
    number, _, commit = shown["bayespip"].partition(" ")
    assert number == bp.__version__
    if (ROOT / ".git").exists():
        asked = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        head = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        assert commit.rstrip("+") == head


def test_it_prints_to_the_screen(capsys):
    bp.show_versions()
    assert capsys.readouterr().out.startswith("System\n------\nbayespip ")


def test_what_is_not_installed_is_said_and_nothing_fails(monkeypatch):
    def absent(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(provenance, "package_version", provenance.package_version.__wrapped__)  # not what is cached
    monkeypatch.setattr(provenance, "version", absent)
    monkeypatch.setattr(provenance, "requires", absent)
    monkeypatch.setattr(provenance.shutil, "which", lambda _: None)
    file = io.StringIO()
    bp.show_versions(file)
    values = re.findall(r"^(\w+) +: (.*)$", file.getvalue(), flags=re.MULTILINE)
    assert ("numpy", "not installed") in values
    assert ("pandoc", "not found") in values
    assert set(provenance.versions()) == {"python", *provenance.PACKAGES}
