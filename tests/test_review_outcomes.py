"""A review's outcomes in sets that share no trial."""

from functools import cache

import numpy as np
import pytest

from bayespip import load_review
from bayespip.model_data.review_outcomes import MEMBERS, outcomes_of, over_members
from bayespip.models import load
from bayespip.priors import Priors, half_normal, normal
from bayespip.reanalysis.cases import Case, cases, pooled_results


@cache
def of_review(name: str) -> tuple[Case, ...]:
    review = load_review(name)
    return cases(review.id, pooled_results(review), review.studies)[0]


def test_the_bundled_review_in_sets() -> None:
    found = load("pooled_tau").data_of_cases(of_review("pip"))
    assert [some.outcome for some in found.data] == [
        ("P1", "P5", "P9", "P19"),
        ("P2", "P6", "P10", "P19"),
        ("P3", "P7-k1", "P11", "P19"),
        ("P4", "P7-k2", "P12", "P19"),
        ("P1", "P8", "P9", "P19"),
        ("P13", "P14", "P16", "P17-k1"),
        ("P14", "P15", "P16", "P17-k2"),
        ("P14", "P16", "P17-k1", "P18"),
    ]
    assert found.left == {}
    assert {label for some in found.data for label in some.outcome} == {case.label for case in of_review("pip")}
    for some in found.data:
        some.require_apart("pooled_tau")
    members, apart = found.data[0].assumptions
    assert members.startswith("Of P1, P5, P9, P19 only pooled results were published; these are the members called")
    assert apart == "Taken to share no trials, though it was not published which ones P1, P5, P19 pool."


def test_of_categories_of_one_outcome_one_enters_a_set() -> None:
    some = [case for case in of_review("pip") if case.label in ("P1", "P2", "P3", "P4", "P19")]
    assert [s.outcome for s in outcomes_of(some).data] == [(f"P{i}", "P19") for i in (1, 2, 3, 4)]


def test_outcomes_with_too_many_trials_to_be_apart_are_not_in_one_set() -> None:
    # P13 and P18 pool four trials each, of six that compare with control
    pair = [case for case in of_review("pip") if case.label in ("P13", "P18")]
    found = outcomes_of(pair)
    assert found.data == ()
    assert set(found.left.values()) == {
        "every other outcome on the scale SMD shares trials with it: there is none to learn its tau from."
    }


def test_blocks_of_the_user_are_kept_apart() -> None:
    some = [case for case in of_review("pip") if case.label in ("P1", "P9", "P19")]
    assert [s.outcome for s in outcomes_of(some).data] == [("P1", "P9", "P19")]
    assert [s.outcome for s in outcomes_of(some, blocks=[["P1", "P9"]]).data] == [("P1", "P19"), ("P9", "P19")]
    with pytest.raises(ValueError, match="blocks must be of cases among P1, P9, P19; got P2"):
        outcomes_of(some, blocks=[["P1", "P2"]])


def test_a_single_outcome_and_one_in_a_unit_of_its_own_are_left() -> None:
    assert list(outcomes_of(of_review("bcg")).left.values()) == [
        "no other outcome is on the scale log RR: there is none to learn its tau from."
    ]
    (reason,) = outcomes_of(of_review("coaching")).left.values()
    assert "tau of different outcomes cannot be compared" in reason


def test_members_give_back_the_published_result_and_differ_in_heterogeneity() -> None:
    some = [case for case in of_review("pip") if case.label in ("P2", "P9", "P19")]
    sets = {member: outcomes_of(some, member=member).data[0] for member in MEMBERS}
    for case in some:
        spread = []
        for data in sets.values():
            effects = data.select(case.label)
            w = 1 / effects.vi
            q = float((w * (effects.yi - (w * effects.yi).sum() / w.sum()) ** 2).sum())
            tau2 = max(0.0, (q - (effects.k - 1)) / (w.sum() - (w**2).sum() / w.sum()))
            w = 1 / (effects.vi + tau2)
            np.testing.assert_allclose((w * effects.yi).sum() / w.sum(), case.family.printed.centre[0], rtol=1e-9)
            np.testing.assert_allclose(w.sum() ** -0.5, case.family.printed.centre[1], rtol=1e-9)
            spread.append(tau2)
        equal, least, most = spread
        assert least <= equal < most
    with pytest.raises(ValueError, match=r"member must be one of equal variances, .*; got 'any'"):
        outcomes_of(some, member="any")


@pytest.mark.slow
def test_the_table_over_members() -> None:
    some = [case for case in of_review("pip") if case.label in ("P1", "P2", "P9", "P19")]
    table = over_members(some, Priors(normal(0, 2.82), half_normal(0.5)), seed=1)
    assert len(table) == 4 * len(MEMBERS) * 3
    tau = table[table["parameter"] == "tau"].set_index(["analysis", "member"])["point"]
    assert (tau.xs("most heterogeneous", level=1) > tau.xs("least heterogeneous", level=1)).all()
