"""The map of conclusions: cell for cell the conclusion matrix."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from plot_text import misplaced, room
from reanalyses import published, study_data

import bayespip as bp

SIGNS = {"favours PIP": "+", "favours control": "−", "above no effect": "↑", "below no effect": "↓",
         "either side of no effect": "↕", "unclear": "·", "undefined": "?"}  # fmt: skip


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def signs(ax):
    """By row and column, what is written in the cell."""
    rows = list(ax.get_yticks())
    return {(rows.index(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def sign_of(conclusion):
    words, _, members = conclusion.partition(" (")
    return f"({SIGNS[words]})" if members.startswith("some") else SIGNS[words]


def test_every_cell_says_what_the_matrix_says():
    wide = bp.conclusion_matrix(published().table)
    ax = bp.plot_matrix(published().table)
    expected = {(i, j): sign_of(cell) for i, row in enumerate(wide.to_numpy()) for j, cell in enumerate(row) if cell}
    assert signs(ax) == expected
    assert "(+)" in expected.values()
    assert [label.get_text().replace("\n", " ") for label in ax.get_xticklabels()] == list(wide.columns)
    rows = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    assert rows[0] == "P1 Infant attachment: secure, post-intervention, k = 2"
    assert len(ax.patches) == len(expected)


def flipped(table, favours):
    return table.assign(favours=favours)


def test_sides_are_those_of_the_arms_and_arrows_where_none_is_better():
    table = published().table
    assert signs(bp.plot_matrix(flipped(table, "lower")))[0, 1] == "−"
    assert signs(bp.plot_matrix(flipped(table, "not stated")))[0, 1] == "↑"


def test_legend_names_the_arms_and_only_states_that_occur():
    words = [text.get_text() for text in bp.plot_matrix(published().table).get_legend().get_texts()]
    assert "+ favours PIP" in words
    assert "(+) favours PIP, in some members only" in words
    assert not any("undefined" in text for text in words)
    two = published().table.assign(arm_e=lambda t: "PIP of " + t["analysis"])
    words = [text.get_text() for text in bp.plot_matrix(two).get_legend().get_texts()]
    assert "+ favours the experimental arm" in words


def test_states_differ_in_sign_whatever_their_colour():
    from bayespip.plots.matrix import _STATES

    assert len({state.sign for state in _STATES.values()}) == len(_STATES)


def crowded():
    """Forty outcomes, some with names that are hard to place."""
    table = published().table
    copies = []
    for i in range(40):
        copy = table[table["analysis"] == ("P1", "P13")[i % 2]].assign(analysis=f"A{i + 1}")
        if not i % 5:
            copy["outcome"] = "A simulated name that nobody would have thought of, $\\frac$ " * 3 + "x" * 150
        copy["prior"] = copy["prior"].replace("wide", "priors elicited from several invented experts in this field")
        copies.append(copy)
    return pd.concat(copies, ignore_index=True)


@pytest.mark.parametrize("size", [(85, 130), (174, 120), (260, 190), None])
def test_no_text_leaves_the_figure_or_meets_other_text(size):
    for table in (published().table, study_data().table):
        assert misplaced(bp.plot_matrix(table, ax=room(size) if size else None)) == ([], [])


def test_forty_outcomes_with_long_names_fit():
    ax = bp.plot_matrix(crowded())
    assert len(ax.get_yticks()) == 40
    assert misplaced(ax) == ([], [])


def test_too_small_or_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="40 outcomes need"):
        bp.plot_matrix(crowded(), ax=room((174, 120)))
    nothing = published().table.query("analysis == 'N9'")
    with pytest.raises(ValueError, match="results for mu"):
        bp.plot_matrix(nothing)
