"""Results are written whole or not at all, and read back as they were."""

import re
from dataclasses import replace

import arviz as az
import pandas as pd
import pytest
import xarray as xr
from reanalyses import published, sampled, study_data

from bayespip.reanalysis.saving import writable

ALWAYS = {
    *("assumptions.csv", "comparison.csv", "comparison.parquet", "summary.md", "tipping.csv"),
    *("comparison.png", "comparison.svg", "report.html"),
}


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_all_files_are_there_and_nothing_else(tmp_path):
    target = tmp_path / "new" / "results"
    assert published().save(target) == target
    assert set(contents(target)) == ALWAYS | {"extremes.csv"}


def test_parquet_and_csv_hold_the_same_table(tmp_path):
    result = published()
    result.save(tmp_path)
    columnar = pd.read_parquet(tmp_path / "comparison.parquet")
    pd.testing.assert_frame_equal(columnar, result.table, check_exact=True)
    text = [c for c in columnar if pd.api.types.is_string_dtype(columnar[c])]
    kinds = dict.fromkeys(text, "str") | {"k": "Int64"}
    plain = pd.read_csv(tmp_path / "comparison.csv", dtype=kinds)
    plain = plain.fillna(dict.fromkeys(text, ""))  # no text is text, not a missing value
    pd.testing.assert_frame_equal(plain, columnar, check_exact=True)


def test_the_same_result_gives_the_same_files(tmp_path):
    for name in ("one", "two"):
        study_data().save(tmp_path / name)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {name for name in one if one[name] != two[name]} == set()


def test_an_error_midway_leaves_earlier_results_as_they_were(tmp_path):
    study_data().save(tmp_path)
    (tmp_path / "notes.txt").write_text("the user's own", encoding="utf-8")
    before = contents(tmp_path)
    broken = replace(study_data(), table=study_data().table.drop(columns="lower_model"))
    with pytest.raises(KeyError, match="lower_model"):
        broken.save(tmp_path)
    assert contents(tmp_path) == before


def test_a_folder_in_the_place_of_a_file_leaves_the_others_as_they_were(tmp_path):
    study_data().save(tmp_path)
    (tmp_path / "summary.md").unlink()
    (tmp_path / "summary.md").mkdir()
    before = contents_of_files(tmp_path)
    with pytest.raises(IsADirectoryError, match=r"summary\.md must be a file to be replaced; it is a folder"):
        published().save(tmp_path)
    assert contents_of_files(tmp_path) == before
    assert not list(tmp_path.glob(".writing-*"))


def contents_of_files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    file = tmp_path / "results"
    file.write_text("the user's own", encoding="utf-8")
    for target in (file, file / "below"):
        with pytest.raises(NotADirectoryError, match=re.escape(f"out must be a folder; {file} is a file.")):
            study_data().save(target)
    assert file.read_text(encoding="utf-8") == "the user's own"
    assert [f.name for f in tmp_path.iterdir()] == ["results"]


def test_a_folder_need_not_be_there_to_be_writable(tmp_path):
    target = tmp_path / "a" / "b"
    assert writable(target) == target
    assert not target.parent.exists()


def test_files_of_an_earlier_run_that_belong_to_it_alone_are_removed(tmp_path):
    for name in ("posterior.nc", "checks.csv", "notes.txt"):
        (tmp_path / name).write_text("of an earlier run", encoding="utf-8")
    study_data().save(tmp_path)
    assert set(contents(tmp_path)) == ALWAYS | {"notes.txt"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return sampled().save(tmp_path_factory.mktemp("results"))


@pytest.mark.slow
def test_sampled_posteriors_and_checks_are_written_too(saved):
    assert set(contents(saved)) == ALWAYS | {"posterior.nc", "checks.csv"}
    checks = pd.read_csv(saved / "checks.csv", keep_default_na=False)
    assert list(checks["prior"]) == ["weak", "wide"]
    assert checks["agrees"].all()


@pytest.mark.slow
def test_a_posterior_is_a_tree_with_a_group_an_analysis_and_priors_inside(saved):
    with xr.open_datatree(saved / "posterior.nc") as tree:
        assert list(tree.children) == ["1.1"]
        assert tree.attrs["review"] == "coaching"
        group = tree["1.1"]
        assert list(group.attrs["priors"]) == ["weak", "wide"]
        for name in ("posterior", "log_likelihood", "log_prior", "posterior_predictive", "sample_stats"):
            assert group[name].sizes["prior"] == 2
        assert "prior" not in group["observed_data"].dims


@pytest.mark.slow
@pytest.mark.parametrize("label", ["weak", "wide"])
def test_one_prior_of_it_is_ready_for_arviz(saved, label):
    with xr.open_datatree(saved / "posterior.nc") as tree:
        one = tree["1.1"].sel(prior=label)
        table = az.summary(one, var_names=["mu", "tau"], round_to="none")
        row = (
            sampled().table.query("method == 'exact normal-normal' and parameter == 'mu'").set_index("prior").loc[label]
        )
        assert abs(table.loc["mu", "mean"] - row["point"]) < 0.2 * (row["upper"] - row["lower"])
        assert (table["r_hat"] <= 1.01).all()
        assert len(az.loo(one, pointwise=True).pareto_k) == 8


@pytest.mark.slow
def test_power_scaling_runs_on_a_proper_prior(saved):
    with xr.open_datatree(saved / "posterior.nc") as tree:
        found = az.psense_summary(tree["1.1"].sel(prior="weak").load(), var_names=["mu", "tau"])
    assert list(found.index) == ["mu", "tau"]
    assert (found[["prior", "likelihood"]] >= 0).all(axis=None)
