"""The notebooks: whole as they are stored, and they run again to the same results."""

import re
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell
from reference_data import load_reference

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
LARGEST = 1_500_000  # bytes: code hosts show nothing of notebooks much larger
# A number as printed, and whether it stands in a word or a name.
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")
STRICT = """
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module="ipykernel")  # the kernel's own, at shutdown
"""
STILL_STRICT = """
try:
    warnings.warn("of the test")
except UserWarning:
    pass
else:
    raise AssertionError("warnings were no errors")
"""


@pytest.fixture(params=[pytest.param(path, id=path.stem) for path in NOTEBOOKS])
def stored(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """Of every output its text, in order; of a table that of its cells, which no width of a page breaks."""
    for output in cell.outputs:
        data = output.get("data", {})
        plain = data.get("text/markdown") or data.get("text/plain", "")
        yield re.sub(r"<[^>]*>", " ", data["text/html"]) if "text/html" in data else plain


def kinds(cell):
    return [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs]


def test_there_are_six():
    assert NAMES == [
        "01_reanalysis",
        "02_priors_on_tau",
        "03_your_own_review",
        "04_models",
        "05_methods_comparison",
        "06_new_evidence",
    ]


def test_each_is_valid_and_begins_with_its_title(stored):
    nbformat.validate(stored)
    assert stored.cells[0].cell_type == "markdown"
    assert stored.cells[0].source.startswith("# ")
    assert stored.metadata.kernelspec.name == "python3"


def test_each_was_run_from_top_to_bottom(stored):
    cells = code(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    results = [o for cell in cells for o in cell.outputs if o.output_type == "execute_result"]
    assert all(o.execution_count for o in results)


def test_no_error_no_warning_and_no_message_is_stored(stored):
    for cell in code(stored):
        for output in cell.outputs:
            assert output.output_type in ("display_data", "execute_result"), cell.source


def test_every_cell_that_draws_has_its_figure(stored):
    drawing = [cell for cell in code(stored) if "plot_" in cell.source.replace("import plot_", "")]
    assert drawing or stored.cells[0].source.startswith("# Other models")
    for cell in drawing:
        assert sum("image/png" in output.data for output in cell.outputs) == cell.source.count("plot_"), cell.source


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in NOTEBOOKS])
def test_no_path_of_a_machine_is_stored_and_no_file_is_too_large(path):
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < LARGEST
    without_figures = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"/(home|root|tmp|Users|work|var|usr)/|\\\\Users|site-packages", without_figures)


def test_cells_are_short(stored):
    for cell in code(stored):
        assert "def " not in cell.source
        assert "class " not in cell.source


def numbers_of(text):
    return [m.group() for m in NUMBER.finditer(text)]


def unit(number):
    """One unit of the last digit printed."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def words_of(text):
    """The text without its numbers."""
    return NUMBER.sub("#", text).split()


def differences(before, now):
    """Numbers that differ by more than a unit of their last digit, which rounding may move."""
    return [
        (a, b)
        for a, b in zip(numbers_of(before), numbers_of(now), strict=True)
        if abs(float(a) - float(b)) > 1.001 * max(unit(a), unit(b))
    ]


def test_numbers_are_found_and_compared_by_their_last_digit():
    text = "RR 0.48 (0.24 to 0.95), tau HN(0.5), -1.2e-05, P13, 1,000"
    assert numbers_of(text) == ["0.48", "0.24", "0.95", "0.5", "-1.2e-05", "1", "000"]
    assert not differences("0.48 and 12", "0.49 and 11")
    assert differences("0.48 and 12", "0.50 and 12") == [("0.48", "0.50")]
    assert differences("1.2e-05", "1.5e-05") == [("1.2e-05", "1.5e-05")]
    assert words_of("a 0.5  b") == words_of("a 12.25 b")


def test_what_is_quoted_of_peers_is_what_they_gave():
    source = "\n".join(cell.source for cell in code(nbformat.read(NOTEBOOKS[4], as_version=4)))
    quoted = {
        name: [float(x) for x in numbers.split(",")]
        for name, numbers in re.findall(r'"([^"]+)": \[(-?[\d.]+, -?[\d.]+, -?[\d.]+)\]', source)
    }
    peers = load_reference()["datasets"]["bcg_rr_2study"]
    methods, priors = peers["freq"], peers["bayes"]["halfnormal_0.5__flat"]
    metafor = {
        "metafor, DL, Wald": methods["DL"]["z"],
        "metafor, REML, HKSJ": methods["REML"]["knha"],
        "metafor, REML, HKSJ floored": methods["REML"]["adhoc"],
    }
    given = {name: [fit["beta"], *fit["ci"]] for name, fit in metafor.items()}
    summary = dict(
        zip(priors["bayesmeta_default"]["summary_rows"], priors["bayesmeta_default"]["summary"]["mu"], strict=True)
    )
    given["bayesmeta"] = [summary["median"], summary["95% lower"], summary["95% upper"]]
    given["independent quadrature"] = [priors["exact"]["mu"]["median"], *priors["exact"]["mu"]["shortest"]]
    assert quoted.keys() == given.keys()
    for name, numbers in given.items():
        assert quoted[name] == [float(f"{x:.10g}") for x in numbers], name


@pytest.mark.slow
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in NOTEBOOKS])
def test_each_runs_again_to_what_is_stored(path, tmp_path):
    """In a kernel in which warnings are errors; cells that sample agree in form, all others in every number."""
    before = nbformat.read(path, as_version=4)
    now = nbformat.read(path, as_version=4)
    now.cells = [new_code_cell(STRICT), *now.cells, new_code_cell(STILL_STRICT)]
    NotebookClient(now, kernel_name="python3", timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert not any(tmp_path.iterdir())
    compared = Counter()
    for old, new in zip(code(before), code(now)[1:-1], strict=True):
        assert kinds(old) == kinds(new), old.source
        tags = old.metadata.get("tags", [])
        for a, b in zip(texts(old), texts(new), strict=True):
            assert words_of(a) == words_of(b), old.source
            if not {"sampled", "rounding"} & set(tags):
                assert not differences(a, b), old.source
                compared["numbers"] += len(numbers_of(a))
    assert compared["numbers"], "no cell has numbers that are not sampled"
