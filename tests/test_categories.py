"""Categories: what may be counted, and several analyses of one review as one outcome."""

import numpy as np
import pandas as pd
import pytest
from simulated import rows

from bayespip.measures import MEASURES
from bayespip.model_data.categories import Categories, categories_in
from bayespip.models import load
from bayespip.reanalysis.cases import cases
from bayespip.review import Analysis
from bayespip.settings import Settings

NAMES = ("secure", "avoidant", "disorganised")
# Simulated.
E, C = [[20, 6, 4], [11, 3, 9]], [[15, 8, 9], [10, 2, 10]]
STUDIES = ("Trial A 2001", "Trial B 2002")


def _categories(e=E, c=C, names=NAMES, reference="secure", **options):
    return Categories(STUDIES, e, c, names, reference, **options)


def test_the_reference_comes_first() -> None:
    found = _categories(reference="disorganised")
    assert found.categories == ("disorganised", "secure", "avoidant")
    assert found.contrasts == ("secure vs disorganised", "avoidant vs disorganised")
    assert found.counts_e.tolist() == [[4, 20, 6], [9, 11, 3]]
    assert found.n_c.tolist() == [32, 22]
    assert found.measure == MEASURES["OR"]
    with pytest.raises(ValueError, match="read-only"):
        found.counts_e[0, 0] = 1


