"""What a sweep computes, what it skips, and the dataset it writes."""

import json
import math
from dataclasses import replace
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rm5_files import outcome, real, review, row
from simulated import simulated
from simulated_files import simulated_file
from typer.testing import CliRunner

import bayespip as bp
from bayespip import priors
from bayespip.cli import app
from bayespip.priors.sets import default_priors
from bayespip.reanalysis.quantities import EXACT
from bayespip.sweeping import reviews
from bayespip.sweeping.parts import SCHEMA, key_of
from bayespip.sweeping.settings import require_same_versions, settings_of
from bayespip.writing import to_data_package

WEAK = ["tau HN(0.5), mu flat"]
# exact_batch promises 1e-8 of the larger of the value and the posterior SD; twice, for exp() and for the sum of two.
OF_BATCH = 2e-8


def dataset(folder):
    return pd.read_parquet(folder / "results")


def skipped(folder):
    return pd.read_csv(folder / "skipped.csv", dtype=str, keep_default_na=False)


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def require_same_results(swept, pooled):
    """A review's rows of the dataset beside those of ``reanalyse``."""
    key = ["analysis", "k", "method", "prior", "parameter"]
    both = swept.merge(pooled, on=key, how="outer", suffixes=("", "_pooled"), indicator=True)
    assert set(both["_merge"]) == {"both"}
    assert len(both) == len(swept) == len(pooled)
    for name in SCHEMA.names:
        if name in key or f"{name}_pooled" not in both:
            continue
        ours, theirs = both[name], both[f"{name}_pooled"]
        if ours.dtype.kind == "f":
            size = np.maximum(theirs.abs(), both["sd_model"].fillna(0)).clip(lower=1e-300)
            assert ((ours - theirs).abs() / size).fillna(0).max() < OF_BATCH, name
            assert (ours.isna() == theirs.isna()).all(), name
        else:
            assert (ours == theirs).all(), name


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Six simulated analyses: pooled in total and by subgroup, not pooled, text, and without a known unit."""
    return to_data_package(simulated(), tmp_path_factory.mktemp("package") / "simulated.zip")


def pooled_table(review, settings_seed, **options):
    found = bp.reanalyse(review, with_bounds=False, with_pymc=False, seed=settings_seed, **options)
    table = found.table
    return table[(table["method"] != "published") | table["point"].notna()]


def test_a_sweep_says_what_reanalyse_says(tmp_path, package):
    done = bp.sweep([package], tmp_path)
    table = dataset(tmp_path)
    require_same_results(table, pooled_table(bp.read_review(package), manifest(tmp_path)["files"][0]["seed"]))
    assert done.counts["pooled"] == table["analysis"][table["method"] == EXACT].nunique() == 5
    assert done.counts["rows"] == len(table)
    fits = table[(table["parameter"] == "mu") & (table["method"] != "published")]
    assert done.counts["fits"] == len(fits)


def test_moments_and_evidence_are_those_of_the_exact_fit(tmp_path):
    bp.sweep(["coaching"], tmp_path)
    table = dataset(tmp_path)
    row = table[(table["method"] == EXACT) & (table["prior_tau"] == table["prior_tau"].unique()[-1])].iloc[0]
    analysis = next(iter(bp.load_review("coaching")))
    effects = bp.effect_sizes(analysis.rows(), analysis.measure)
    chosen = next(s for s in default_priors(effects.measure, sei=effects.sei) if s.priors.label == row["prior"])
    fit = bp.exact_fit(effects, chosen.priors)
    assert row["parameter"] == "mu"
    assert row["mean_model"] == pytest.approx(fit.mu.mean, rel=OF_BATCH)
    assert row["sd_model"] == pytest.approx(fit.mu.sd, rel=OF_BATCH)
    assert row["log_evidence"] == pytest.approx(fit.log_evidence, rel=OF_BATCH)


def test_published_results_are_conditioned_on_as_reanalyse_does():
    pip = bp.load_review("pip")
    few = replace(pip, analyses=(pip["P1"], pip["P9"]))
    settings = settings_of(WEAK, None, (), 0.95, 1)
    part = reviews._part(few, settings, "a digest", None)
    swept = pd.read_parquet(BytesIO(part.data))
    seed = reviews.seed_of(settings, "a digest")
    chosen = [s for s in default_priors("RR", topics=few.topics) if s.priors.label in WEAK]
    pooled = pooled_table(few, seed, priors=chosen)
    assert set(swept["value_of"]) == {"as printed", "equal-variance member", "conditional posterior"}
    measures = set(pooled["measure"])
    require_same_results(swept, pooled[pooled["method"].ne("") & pooled["measure"].isin(measures)])


def test_real_files_give_one_dataset(tmp_path):
    files = [real("cochrane/CD004976StatsDataOnly.rm5"), real("Fleiss1993.rm5"), real("Fleiss1993.zip")]
    done = bp.sweep(files, tmp_path, priors=["empirical pair"])
    table = dataset(tmp_path)
    assert list(table["review"].unique()) == ["CD004976", "Fleiss1993", "review-921923100913455418"]
    assert done.counts["reviews"] == 3
    # two forms of one review: the same numbers, to the digits that the forms store
    one, two = (table[table["review"] == key].set_index(["analysis", "method", "parameter"])["point_model"]
                for key in ("Fleiss1993", "review-921923100913455418"))  # fmt: skip
    np.testing.assert_allclose(one.drop("published", level=1), two.drop("published", level=1), rtol=1e-4, atol=1e-6)


def test_what_has_no_result_is_named_with_the_reason(tmp_path, package):
    bp.sweep([package], tmp_path)
    left = skipped(tmp_path)
    assert list(left["analysis"]) == ["1.4", "1.5"]
    assert left["reason"][0] == "the review does not pool it."
    assert "data of the type 'other' are not pooled" in left["reason"][1]
    assert set(left["review"]) == {"simulated"}


def test_an_improper_posterior_costs_that_prior_alone(tmp_path):
    wide = bp.Priors(priors.flat(), priors.uniform(0, math.inf), name="improper for two")
    weak = bp.Priors(priors.flat(), priors.half_normal(0.5), name="weak")
    file = simulated_file(tmp_path, 0)
    sizes = [len(a.rows()) for a in bp.read_review(file)]
    assert set(sizes) == {2, 3}
    bp.sweep([file], tmp_path / "out", priors=[wide, weak])
    table, left = dataset(tmp_path / "out"), skipped(tmp_path / "out")
    exact = table[(table["method"] == EXACT) & (table["parameter"] == "mu")]
    assert sorted(zip(exact["k"], exact["prior"], strict=True)) == [(2, "weak"), (3, "improper for two"), (3, "weak")]
    assert list(zip(left["k"], left["prior"], strict=True)) == [("2", "improper for two")]
    assert "improper for k = 2" in left["reason"][0]


def test_no_number_is_nan_and_every_part_has_one_schema(tmp_path):
    nothing = tmp_path / "text.rm5"
    nothing.write_text(review(outcome("OTHER", row("OTHER"))), encoding="utf-8")
    bp.sweep([simulated_file(tmp_path, 1), nothing], tmp_path / "out")
    parts = sorted((tmp_path / "out" / "results").glob("*/*.parquet"))
    assert len(parts) == 2
    for part in parts:
        table = pq.read_table(part, partitioning=None)
        assert table.schema.equals(SCHEMA)
        for name in table.schema.names:
            if str(table.schema.field(name).type) == "double":
                assert not np.isnan(table[name].drop_null().to_numpy()).any()
    assert dataset(tmp_path / "out")["review"].unique().tolist() == ["simulated-0001"]


@pytest.mark.parametrize(
    ("review_id", "key"),
    [
        ("CD003188", "CD003188"),
        ("a review/of=mine", "a-review-of-mine"),
        ("007", "review-007"),
        ("1.5e3", "review-1.5e3"),
        ("..", "review"),
        ("Überblick", "berblick"),
    ],
)
def test_a_key_is_no_path_and_no_number(review_id, key):
    assert key_of(review_id) == key


def test_a_bad_file_costs_that_file(tmp_path, monkeypatch):
    good, strange = simulated_file(tmp_path, 1), simulated_file(tmp_path, 2)
    made = {"empty.rm5": b"", "junk.csv": b"\x00\x01junk", "cut.rm5": good.read_bytes()[:300]}
    made["cut.zip"] = b"PK\x03\x04cut"
    bad = [tmp_path / name for name in made]
    for path in bad:
        path.write_bytes(made[path.name])
    read = reviews.review_of

    def provoked(data, file):
        if file == strange.name:
            raise RecursionError("too deep")
        return read(data, file)

    monkeypatch.setattr(reviews, "review_of", provoked)
    done = bp.sweep([*bad, strange, good], tmp_path / "out")
    left = skipped(tmp_path / "out")
    assert list(left["file"]) == [str(path) for path in (*bad, strange)]
    assert left["reason"].str.len().min() > 20
    assert left["reason"].iloc[-1] == "RecursionError: too deep"
    assert [entry["status"] for entry in manifest(tmp_path / "out")["files"]] == ["skipped"] * 5 + ["done"]
    assert (done.counts["skipped_files"], done.counts["reviews"]) == (5, 1)


def test_an_analysis_that_cannot_be_computed_costs_itself():
    def work(group):
        if 3 in group:
            raise ArithmeticError("three")
        return [2 * x for x in group]

    assert list(reviews._in_groups([1, 2, 3, 4, 5], "ababa", work)) == [
        (0, 2), (2, "three"), (4, 10), (1, 4), (3, 8),
    ]  # fmt: skip


def test_a_full_disk_is_no_fault_of_the_file(monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reviews, "review_of", full)
    with pytest.raises(OSError, match="No space left"):
        bp.sweep([simulated_file(tmp_path, 1)], tmp_path / "out")


def test_priors_by_kind_and_name(tmp_path, package):
    bp.sweep([package], tmp_path, priors=["empirical pair", *WEAK])
    table = dataset(tmp_path)
    exact = table[(table["method"] == EXACT) & (table["parameter"] == "mu")]
    found = exact.groupby("analysis")["prior"].agg(list)
    assert found["1.1"] == [*WEAK, "tau Bartos Cochrane, mu Bartos Cochrane"]
    assert found["1.2"] == ["tau Bartos Cochrane × SD, mu Bartos Cochrane × SD"]
    assert "1.6" not in found  # no scale is known of points, and so neither prior
    left = skipped(tmp_path)
    assert left["reason"][left["analysis"] == "1.6"].item() == "the priors asked for are not among those of Points."
    assert set(table["method"][table["analysis"] == "1.6"]) >= {"REML, HKSJ", "published"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priors": ["weakly informtive"]}, "such as 'weakly informative'"),
        ({"priors": []}, "priors must be at least one"),
        ({"priors": [*WEAK, *WEAK]}, "with different names"),
        ({"priors": [bp.Priors(priors.flat(), priors.density(lambda t: -t, "own", tail=math.inf))]}, "function"),
        ({"topics": ["no topic"]}, "topics must be among"),
        ({"models": ["no_model"]}, "no_model"),
        ({"level": 1.0}, "level must lie in"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"workers": 0}, "workers must be positive"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "workers must be left out"),
    ],
)
def test_an_argument_out_of_its_choices_is_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        bp.sweep(["bcg"], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_files_that_do_not_exist_are_named_before_anything_is_done(tmp_path):
    with pytest.raises(ValueError, match=r"files must exist or be among bcg, coaching, pip; got 'nowhere\.rm5'"):
        bp.sweep(["bcg", "nowhere.rm5"], tmp_path / "out")
    with pytest.raises(ValueError, match="got none"):
        bp.sweep([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_worker_of_another_version_is_refused():
    settings = settings_of(None, None, (), 0.95, 1)
    require_same_versions(settings)
    other = replace(settings, versions={**settings.versions, "numpy": "0.1"})
    with pytest.raises(ValueError, match=r"numpy .*, not 0\.1"):
        require_same_versions(other)


def test_the_command(tmp_path):
    run = CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"})
    bad = tmp_path / "bad.rm5"
    bad.write_text("<nothing/>", encoding="utf-8")
    arguments = ["sweep", str(simulated_file(tmp_path, 1)), str(bad), "--out", str(tmp_path / "out"), "--priors", *WEAK]
    shown = run.invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert "2 of 2 analyses in 1 of 2 files pooled; 10 fits." in shown.stdout
    assert "1 row in skipped.csv" in shown.stdout
    assert "reviews" in shown.stderr
    assert "2/2" in shown.stderr
    again = run.invoke(app, [*arguments, "--seed", "2"])
    assert again.exit_code == 1
    assert "seed 1, not 2" in again.stderr
    alone = run.invoke(app, ["sweep", str(bad), "--out", str(tmp_path / "other")])
    assert alone.exit_code == 1
    assert "no file could be pooled" in alone.stderr


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere://x"])
def test_a_scheduler_that_does_not_answer_is_named_with_what_to_do(address, tmp_path):
    pytest.importorskip("distributed")  # whose defaults must be there before one of them is changed
    import dask

    pattern = (
        f"scheduler must be the address of a Dask scheduler that answers.*'{address}'.*`dask scheduler` starts one"
    )
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(OSError, match=pattern):
        bp.sweep(["bcg"], tmp_path / "there", priors=WEAK, scheduler=address)
