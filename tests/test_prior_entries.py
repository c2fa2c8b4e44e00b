"""The published priors in the project: every figure is that of the source file."""

import json
import re

import pytest

from bayespip import priors as pr
from bayespip.priors.entries import codebook, table

# Names of the measures in the source file
MEASURE = {"SMD": "SMD", "logOR": "OR", "logRR": "RR", "RD": "RD", "logHR": "HR"}


@pytest.fixture(scope="module")
def source(shared_dir):
    return json.loads((shared_dir / "priors" / "heterogeneity_priors.json").read_text(encoding="utf-8"))


def numbers_in(node, path=()):
    """Paths of all numbers of the source."""
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        return [found for key, value in items for found in numbers_in(value, (*path, key))]
    return [path] if isinstance(node, int | float) else []


class Compared:
    """Ours against the source's cell by cell; knows which cells were compared."""

    def __init__(self, source):
        self.source, self.seen = source, set()

    def __call__(self, ours, *path):
        node = self.source
        for key in path:
            node = node[key]
        assert float(ours) == node, path
        self.seen.add(path)


def compare_turner2015(same):
    rows = table("turner2015")
    marginal = rows[0], ("turner2015", "marginal")
    cells = [(row, ("turner2015", "table", row["outcome"], row["comparison"])) for row in rows[1:]]
    for row, path in (marginal, *cells):
        same(row["tau2_mu"], *path, "tau2_mu")
        same(row["tau2_sigma"], *path, "tau2_sigma")
        location, scale = pr.published(row["name"]).parameters
        same(location, *path, "tau_meanlog")
        same(scale, *path, "tau_sdlog")
        if row["tau_median"]:
            same(row["tau_median"], *path, "tau_median")
            same(row["tau_q95"], *path, "tau_q95")


def compare_broad(same):
    """The two papers with ten rows each."""
    columns = {
        ("turner2012", "turner2012_binary_broad"): {
            "tau2_mu": "mu", "tau2_sigma": "sigma",
            "tau2_median": "tau2_median", "tau2_q025": "tau2_q025", "tau2_q975": "tau2_q975",
        },
        ("rhodes2016", "rhodes2016_binary_inverse_gamma"): {"tau2_shape": "shape", "tau2_scale": "scale"},
    }  # fmt: skip
    for (name, section), names in columns.items():
        for i, row in enumerate(table(name)):
            theirs = same.source[section]["rows"][i]
            assert (row["outcome"] or "General", row["comparison"] or "General") == (
                theirs["outcome"], theirs["comparison"],
            )  # fmt: skip
            for ours, their in names.items():
                same(row[ours], section, "rows", i, their)


def compare_rhodes2015(same):
    for row in table("rhodes2015"):
        path = ("rhodes2015", "tables_by_medical_area", row["area"], row["outcome"], row["comparison"])
        path = path if row["area"] else ("rhodes2015", "marginal")
        same(row["log_tau2_location"], *path, "log_tau2_location")
        same(row["log_tau2_spread"], *path, "log_tau2_scale")
        same(row["df"], *path, "df")
        if row["area"]:
            location, scale, _ = pr.published(f"{row['name']}/scale").parameters
            same(location, *path, "log_tau_location")
            same(scale, *path, "log_tau_scale")
            same(row["tau_median"], *path, "tau_median")
    for i, row in enumerate(table("rhodes2015_ranges")):
        path = ("rhodes2015", "table3_published_ranges_digitised_by_hetprior", i)
        same(row["log_tau2_location"], *path, "location")
        same(row["log_tau2_spread"], *path, "sd")
        for column in ("tau2_median", "tau2_q025", "tau2_q975"):
            same(row[column], *path, column)


def compare_bartos(same):
    section = "bartos2021_2023_cochrane_topics"
    theirs = {(MEASURE[m], t): m for m, topics in same.source[section]["tables"].items() for t in topics}
    for row in table("bartos"):
        path = (section, "tables", theirs.pop((row["measure"], row["topic"])), row["topic"])
        for column in ("location", "scale", "df"):
            same(row[f"mu_{column}"], *path, "mu", column)
        for column in ("n_comparisons", "n_estimates"):
            if row[column]:
                same(row[column], *path, column)
        if not row["tau_family"]:
            assert row["topic"] == "Childhood Cancer"
            continue
        parameters = {"inverse-gamma": ("shape", "scale"), "half-normal": ("sd",)}[row["tau_family"]]
        for ours, their in zip(("tau_first", "tau_second"), parameters, strict=False):
            same(row[ours], *path, "tau", their)
        same(row["tau_median"], *path, "tau", "tau_median")
        same(row["tau_q95"], *path, "tau", "tau_q95")
    assert not theirs


def compare_single(same):
    for i, row in enumerate(table("van_zwet2021")):
        for column, key in (("weight", "weights"), ("sd_snr", "sd_snr"), ("sd_z", "sd_z")):
            same(row[column], "van_zwet_schwab_senn_2021", key, i)
    shape, scale = pr.published("van-erp2017/SMD").parameters
    same(shape, "psychology_informed", "van_erp_2017_tau_smd", "shape")
    same(scale, "psychology_informed", "van_erp_2017_tau_smd", "scale")
    values = pr.published("oosterwijk/SMD").parameters
    for value, key in zip(values, ("location", "scale", "df", "lower"), strict=True):
        same(value, "psychology_informed", "oosterwijk_mu_smd", key)


def test_every_number_of_the_source_is_in_the_project(source):
    same = Compared(source)
    for compare in (compare_turner2015, compare_broad, compare_rhodes2015, compare_bartos, compare_single):
        compare(same)
    assert same.seen == set(numbers_in(source))
    assert len(same.seen) > 2500


def test_what_the_source_states_in_words_is_in_the_codebook(source):
    stated = {line["stated"] for line in codebook()["prior"] if "stated" in line}
    lilienthal = codebook()["not_obtained"][1]["what"]
    for entry in source["weakly_informative"]:
        texts = {entry[key] for key in ("tau", "mu") if key in entry}
        assert texts <= stated | {lilienthal}
    assert codebook()["software"] == source["software_defaults_seen"]
    assert codebook()["not_obtained"][0]["what"] == source["van_zwet_wiecek_gelman_2025"]["what"]


def test_every_warning_of_the_source_about_a_cell_is_a_doubt_here(source):
    warned = [w for w in source["rhodes2015"]["WARNINGS"] if w["cell"] != "all"]
    cells = ["other/mental-health/nonpharma-any", "other/obstetric/nonpharma-any"]
    cells += ["cancer/structure/pharma-placebo", "cancer/resource-use/pharma-placebo"]
    assert len(warned) == len(cells)
    for warning, cell in zip(warned, cells, strict=True):
        area, *_ = warning["cell"].split(" / ")
        assert cell.startswith(area)
        doubt = pr.catalogue().set_index("name").doubt[f"rhodes2015/{cell}/scale"]
        numbers = re.findall(r"[-+]?\d\.\d\d", warning["issue"] + warning["value"])
        printed = float(table_row(cell)["log_tau2_location"])
        assert any(float(n) in (printed, float(table_row(cell)["log_tau2_spread"])) for n in numbers)
        assert any(n.lstrip("+") in doubt for n in numbers)


def table_row(cell):
    return next(row for row in table("rhodes2015") if row["name"] == f"rhodes2015/{cell}")
