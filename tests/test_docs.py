"""The documentation: pages and docstrings run, print what they show, and say of every public name what it must."""

import doctest
import inspect
import re
import shlex
from functools import cached_property

import documents
import matplotlib.pyplot as plt
import pytest
import typer.main
from numpydoc.docscrape import ClassDoc, get_doc_object
from numpydoc.validate import validate

import bayespip as bp
import bayespip.models
from bayespip.cli import app

API = documents.ROOT / "docs" / "api"
# numpydoc's checks that the house does not make: its docstrings open on the first line (GL01), name together the
# arguments that are "as in" another function (PR03), leave types to the annotations (PR04), document a returned value
# by the noun in the summary (RT01, SS05), name no neighbours (SA01), and go on only where there is more to say (ES01).
NOT_CHECKED = {"GL01", "PR03", "PR04", "RT01", "SS05", "SA01", "ES01"}
SAMPLES = re.compile(r"pymc_fit|(prior_predictive|inconsistency_table|sbc|reanalyse|operating_characteristics)\(")


def public():
    """Every public name with its object; of the public modules their own names."""
    for name in bp.__all__:
        thing = getattr(bp, name)
        if inspect.ismodule(thing):
            yield from ((f"bayespip.{name}.{inner}", getattr(thing, inner)) for inner in thing.__all__)
        else:
            yield f"bayespip.{name}", thing
    yield from ((f"bayespip.models.{name}", getattr(bayespip.models, name)) for name in bayespip.models.__all__)


DOCUMENTED = {name: thing for name, thing in public() if callable(thing)}


def members(name, thing):
    """A class's own methods and properties that have public names."""
    described = property | cached_property | classmethod | staticmethod
    for key, value in vars(thing).items():
        if not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, described)):
            yield f"{name}.{key}"


def slow_where_it_samples(cases):
    """Cases as (name, text); those that sample or re-analyse are marked slow."""
    return [
        pytest.param(name, id=name, marks=[pytest.mark.slow] if SAMPLES.search(text) else []) for name, text in cases
    ]


def read(page):
    return (documents.ROOT / page).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """What runs here writes nothing into the checkout and leaves no figure open."""
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


@pytest.mark.parametrize("page", slow_where_it_samples([(page, read(page)) for page in documents.PAGES]))
def test_the_code_of_a_page_runs_and_prints_what_is_shown(page, tmp_path):
    documents.write_files(tmp_path, read(page))
    for block, printed in documents.run(read(page), page):
        if block.printed is not None:
            assert printed == block.printed, block.code


@pytest.mark.parametrize(
    "name", slow_where_it_samples([(name, inspect.getdoc(thing) or "") for name, thing in DOCUMENTED.items()])
)
def test_the_example_of_a_public_name_runs(name):
    thing = DOCUMENTED[name]
    parsed = doctest.DocTestParser().get_doctest(inspect.getdoc(thing), {"bp": bp}, name, None, 0)
    assert parsed.examples, f"{name} has no example"
    told = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.FAIL_FAST).run(parsed, out=told.append)
    assert not told, "".join(told)


@pytest.mark.parametrize("name", list(DOCUMENTED))
def test_the_docstring_of_a_public_name_is_complete(name):
    thing = DOCUMENTED[name]
    for documented in (name, *(members(name, thing) if inspect.isclass(thing) else ())):
        found = validate(documented)["errors"]
        assert not [(code, text) for code, text in found if code not in NOT_CHECKED | {"PR01", "EX01"}], documented
    if inspect.isclass(thing):
        said = {one for field in ClassDoc(thing)["Attributes"] + ClassDoc(thing)["Parameters"] for one in names(field)}
    else:
        said = {one for field in get_doc_object(thing)["Parameters"] for one in names(field)}
    # a function of one line says in it what its arguments are; one that lists some lists all
    if said and not (inspect.isclass(thing) and issubclass(thing, Exception)):
        assert set(inspect.signature(thing).parameters) - said == set()


def names(field):
    return [one.lstrip("*") for one in field.name.split(", ")]


def test_the_api_pages_list_every_public_name_once():
    listed = []
    for page in sorted(API.glob("*.rst")):
        module = "bayespip" if page.stem == "index" else f"bayespip.{page.stem}"
        entries = re.findall(r"^(?:   |\.\. data:: )(\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        listed += [f"{module}.{entry}" for entry in entries]
    submodules = {f"bayespip.{path.stem}" for path in API.glob("*.rst")}
    assert sorted(set(listed) - submodules) == sorted({name for name, _ in public()} - {"bayespip.priors.Priors"})
    assert len(listed) == len(set(listed))


def test_every_command_shown_is_one_that_the_program_takes():
    shown = []
    for page in ("README.md", *(p.relative_to(documents.ROOT) for p in (documents.ROOT / "docs").rglob("*.md"))):
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```$", read(page), re.DOTALL | re.MULTILINE):
            shown += re.findall(r"^bayespip (.*?)(?:  +#.*)?$", block, re.MULTILINE)
    program = typer.main.get_command(app)
    assert shown
    for line in shown:
        command, *arguments = shlex.split(line)
        program.commands[command].make_context(command, arguments)
