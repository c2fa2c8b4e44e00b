"""Which model a review's data ask for: each rule on data made to meet it."""

import numpy as np
import pandas as pd
from rm5_files import real

import bayespip as bp
from bayespip.models import available
from bayespip.reanalysis.model_choice import suggestions
from bayespip.text.model_tables import show_choice, show_models


def review(*analyses, risk_of_bias=None):
    return bp.Review(
        id="invented", title="An invented review", doi="", provenance="invented", analyses=analyses,
        risk_of_bias=risk_of_bias,
    )  # fmt: skip


def analysis(number, measure, **columns):
    k = len(next(iter(columns.values())))
    studies = pd.DataFrame({"study": [f"invented {i + 1}" for i in range(k)], **columns})
    return bp.Analysis(
        id=number, comparison="A versus B", outcome="score", timepoint="", measure=bp.MEASURES[measure], studies=studies
    )


def found(*analyses, **more):
    return {(s.analysis, s.model): s.reason for s in suggestions(review(*analyses, **more))}


def counts(number, measure, event_e):
    k = len(event_e)
    return analysis(number, measure, event_e=event_e, n_e=[50] * k, event_c=[9, 12, 20][:k], n_c=[50] * k)


def test_empty_and_small_cells_ask_for_the_binomial_model_of_the_measure():
    reasons = found(counts("1", "OR", [0, 8, 9]), counts("2", "RR", [3, 8, 9]), counts("3", "OR", [7, 8, 9]))
    assert reasons["1", "binomial_normal"] == "1 of 3 studies with an empty cell, which it needs not correct"
    assert reasons["2", "binomial_rr"] == "1 of 3 studies with a cell below 5"
    assert not {model for label, model in reasons if label == "3"} & {"binomial_normal", "binomial_rr"}


def test_small_arms_ask_for_their_unknown_standard_deviations():
    rest = {"mean_e": [1.0, 1.2], "sd_e": [1.0, 1.0], "mean_c": [0.8, 1.0], "sd_c": [1.0, 1.0]}
    small = analysis("1", "MD", n_e=[12, 60], n_c=[30, 60], **rest)
    large = analysis("2", "MD", n_e=[40, 60], n_c=[30, 60], **rest)
    reasons = found(small, large)
    assert reasons["1", "normal_arms"].startswith("an arm of 12 participants")
    assert ("2", "normal_arms") not in reasons


def test_a_study_far_from_the_others_asks_for_heavy_tails_and_is_named():
    far = analysis("1", "SMD", yi=[0.1, 0.2, 0.15, 3.0], sei=[0.1] * 4)
    near = analysis("2", "SMD", yi=[0.1, 0.2, 0.15, 0.3], sei=[0.1] * 4)
    reasons = found(far, near)
    assert reasons["1", "student_t"].startswith("invented 4 lies ")
    assert ("2", "student_t") not in reasons


def test_outcomes_of_few_studies_can_learn_from_each_other_and_shared_trials_are_said():
    reasons = found(*(analysis(str(i), "SMD", yi=[0.1, 0.3], sei=[0.2, 0.2]) for i in (1, 2)))
    assert reasons["1, 2", "pooled_tau"].startswith("2 of 2 outcomes on the scale of SMD with at most 5 studies")
    assert "trials in common" in reasons["1, 2", "multivariate"]
    assert not found(analysis("1", "SMD", yi=[0.1, 0.3], sei=[0.2, 0.2]))


def test_ten_studies_allow_one_moderator_and_high_risk_asks_for_a_judgement():
    many = analysis("1", "SMD", yi=np.linspace(0, 0.2, 10), sei=[0.2] * 10)
    judged = pd.DataFrame({"study": ["invented 1", "invented 2"], "blinding": ["high", "low"]})
    reasons = found(many, risk_of_bias=judged)
    assert reasons["1", "meta_regression"].startswith("10 studies")
    assert reasons["1", "bias_adjusted"].startswith("1 trial at high risk of bias in some domain")


def test_models_of_several_outcomes_are_named_for_the_bundled_review(capsys):
    names = {s.model for s in suggestions(bp.load_review("pip"))}
    assert names == {"pooled_tau"}
    show_choice(bp.read_review(real("Fleiss1993.rm5")))
    assert "normal_arms" in capsys.readouterr().out


def test_every_model_is_listed_with_what_it_asks(capsys):
    show_models()
    shown = capsys.readouterr().out
    assert all(f"{name}  " in shown for name in available())
    assert shown.count("calibration ") >= len(available())
