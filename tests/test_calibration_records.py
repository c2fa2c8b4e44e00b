"""The record of calibration: written as it is made, whole, and what the models' pages show."""

from pathlib import Path

import pandas as pd
import pytest

from bayespip.calibration import records
from bayespip.calibration.designs import DESIGNS, designs
from bayespip.calibration.pages import BEGIN, END, block, write_pages
from bayespip.calibration.ranks import ENGINE
from bayespip.calibration.records import FILE, calibrate, figure_name, on_record, record
from bayespip.models import available

PAGES = Path(__file__).parents[1] / "docs" / "models"


def test_what_is_done_is_written_although_the_rest_is_stopped(tmp_path: Path) -> None:
    def stop(_: str, done: int, total: int) -> None:
        assert total == 2
        if done == 1:
            raise KeyboardInterrupt

    design = designs("normal_normal")[:1]
    with pytest.raises(KeyboardInterrupt):
        calibrate(design, replicates=4, folder=tmp_path, report=stop)
    written = pd.read_csv(tmp_path / FILE)
    assert set(written["k"]) == {2}
    assert (tmp_path / figure_name("normal_normal", 2)).read_text(encoding="utf-8").count("<svg") == 1
    # a run of one size replaces its own rows, and only these
    again = calibrate(design, sizes=[2], replicates=5, seed=1, folder=tmp_path)
    calibrate(design, sizes=[3], replicates=4, folder=tmp_path)
    written = pd.read_csv(tmp_path / FILE)
    assert written.groupby("k")["replicates"].unique().map(list).to_dict() == {2: [5], 3: [4]}
    pd.testing.assert_frame_equal(written[written["k"] == 2], again, rtol=1e-5, check_dtype=False)


def test_every_design_is_on_record_and_inside() -> None:
    table = record()
    expected = [(design.model, design.label, k) for design in DESIGNS for k in design.sizes]
    assert sorted(set(zip(table["model"], table["design"], table["k"], strict=True))) == sorted(expected)
    assert set(table["replicates"]) == {200}
    assert table["inside"].all()
    for name in available():
        its = table[table["model"] == name]
        assert on_record(name).endswith(f": {len(its)} of {len(its)} parameters inside their 99.9% bands")


def test_a_model_without_a_record_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "record", lambda: record().iloc[:0])
    assert on_record.__wrapped__("network").startswith("not on record; `bayespip sbc network` runs it")


@pytest.mark.parametrize("name", [ENGINE, *available()])
def test_the_page_shows_the_record(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert block(name) in text
    for design in designs(name):
        for k in design.sizes:
            assert (PAGES / "calibration" / figure_name(design.label, k)).is_file()


def test_no_figure_is_left_over() -> None:
    expected = {figure_name(design.label, k) for design in DESIGNS for k in design.sizes}
    assert {path.name for path in (PAGES / "calibration").iterdir()} == expected


def test_pages_are_written_between_their_marks(tmp_path: Path) -> None:
    for name in (ENGINE, *available()):
        (tmp_path / f"{name}.md").write_text(f"before\n{BEGIN}\nstale\n{END}\nafter\n", encoding="utf-8")
    write_pages(tmp_path)
    assert (tmp_path / "network.md").read_text(encoding="utf-8") == f"before\n{block('network')}\nafter\n"
    (tmp_path / "network.md").write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match=r"network\.md must have the lines"):
        write_pages(tmp_path)
