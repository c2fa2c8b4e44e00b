"""Every model is calibrated: it has designs, and the ranks of every parameter on them are uniform."""

import re
from pathlib import Path

import pytest

from bayespip.calibration import sbc, sbc_table
from bayespip.calibration.designs import DESIGNS, designs
from bayespip.calibration.ranks import ENGINE
from bayespip.models import available

CASES = [pytest.param(design, k, id=f"{design.label}, k = {k}") for design in DESIGNS for k in design.sizes]


def test_every_model_has_a_design_and_a_page() -> None:
    pages = Path(__file__).parents[1] / "docs" / "models"
    index = (pages / "README.md").read_text(encoding="utf-8")
    for name in available():
        assert designs(name)
        assert (pages / f"{name}.md").is_file()
        assert f"[{name}]({name}.md)" in index
    assert {design.model for design in DESIGNS} == {ENGINE, *available()}
    assert len({design.label for design in DESIGNS}) == len(DESIGNS)


def test_designs_are_simulated_trials_of_the_sizes_asked_for() -> None:
    for design in DESIGNS:
        for k in design.sizes:
            assert all(re.search("simulated", study) for study in design.data(k).study)


def test_an_unknown_model_has_no_design() -> None:
    with pytest.raises(ValueError, match=r"model must be one of exact, normal_normal, .*; got 'none'"):
        designs("none")


@pytest.mark.slow
@pytest.mark.parametrize(("design", "k"), CASES)
def test_ranks_are_uniform(design, k) -> None:
    table = sbc_table(sbc(design.model, design.data(k), design.priors, seed=7, **design.options))
    assert table["inside"].all(), table.to_string()