def test_the_population_is_that_of_the_control_arms_or_given() -> None:
    pooled = _categories()
    assert pooled.control_source == "pooled control arms"
    np.testing.assert_allclose(pooled.control, np.array([25, 10, 19]) / 54, rtol=1e-15)
    given = _categories(control={"avoidant": 0.2, "secure": 0.5, "disorganised": 0.3})
    assert given.control_source == "given"
    np.testing.assert_allclose(given.control, [0.5, 0.2, 0.3], rtol=1e-15)
    for like in (pooled.filled(4), pooled.with_counts(C, E)):
        assert like.control_source == "pooled control arms"
        np.testing.assert_allclose(like.control, pooled.control, rtol=1e-14)
    assert pooled.filled(4).n_e.tolist() == [30, 23, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"e": [[20, 6, 4]]}, r"counts_e must have a row a trial and a column a category, shape \(2, 3\); got \(1, "),
        ({"e": [[20, 6, -4], [1, 1, 1]]}, r"counts_e of disorganised must be .* from 0; not so .* 2001 \(row 1: -4\)"),
        ({"e": [[20, 6.5, 4], [1, 1, 1]]}, r"counts_e of avoidant must be a whole number .* 2001 \(row 1: 6.5\)"),
        ({"e": [[20, np.nan, 4], [1, 1, 1]]}, r"counts_e of avoidant must be a whole .* 2001 \(row 1: nan\)"),
        ({"e": "many"}, "counts_e must be numbers"),
        ({"e": [[0, 0, 0], [1, 1, 1]]}, r"must have two arms; not so for Trial A 2001 \(row 1: n_e 0, n_c 32\)"),
        ({"c": [[0, 0, 0], [0, 0, 0]]}, "counts_c must have participants in at least one trial"),
        ({"names": ("secure", "avoidant", "secure")}, "categories must be two or more different names"),
        ({"reference": "insecure"}, "reference must be one of secure, avoidant, disorganised; got 'insecure'"),
        ({"control": {"secure": 1}}, "control must have a proportion of each of secure, avoidant, disorganised"),
        ({"control": dict(zip(NAMES, [0.6, 0.5, -0.1], strict=True))}, r"from 0 to 1; not so for disorganised"),
        ({"control": dict(zip(NAMES, [0.6, 0.2, 0.1], strict=True))}, "control must add up to 1; got 0.9"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _categories(**change)


def _long() -> pd.DataFrame:
    at = [(s, a, n, x) for a, arm in (("e", E), ("c", C)) for s, row in zip(STUDIES, arm, strict=True)
          for n, x in zip(NAMES, row, strict=True)]  # fmt: skip
    return pd.DataFrame(at, columns=["study", "arm", "category", "count"])


def test_a_long_table_in_any_order() -> None:
    found = Categories.from_table(_long().sample(frac=1, random_state=1), "secure")
    order = [found.categories.index(name) for name in NAMES]
    at = [found.study.index(study) for study in STUDIES]
    assert found.counts_e[at][:, order].tolist() == E
    assert found.counts_c[at][:, order].tolist() == C


def test_a_long_table_must_be_complete() -> None:
    with pytest.raises(ValueError, match="not at all: Trial A 2001, e, avoidant"):
        Categories.from_table(_long().drop(1), "secure")
    with pytest.raises(ValueError, match="more than once: Trial A 2001, e, secure"):
        Categories.from_table(pd.concat([_long(), _long()[:1]]), "secure")
    with pytest.raises(ValueError, match="arm must be e or c; not so for Trial A 2001"):
        Categories.from_table(_long().replace({"arm": {"e": "PIP"}}), "secure")
    with pytest.raises(ValueError, match="missing category"):
        Categories.from_table(_long().drop(columns="category"), "secure")


def _analysis(number: int, name: str, events: list[tuple[int, int, int, int]], *, swap: bool = False) -> Analysis:
    settings = Settings(
        data_type="dichotomous", method="IV", model="random", effect_label="Risk Ratio", swap_events=swap
    )
    return Analysis(
        id=f"1.{number}", comparison="Programme versus control", outcome=f"Attachment: {name}", timepoint="",
        measure=MEASURES["RR"], studies=rows("dichotomous", events), settings=settings,
    )  # fmt: skip


def _analyses(e=E, c=C) -> dict[str, Analysis]:
    sizes = [(sum(a), sum(b)) for a, b in zip(E, C, strict=True)]
    return {
        name: _analysis(j, name, [(a[j], m, b[j], n) for a, b, (m, n) in zip(e, c, sizes, strict=True)])
        for j, name in enumerate(NAMES)
    }


def test_several_analyses_are_one_outcome() -> None:
    found = Categories.from_analyses(_analyses(), "secure")
    assert found.study == STUDIES
    assert found.counts_e.tolist() == E
    assert found.counts_c.tolist() == C


def test_swapped_events_are_those_of_the_result() -> None:
    swapped = _analyses() | {"secure": _analysis(0, "not secure", [(10, 30, 17, 32), (12, 23, 12, 22)], swap=True)}
    assert Categories.from_analyses(swapped, "secure").counts_e.tolist() == E


def test_categories_that_overlap_or_leave_someone_out() -> None:
    more = [[20, 7, 4], [11, 3, 9]]
    with pytest.raises(ValueError, match=r"must not overlap.*not so for Trial A 2001 \(row 1: 31 of 30\)"):
        Categories.from_analyses(_analyses(more), "secure")
    fewer = [[18, 6, 4], [11, 3, 9]]
    with pytest.raises(ValueError, match=r"arm e must add up to its size, unless other.*\(row 1: 28 of 30\)"):
        Categories.from_analyses(_analyses(fewer), "secure")
    found = Categories.from_analyses(_analyses(fewer), "secure", other="unclassified")
    assert found.categories == (*NAMES, "unclassified")
    assert found.counts_e[:, 3].tolist() == [2, 0]
    other_size = _analyses() | {"secure": _analysis(0, "secure", [(20, 31, 15, 32), (11, 23, 10, 22)])}
    with pytest.raises(ValueError, match=r"same trials with the same sizes; secure has Trial A 2001 \(31 and 32\)"):
        Categories.from_analyses(other_size, "secure")
    with pytest.raises(ValueError, match="two categories or more; got secure"):
        Categories.from_analyses({"secure": _analyses()["secure"]}, "secure")


def test_an_analysis_of_means_has_no_categories() -> None:
    settings = Settings(data_type="continuous", method="IV", model="random", effect_label="Mean Difference")
    means = Analysis(
        id="1.9", comparison="", outcome="Score", timepoint="", measure=MEASURES["MD"], settings=settings,
        studies=rows("continuous", [(1, 1, 30, 2, 1, 32), (1, 1, 23, 2, 1, 22)]),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"1\.9 has no counts"):
        Categories.from_analyses(_analyses() | {"secure": means}, "avoidant")


def test_the_categories_of_a_review_are_found() -> None:
    alone = _analysis(7, "feeding", [(2, 31, 1, 32), (4, 23, 2, 22)])
    todo, _ = cases("simulated", [*_analyses().values(), alone])
    found = categories_in(todo)
    assert list(found) == [("1.0", "1.1", "1.2")]
    left = load("attachment").data_of_cases(todo).left
    assert left["1.1"].startswith("1.0, 1.1, 1.2 are the categories of one outcome")
    assert left["1.7"].startswith("1.7 is not one of several analyses whose events")
    whole = found["1.0", "1.1", "1.2"]
    assert whole.categories == tuple(f"Attachment: {name}" for name in NAMES)
    assert whole.counts_e.tolist() == E
