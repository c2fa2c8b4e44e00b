"""A sweep that is stopped, and started again: the folder is the same to the byte."""

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from simulated_files import contents, simulated_file

import bayespip as bp
from bayespip.sweeping import folder as folders
from bayespip.sweeping.parts import Part, part
from bayespip.sweeping.running import _Book
from bayespip.sweeping.settings import settings_of
from bayespip.sweeping.sources import sources

WEAK = ["tau HN(0.5), mu flat"]
CHILD = "import sys, bayespip as bp; bp.sweep(sys.argv[2:], sys.argv[1], priors=['tau HN(0.5), mu flat'])"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three simulated reviews, the first twice, and a file that is none."""
    made = tmp_path_factory.mktemp("files")
    three = [simulated_file(made, n) for n in (1, 2, 3)]
    copy, bad = made / "copy.rm5", made / "bad.rm5"
    copy.write_bytes(three[0].read_bytes())
    bad.write_text("no review", encoding="utf-8")
    return [*three, copy, bad]


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """What an undisturbed sweep leaves."""
    out = tmp_path_factory.mktemp("whole")
    bp.sweep(files, out, priors=WEAK)
    return contents(out)


def modified(out):
    return {p.parent.name: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}


def test_the_same_sweep_twice_gives_the_same_bytes_and_computes_nothing(tmp_path, files, whole):
    bp.sweep(files, tmp_path, priors=WEAK)
    assert contents(tmp_path) == whole
    before = modified(tmp_path)
    bp.sweep(files, tmp_path, priors=WEAK)
    assert contents(tmp_path) == whole
    assert modified(tmp_path) == before
    assert json.loads(whole["manifest.json"])["counts"]["reviews"] == 3


@pytest.mark.parametrize("late", [False, True])
def test_stopped_at_any_write_it_goes_on(tmp_path, files, whole, monkeypatch, late):
    """Before a file has its name, or just after: manifest, each part, list of what was skipped, manifest."""
    replace = folders._replace
    stopped = 0
    for at in range(7):
        writes = iter(range(100))

        def stopping(*arguments, at=at, writes=writes):
            if (stops := next(writes) == at) and not late:
                arguments[2].joinpath("half").write_bytes(arguments[1][:10])
                raise KeyboardInterrupt
            replace(*arguments)
            if stops:
                raise KeyboardInterrupt

        out = tmp_path / str(at)
        monkeypatch.setattr(folders, "_replace", stopping)
        try:
            bp.sweep(files, out, priors=WEAK)
        except KeyboardInterrupt:
            stopped += 1
        monkeypatch.setattr(folders, "_replace", replace)
        bp.sweep(files, out, priors=WEAK)
        assert contents(out) == whole, at
    assert stopped == 6


def test_what_a_killed_process_left_is_cleared_away(tmp_path, files, whole):
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "half").write_bytes(b"PAR1")
    (tmp_path / "results" / "review=simulated-0002").mkdir(parents=True)
    (tmp_path / "manifest.json").write_bytes(whole["manifest.json"])
    bp.sweep(files, tmp_path, priors=WEAK)
    assert contents(tmp_path) == whole


def test_a_damaged_part_is_made_again(tmp_path, files, whole):
    bp.sweep(files, tmp_path, priors=WEAK)
    part = tmp_path / "results" / "review=simulated-0002" / "part.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    bp.sweep(files, tmp_path, priors=WEAK)
    assert contents(tmp_path) == whole


def test_a_changed_file_alone_is_pooled_again(tmp_path):
    files = [simulated_file(tmp_path, n) for n in (1, 2)]
    out = tmp_path / "out"
    bp.sweep(files, out, priors=WEAK)
    before = modified(out)
    files[1].write_bytes(simulated_file(tmp_path, 9).read_bytes())
    bp.sweep(files, out, priors=WEAK)
    after = modified(out)
    assert after["review=simulated-0001"] == before["review=simulated-0001"]
    assert after["review=simulated-0002"] != before["review=simulated-0002"]
    bp.sweep(files, tmp_path / "afresh", priors=WEAK)
    assert contents(out) == contents(tmp_path / "afresh")
    # a file that holds no review any more has no result
    files[1].write_text("no review", encoding="utf-8")
    bp.sweep(files, out, priors=WEAK)
    assert list(modified(out)) == ["review=simulated-0001"]


def test_a_new_file_is_added(tmp_path):
    files = [simulated_file(tmp_path, n) for n in (1, 2)]
    out = tmp_path / "out"
    bp.sweep(files[:1], out, priors=WEAK)
    bp.sweep(files, out, priors=WEAK)
    bp.sweep(files, tmp_path / "afresh", priors=WEAK)
    assert contents(out) == contents(tmp_path / "afresh")


def test_other_settings_or_fewer_files_are_refused_by_name(tmp_path, files, monkeypatch):
    bp.sweep(files, tmp_path, priors=WEAK)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"other settings: level 0\.95, not 0\.9; seed 1, not 2\. Give those"):
        bp.sweep(files, tmp_path, priors=WEAK, seed=2, level=0.9)
    with pytest.raises(ValueError, match=r"priors \[.*\], not null"):
        bp.sweep(files, tmp_path)
    with pytest.raises(ValueError, match=r"results of files that are not given now: .*simulated-0003\.rm5\."):
        bp.sweep(files[:2], tmp_path, priors=WEAK)
    assert contents(tmp_path) == before
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"must be the manifest of a sweep; it is not"):
        bp.sweep(files, tmp_path, priors=WEAK)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"has results, but no manifest\.json"):
        bp.sweep(files, tmp_path, priors=WEAK)
    monkeypatch.undo()


def test_given_priors_are_compared_to_the_last_digit(tmp_path, files):
    def given(scale):
        return [bp.Priors(bp.priors.flat(), bp.priors.half_normal(scale), name="mine")]

    bp.sweep(files[:1], tmp_path, priors=given(0.1 + 0.2))
    bp.sweep(files[:1], tmp_path, priors=given(0.1 + 0.2))
    with pytest.raises(ValueError, match=r"0\.30000000000000004.* not .*0\.3\]"):
        bp.sweep(files[:1], tmp_path, priors=given(0.3))


def test_of_two_files_of_one_review_the_first_counts_in_whatever_order_they_are_done(tmp_path):
    files = [tmp_path / f"{name}.rm5" for name in ("first", "second", "third")]
    for n, file in enumerate(files):
        file.write_bytes(simulated_file(tmp_path, n).read_bytes())
    plan = sources(files)
    settings = settings_of(WEAK, None, (), 0.95, 1)
    found = {}
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        folder = folders.begin(tmp_path / "-".join(map(str, order)), settings, plan)
        book = _Book(folder, plan)
        for i in order:
            key = "Same" if i == 1 else "same"
            facts = dict.fromkeys(("title", "doi", "seed"), "") | dict.fromkeys(folders._COUNTED, 0)
            book.settle(i, part(key, [], {**facts, "review": key, "source": plan[i].digest}, []))
        folder.finish(plan, book.keys, book.reasons())
        folder.tidy()
        found[order] = contents(folder.path)
    assert found[2, 1, 0] == found[0, 1, 2] == found[1, 2, 0]
    assert [name for name in found[0, 1, 2] if name.endswith("part.parquet")] == ["results/review=same/part.parquet"]
    rows = found[0, 1, 2]["skipped.csv"].decode().splitlines()
    assert len(rows) == 3
    assert all(f"it is the same review as {files[0]}, by its id" in line for line in rows[1:])


def test_a_file_that_changes_while_the_sweep_runs_is_named(tmp_path):
    first, second = (simulated_file(tmp_path, n) for n in (1, 2))

    def meddle(stage, done, total):
        assert (stage, total) == ("reviews", 2)
        if done == 1:
            second.write_bytes(first.read_bytes() + b" ")

    out = tmp_path / "out"
    bp.sweep([first, second], out, priors=WEAK, progress=meddle)
    assert "changed while the sweep ran" in (out / "skipped.csv").read_text(encoding="utf-8")


def test_a_disk_that_is_full_leaves_nothing_half_written(tmp_path, files, whole):
    """Files are cut at a size that the manifest has and a part has not, as a full disk would."""
    sizes = {name: len(data) for name, data in whole.items() if data is not None}
    limit = min(size for name, size in sizes.items() if name.endswith(".parquet")) - 1
    assert limit > sizes["manifest.json"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        with pytest.raises(OSError, match=r"part\.parquet cannot be written \(File too large\); what is finished"):
            bp.sweep(files, tmp_path, priors=WEAK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert set(contents(tmp_path)) == {"manifest.json", "results"}
    assert {entry["status"] for entry in json.loads((tmp_path / "manifest.json").read_bytes())["files"]} == {"to do"}
    bp.sweep(files, tmp_path, priors=WEAK)
    assert contents(tmp_path) == whole


def test_a_folder_that_cannot_be_written_is_named(tmp_path, files):
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(NotADirectoryError, match="out must be a folder"):
        bp.sweep(files, file, priors=WEAK)
    settings = settings_of(WEAK, None, (), 0.95, 1)
    folder = folders.begin(tmp_path / "out", settings, sources(files))
    (tmp_path / "out" / "results" / "review=one" / "part.parquet").mkdir(parents=True)
    with pytest.raises(OSError, match=r"part\.parquet cannot be written"):
        folder.put(Part("one", b"data"))
    assert not (tmp_path / "out" / ".writing").exists()


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path):
    files = [str(simulated_file(tmp_path, n, outcomes=6)) for n in range(12)]
    out, afresh = tmp_path / "out", tmp_path / "afresh"
    bp.sweep(files, afresh, priors=WEAK)
    moments = iter(((1, 0.0), (4, 0.003), (6, 0.011), (9, 0.02)))  # parts there, and seconds after
    killed = 0
    for least, later in moments:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(out), *files], stdout=subprocess.DEVNULL)
        while child.poll() is None and len(list(out.glob("results/*/part.parquet"))) < least:
            time.sleep(0.001)
        time.sleep(later)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        for file in out.glob("results/*/part.parquet"):
            assert file.read_bytes() == Path(afresh, file.relative_to(out)).read_bytes()
    assert killed >= 3
    assert len(contents(out)) < len(contents(afresh))
    bp.sweep(files, out, priors=WEAK)
    assert contents(out) == contents(afresh)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_reviews(tmp_path):
    files = [str(simulated_file(tmp_path, n, outcomes=1)) for n in range(150)]
    code = (
        "import resource, sys, bayespip as bp\n"
        "from bayespip.review import Review\n"
        "import gc\n"
        "used = []\n"
        "def note(stage, done, total):\n"
        "    if done in (30, 150):\n"
        "        used.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,\n"
        "                     sum(isinstance(x, Review) for x in gc.get_objects())))\n"
        "bp.sweep(sys.argv[2:], sys.argv[1], priors=['tau HN(0.5), mu flat'], progress=note)\n"
        "print(*(x for pair in used[:2] for x in pair))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out"), *files], capture_output=True, text=True, check=True
    )
    early, some, late, many = map(float, done.stdout.split())
    assert many <= some <= 2
    assert late - early < 2  # MB for 120 reviews; it is 3.5 where each stays in memory once read, and 0.3 here
