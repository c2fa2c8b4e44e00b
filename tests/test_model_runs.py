"""Other models run on a review: in the table, the summary and the terminal, and what they cannot fit named."""

import numpy as np
import pytest
from rm5_files import real

import bayespip as bp
from bayespip import priors as p
from bayespip.text.findings import findings, unfitted
from bayespip.text.summary import summary
from bayespip.text.terminal import show

TWO = (
    bp.Priors(p.normal(0, 2.82), p.half_normal(0.5), name="weak"),
    bp.Priors(p.flat(), p.half_normal(0.5), name="flat mu"),
)


@pytest.fixture(scope="module")
def fleiss():
    review = bp.read_review(real("Fleiss1993.rm5"))
    return bp.reanalyse(review, TWO, with_pymc=False, models=["binomial_normal", "normal_normal"], seed=3)


def test_the_fits_stand_in_the_table_beside_the_exact_ones(fleiss):
    of_mu = fleiss.table[(fleiss.table["parameter"] == "mu") & (fleiss.table["analysis"] == "1.1")]
    sampled = of_mu[of_mu["method"].str.startswith("PyMC")]
    found = sampled.set_index(["method", "prior"])["point_model"]
    assert set(found.index) == {
        ("PyMC binomial_normal", "weak"), ("PyMC normal_normal", "weak"), ("PyMC normal_normal", "flat mu"),
    }  # fmt: skip
    exact = of_mu[of_mu["method"] == "exact normal-normal"].set_index("prior")["point_model"]
    width = of_mu.set_index(["method", "prior"]).eval("upper_model - lower_model")
    for (method, prior), point in found.items():
        # seven large trials: the binomial likelihood is all but normal
        assert abs(point - exact[prior]) < 0.1 * width[method, prior]
    assert set(fleiss.trees) == {"1.1 binomial_normal", "1.1 normal_normal", "1.2 normal_normal"}
    assert list(fleiss.trees["1.1 normal_normal"]["posterior"]["prior"].values) == ["weak", "flat mu"]
    assert fleiss.settings["models"] == ("binomial_normal", "normal_normal")


def test_what_cannot_be_fitted_is_named_with_its_reason(fleiss):
    rows = unfitted(fleiss).set_index(["analysis", "model"])
    assert rows.loc[("1.1", "binomial_normal"), "priors"] == "flat mu"
    assert "needs proper priors; got flat on mu" in rows.loc[("1.1", "binomial_normal"), "reason"]
    assert "1.2 has no counts" in rows.loc[("1.2", "binomial_normal"), "reason"]
    assert len(rows) == 2


def test_the_other_models_are_no_frequentist_methods_and_change_no_count(fleiss):
    alone = bp.reanalyse(fleiss.review, TWO, with_pymc=False)
    for with_models, without in zip(findings(fleiss), findings(alone), strict=True):
        assert with_models.verdicts == without.verdicts
        assert len(with_models.frequentist) == len(without.frequentist)
        assert len(with_models.bayesian) == len(without.bayesian)
        assert {line.model for line in with_models.others} <= {"binomial_normal", "normal_normal"}
    assert list(fleiss.sentences["sentence"]) == list(alone.sentences["sentence"])


def test_people_are_told(fleiss, capsys):
    text = summary(fleiss)
    assert "## Other models" in text
    assert "**binomial_normal**: What is the average odds ratio" in text
    assert "| binomial_normal | half-normal(0.5) | normal(0, 2.82) |" in text
    assert "1.2 has no counts" in text
    show(fleiss)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Not fitted 1.1, binomial_normal under flat mu: binomial_normal needs proper priors" in shown


def test_an_unknown_model_is_refused_before_anything_is_fitted():
    with pytest.raises(ValueError, match=r"model must be one of .*normal_normal.*; got 'none'"):
        bp.reanalyse(bp.load_review("coaching"), TWO, with_pymc=False, models=["none"])


@pytest.mark.slow
def test_outcomes_are_pooled_together_on_their_equal_variance_members():
    review = bp.load_review("pip")
    result = bp.reanalyse(
        review, TWO[:1], analyses=("P2", "P8", "P9"), with_pymc=False, with_bounds=False, models=["pooled_tau"]
    )
    rows = result.table[result.table["method"] == "PyMC pooled_tau"]
    assert set(rows["analysis"]) == {"P2", "P8", "P9"}
    assert set(rows["value_of"]) == {"equal-variance member"}
    assert np.isfinite(rows[["point", "lower", "upper"]].to_numpy(dtype=float)).all()
    assert "pooled_tau" in summary(result)
