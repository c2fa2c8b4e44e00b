"""Counts of two-armed trials: what they refuse, and how a review gives them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simulated

from bayespip import priors as p
from bayespip import read_review
from bayespip.catalogue import load_review
from bayespip.effects import EffectSizes
from bayespip.model_data.two_arms import Counts, counts_of, require_counts
from bayespip.reanalysis.cases import Case, cases, pooled_results

SIMULATED = pd.DataFrame(
    {"study": ["a", "b"], "event_e": [1, 0], "n_e": [10, 20], "event_c": [3, 0], "n_c": [11, 22], "arm": ["x", "y"]}
)
PRIORS = p.Priors(p.normal(0, 1), p.half_normal(0.5))


def test_a_table_gives_read_only_whole_numbers() -> None:
    counts = Counts.from_table(SIMULATED, "OR")
    assert (counts.study, counts.k, counts.measure.name) == (("a", "b"), 2, "OR")
    assert counts.event_e.tolist() == [1, 0]
    assert counts.n_c.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        counts.n_e[0] = 3


def test_trials_that_fill_have_no_participants() -> None:
    filled = Counts.from_table(SIMULATED, "RR").filled(4)
    assert filled.study == ("a", "b", "none 1", "none 2")
    assert filled.n_e.tolist() == [10, 20, 0, 0]
    assert filled.event_c.tolist() == [3, 0, 0, 0]
    assert filled.measure.name == "RR"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event_e": [11, 0]}, r"event_e must not exceed n_e; not so for a \(row 1: 11 of 10\)"),
        ({"event_c": [1.5, 0]}, r"event_c must be a whole number \(events are counted\); not so for a \(row 1: 1.5\)"),
        ({"event_c": [-1, 0]}, r"event_c must not be negative; not so for a \(row 1: -1\)"),
        ({"n_e": [10, 0]}, r"a trial must have two arms; not so for b \(row 2: n_e 0, n_c 22\)"),
        ({"n_e": [10, np.nan]}, r"n_e must be a finite number; not so for b \(row 2: nan\)"),
        ({"n_e": [10]}, r"n_e must have one value a trial, shape \(2,\); got \(1,\)"),
        ({"n_e": ["ten", 20]}, "n_e must be numbers: could not convert"),
        ({"study": ["a", "a"]}, "study labels must be unique; repeated: a"),
        ({"study": []}, r"study must name at least one trial; got none \(k = 0\)"),
    ],
)
def test_impossible_counts_are_refused(change: dict[str, list[object]], message: str) -> None:
    columns = {name: SIMULATED[name].tolist() for name in ("study", "event_e", "n_e", "event_c", "n_c")}
    with pytest.raises(ValueError, match=message):
        Counts(**columns | change, measure="OR")


def test_a_table_without_a_column_or_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the columns study, event_e, .*; missing n_c; present: study"):
        Counts.from_table(SIMULATED.drop(columns="n_c"), "OR")
    with pytest.raises(ValueError, match=r"at least one trial; it has no rows \(k = 0\)"):
        Counts.from_table(SIMULATED.iloc[:0], "OR")
    with pytest.raises(ValueError, match="n_e must be positive; not so for b"):
        Counts.from_table(SIMULATED.assign(n_e=[10, 0]), "OR")


@pytest.mark.parametrize(
    ("counts", "priors", "message"),
    [
        (EffectSizes("a", [0.1], [0.2], "OR"), PRIORS, "m needs Counts .events and sizes of both arms.; got EffectSiz"),
        (Counts.from_table(SIMULATED, "RR"), PRIORS, "m is on OR; got counts for RR"),
        (Counts.from_table(SIMULATED, "OR").filled(3), PRIORS, r"must have participants; .* none 1 \(row 3: 0\)"),
        (Counts("a", [0], [9], [0], [8], "OR"), PRIORS, "with and without the event; no participant has it, of 17"),
        (Counts("a", [9], [9], [8], [8], "OR"), PRIORS, "with and without the event; every participant has it, of 17"),
        (
            Counts.from_table(SIMULATED, "OR"),
            p.Priors(p.flat(), p.half_normal(1)),
            "m needs proper priors; got .* on mu",
        ),
    ],
)  # fmt: skip
def test_what_a_binomial_model_cannot_take_is_refused(counts: Counts, priors: p.Priors, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_counts("m", counts, priors, "OR")


def _case(number: int) -> Case:
    review = simulated.simulated()
    found, _ = cases(review.id, pooled_results(review))
    return next(case for case in found if case.label == f"1.{number}")


def test_a_case_gives_all_its_rows_also_those_without_events() -> None:
    counts = counts_of("m", _case(1), "RR")
    assert list(zip(counts.event_e, counts.n_e, counts.event_c, counts.n_c, strict=True)) == simulated.COUNTS
    assert counts.k == _case(1).k + 1


def test_swapped_events_and_repeated_trials_of_a_case() -> None:
    case = _case(1)
    rows = case.analysis.studies.assign(study="One trial")
    settings = replace(case.analysis.settings, swap_events=True)
    counts = counts_of("m", replace(case, analysis=replace(case.analysis, studies=rows, settings=settings)), "RR")
    assert counts.study == ("One trial", "One trial [2]", "One trial [3]", "One trial [4]")
    assert counts.event_e.tolist() == [row[1] - row[0] for row in simulated.COUNTS]


def test_a_case_without_counts_or_of_another_measure_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"1.2 has no counts but study, .*mean_e.*; m needs event_e, n_e, event_c, n_c"
    ):
        counts_of("m", _case(2), "RR")
    with pytest.raises(ValueError, match=r"1.1 is a RR; m is on OR"):
        counts_of("m", _case(1), "OR")
    review = load_review("pip")
    found, _ = cases(review.id, pooled_results(review), review.studies)
    with pytest.raises(ValueError, match="P1 has only its published result; m needs counts of events in both arms"):
        counts_of("m", found[0], "RR")


def test_a_review_file_gives_its_counts(shared_dir: Path) -> None:
    review = read_review(shared_dir / "formats" / "Fleiss1993.rm5")
    found, _ = cases(review.id, pooled_results(review))
    counts = counts_of("m", found[0], "OR")
    assert (counts.k, counts.study[0], counts.event_e[0], counts.n_c[0]) == (7, "MRC-1", 49, 624)
