"""The forest plot of one outcome, read from its Axes."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from plot_text import SIZES, misplaced, room, simulated
from reanalyses import TWO

import bayespip as bp
from bayespip import priors
from bayespip.measures import MEASURES
from bayespip.plots.comparison import BOUNDS
from bayespip.plots.forest_columns import columns
from bayespip.plots.forest_rows import forest
from bayespip.plots.style import BLUE, PAGE, PALE

WEAK = bp.Priors(priors.flat(), priors.half_normal(0.5), name="HN(0.5)")
LONG = bp.Priors(
    priors.normal(0, 2.82), priors.half_cauchy(0.5), name="elicited from eleven experts in the field, HC(0.5)"
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fits(effects):
    frequentist = [bp.frequentist_fit(effects, "common", "Wald"), bp.frequentist_fit(effects, "REML", "HKSJ")]
    return [*frequentist, bp.exact_fit(effects, WEAK), bp.exact_fit(effects, LONG)]


def analysis(effects, **more):
    """Simulated counts of the arms; they are shown as they are, and pooled nowhere."""
    k = effects.k
    studies = pd.DataFrame({"study": effects.study, "event_e": np.arange(k), "n_e": 40 + np.arange(k)})
    studies = studies.assign(event_c=np.arange(k) + 3, n_c=41)
    named = {"comparison": "PIP versus control", "outcome": "Simulated outcome", "favours": "lower"} | more
    return bp.Analysis(id="1.1", timepoint="follow-up", measure=MEASURES["RR"], studies=studies, **named)


def bias(effects):
    judged = {"random_sequence_generation": "low", "blinding": "Unclear risk", "other_bias": "high"}
    return pd.DataFrame({"study": effects.study} | {name: [text] * effects.k for name, text in judged.items()})


def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


@cache
def table():
    """Two published results under two priors, with bounds invented half as wide again as the intervals."""
    ids = ["P1", "P7", "N9"]
    found = bp.reanalyse(bp.load_review("pip"), TWO, analyses=ids, with_bounds=False, with_pymc=False).table
    middle, half = (found["lower_model"] + found["upper_model"]) / 2, (found["upper_model"] - found["lower_model"]) / 2
    fitted = found["method"] != "published"
    invented = {"lower_min": np.exp(middle - 1.5 * half), "upper_max": np.exp(middle + 1.5 * half)}
    return found.assign(**{name: values.where(fitted) for name, values in invented.items()})


def texts(ax):
    return [text.get_text() for text in ax.texts]


def segments(ax):
    return [path for lines in ax.collections for path in lines.get_segments() if len(path)]


def has_segment(ax, y, low, high):
    return any(np.allclose(s[:, 1], y) and np.allclose(s[:, 0], [low, high], rtol=1e-9) for s in segments(ax))


@pytest.mark.parametrize(("k", "size"), [(2, None), (2, SIZES[0]), (8, SIZES[2]), (8, SIZES[1]), (40, None)])
def test_no_text_is_clipped_or_meets_other_text(k, size):
    effects = simulated(k, long=k < 40 or size is None, extreme=True)
    its = analysis(effects, comparison="Parent-infant psychotherapy at home versus control or waiting list")
    ax = bp.plot_forest(fits(effects), analysis=its, risk_of_bias=bias(effects), ax=room(size) if size else None)
    assert misplaced(ax) == ([], [])


def test_low_axes_are_refused_with_what_the_rows_need():
    its = fits(simulated(40))
    with pytest.raises(ValueError, match=r"44 rows need \d+ mm beside the text; it leaves \d+"):
        bp.plot_forest(its, ax=room((174, 100)))


def test_studies_and_every_result_have_a_row_in_order():
    effects = simulated(3)
    ax = bp.plot_forest(fits(effects))
    found = ["Simulated 1", "Simulated 2", "Simulated 3", "common effect, Wald", "REML, HKSJ", "HN(0.5)"]
    assert labels(ax)[:-1] == found
    assert "".join(labels(ax)[-1].split()) == "".join(LONG.name.split())
    assert list(ax.get_yticks()) == sorted(ax.get_yticks())


def test_estimates_shrunken_ones_and_intervals_stand_where_the_fits_have_them():
    effects = simulated(3)
    its = fits(effects)
    ax = bp.plot_forest(its)
    assert ax.get_xscale() == "log"
    squares = [line for line in ax.lines if line.get_marker() == "s"]
    assert_allclose([line.get_xdata()[0] for line in squares], np.exp(effects.yi), rtol=1e-12)
    circles = [line for line in ax.lines if line.get_marker() == "o" and line.get_markeredgecolor() == BLUE]
    assert_allclose([line.get_xdata()[0] for line in circles], [np.exp(m.point) for m in its[2].theta.values()])
    left, right = ax.get_xlim()
    for y, fit in zip(ax.get_yticks()[3:], its, strict=True):
        for interval in (fit.mu, fit.theta_new):
            if np.isfinite(interval.lower):
                assert has_segment(ax, y, max(np.exp(interval.lower), left), min(np.exp(interval.upper), right))


def test_cut_intervals_end_in_arrowheads():
    effects = simulated(2)
    ax = bp.plot_forest(fits(effects))
    reml = bp.frequentist_fit(effects, "REML", "HKSJ").mu
    left, right = ax.get_xlim()
    assert np.exp(reml.lower) < left < right < np.exp(reml.upper)
    for marker, edge in (("<", left), (">", right)):
        heads = [line for line in ax.lines if line.get_marker() == marker]
        assert any(line.get_xdata()[0] == edge and line.get_ydata()[0] == ax.get_yticks()[3] for line in heads)


def test_weights_arms_and_numbers_are_in_print():
    effects = simulated(3)
    reml = bp.frequentist_fit(effects, "REML", "HKSJ")
    ax = bp.plot_forest(fits(effects), analysis=analysis(effects))
    found = texts(ax)
    assert {f"{100 * w:.1f}%" for w in reml.weights} <= set(found)
    assert {"PIP", "control", "0/40", "1/41", "3/41", "5/41"} <= set(found)
    mu = reml.mu
    assert f"{np.exp(mu.point):.2f} ({np.exp(mu.lower):.2f}, {np.exp(mu.upper):.2f})" in found
    assert any("Weights and squares: REML, HKSJ." in text for text in found)
    sizes = [line.get_markersize() ** 2 for line in ax.lines if line.get_marker() == "s"]
    assert_allclose(np.divide(sizes, max(sizes)), reml.weights / reml.weights.max(), rtol=1e-12)


def test_the_sides_are_named_as_the_analysis_says():
    effects = simulated(2)
    lower = analysis(effects)
    assert {"← favours PIP", "favours control →"} <= set(texts(bp.plot_forest(fits(effects), analysis=lower)))
    higher = analysis(effects, favours="higher")
    assert {"← favours control", "favours PIP →"} <= set(texts(bp.plot_forest(fits(effects), analysis=higher)))
    silent = texts(bp.plot_forest(fits(effects), analysis=analysis(effects, favours=None)))
    assert not any("favours" in text for text in silent)


def test_risk_of_bias_has_a_symbol_a_domain_and_study_and_is_explained():
    effects = simulated(3)
    ax = bp.plot_forest(fits(effects), risk_of_bias=bias(effects))
    found = texts(ax)
    assert [found.count(symbol) for symbol in "+?−"] == [3, 3, 3]
    note = " ".join(" ".join(found).split())
    assert "A random sequence generation; B blinding; C other bias; + low risk, ? unclear risk, − high risk." in note


def test_columns_without_room_are_left_out_in_order():
    effects = simulated(3)
    its = forest(fits(effects), analysis(effects), None, bias(effects))
    names = [[c.head[0].split(" (")[0] for c in (*one.left, *one.right)] + list(one.domains) for one in
             (columns(its, width) for width in (PAGE, 330, 220))]  # fmt: skip
    assert names[0] == ["PIP", "control", "RR", "Weight", "New study,", "A", "B", "C"]
    assert "New study," not in names[1]
    assert names[2] == ["RR"]


def test_published_results_only_show_bounds_and_every_number_of_studies():
    its, review = table(), bp.load_review("pip")
    ax = bp.plot_forest(its[its["analysis"] == "P7"], analysis=review["P7"])
    assert labels(ax)[0] == "published"
    assert {"if k = 1", "if k = 2"} <= set(texts(ax))
    assert BOUNDS in [text.get_text() for text in ax.get_legend().get_texts()]
    rows = its[(its["analysis"] == "P7") & (its["parameter"] == "mu") & (its["prior"] == "weak")]
    left, right = ax.get_xlim()
    pale = [s for c in ax.collections for s in c.get_segments() if to_hex(c.get_color()[0]) == PALE]
    for low, high in zip(rows["lower_min"], rows["upper_max"], strict=True):
        assert any(np.allclose(s[:, 0], [max(low, left), min(high, right)], rtol=1e-9) for s in pale if len(s))
    assert misplaced(ax) == ([], [])


def test_a_published_result_heads_the_fits():
    coaching = bp.load_review("coaching")
    its = next(iter(coaching))
    effects = bp.effect_sizes(its.rows(), its.measure)
    reported = bp.Reported(measure="MD", estimate="7.9", ci_lower="-0.2", ci_upper="16.0", k=8)
    with_result = bp.Analysis(
        id="1", comparison="", outcome="score", timepoint="", measure=reported.measure, reported=reported
    )
    weak = bp.Priors(priors.normal(0, 50), priors.half_normal(10), name="weak")
    ax = bp.plot_forest([bp.exact_fit(effects, weak)], analysis=with_result)
    assert labels(ax)[effects.k :] == ["published", "weak"]
    assert "7.90 (−0.20, 16.00)" in texts(ax)
    assert ax.get_xscale() == "linear"


def test_what_cannot_be_one_forest_is_refused_by_name():
    one, other = simulated(2), simulated(3)
    with pytest.raises(ValueError, match="same studies; got Simulated 1, Simulated 2; Simulated 1"):
        bp.plot_forest([bp.frequentist_fit(one), bp.frequentist_fit(other)])
    with pytest.raises(ValueError, match="one analysis; got P1, P7"):
        bp.plot_forest(table().query("analysis in ('P1', 'P7')"))
    with pytest.raises(ValueError, match="missing: prior, parameter"):
        bp.plot_forest(bp.compare(bp.frequentist_fit(one)).drop(columns=["prior", "parameter"]))
    with pytest.raises(ValueError, match="a table; got none"):
        bp.plot_forest([])
    silent = table().query("analysis == 'N9'")
    with pytest.raises(ValueError, match="must hold a result to draw"):
        bp.plot_forest(silent)


def test_a_name_with_dollars_is_text():
    effects = bp.EffectSizes(["$\\frac$ & <script>"], [0.1], [0.2], "RR")
    proper = bp.Priors(priors.normal(0, 1), priors.half_normal(0.5), name="$x_1$")
    ax = bp.plot_forest([bp.exact_fit(effects, proper)])
    assert labels(ax) == ["$\\frac$ & <script>", "$x_1$"]
    assert misplaced(ax) == ([], [])
