"""Zip archives: what is wanted is read, nested zips included, and no archive does harm."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from time import perf_counter

import pytest

from bayespip.readers import ReadError, archives


def zipped(members, **how):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **({"compression": zipfile.ZIP_DEFLATED} | how)) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def wanted(data, name="data-rows.csv"):
    return archives.wanted_members(data, "x.zip", lambda kind: kind == name)


def test_only_wanted_members_are_opened():
    broken = bytearray(zipped({"a/article.pdf": b"%PDF" * 100, "a/data-rows.csv": b"Study\n"}))
    broken[45:50] = b"\xff" * 5
    assert wanted(bytes(broken)) == {"a/data-rows.csv": b"Study\n"}
    with pytest.raises(ReadError, match=r"x\.zip, a/article\.pdf: expected a whole member; found"):
        wanted(bytes(broken), "article.pdf")


OUTSIDE = (
    "../data-rows.csv",
    "a/../../data-rows.csv",
    "/etc/data-rows.csv",
    "C:\\data-rows.csv",
    "..\\data-rows.csv",
    "\\\\host\\data-rows.csv",
)


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_leave_the_archive_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReadError, match="expected names of members that stay within the archive"):
        wanted(zipped({name: b"Study\n"}))
    assert list(tmp_path.iterdir()) == []


def test_back_slashes_part_folders():
    assert list(wanted(zipped({"a\\b\\data-rows.csv": b"Study\n"}))) == ["a/b/data-rows.csv"]


def nested(depth, content=b"Study\n"):
    data = zipped({"data-rows.csv": content})
    for _ in range(depth - 1):
        data = zipped({"inner.zip": data})
    return data


def test_zips_nest_a_little():
    assert list(wanted(nested(archives.MAX_DEPTH)).values()) == [b"Study\n"]
    with pytest.raises(ReadError, match="expected zips nested at most 3 deep; found one more"):
        wanted(nested(archives.MAX_DEPTH + 1))


@pytest.fixture(scope="module")
def bomb():
    """100 MB of zeros in 100 kB."""
    data = zipped({"data-rows.csv": bytes(100 * 2**20)})
    assert len(data) < 2**17
    return data


@pytest.mark.parametrize("shape", ["alone", "within", "beside one another", "a zip of zeros"])
def test_bombs_end_at_once_and_in_little_memory(bomb, shape):
    data = {
        "alone": bomb,
        "within": zipped({"inner.zip": bomb}),
        "beside one another": zipped({f"{n}.zip": bomb for n in range(30)}),
        "a zip of zeros": bomb.replace(b"data-rows.csv", b"data-rows.zip"),
    }[shape]
    begin = perf_counter()
    with pytest.raises(ReadError, match=r"expected at most 96 MB.*; found more"):
        wanted(data)
    assert perf_counter() - begin < 2
    tracemalloc.start()
    with pytest.raises(ReadError):
        wanted(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # What is unpacked stands in memory twice while its pieces are joined.
    assert peak < 2.5 * archives.MAX_UNPACKED


def test_members_that_are_large_only_together_are_refused(monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    members = {f"{n}/data-rows.csv": b"x" * 400 for n in range(3)}
    assert len(wanted(zipped(dict(list(members.items())[:2])))) == 2
    with pytest.raises(ReadError, match=r"2/data-rows\.csv: expected at most .* MB when unpacked; found more"):
        wanted(zipped(members))


def test_too_many_members_are_refused_before_their_directory_is_read():
    data = zipped({f"{n}": b"" for n in range(archives.MAX_MEMBERS + 1)})
    with pytest.raises(ReadError, match=r"expected at most 5000 members; found 5001"):
        wanted(data)


def test_a_member_twice_an_encrypted_one_and_an_unknown_method_are_refused():
    twice = zipped({"data-rows.csv": b"a", "data_rows.csv": b"b"}).replace(b"data_rows", b"data-rows")
    with pytest.raises(ReadError, match=r"data-rows\.csv: expected one member of this name; found two"):
        wanted(twice)
    encrypted = bytearray(zipped({"data-rows.csv": b"Study\n"}))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ReadError, match="expected a member without password; found an encrypted one"):
        wanted(bytes(encrypted))
    with pytest.raises(ReadError, match="expected a member stored or deflated; found method 12"):
        wanted(zipped({"data-rows.csv": b"Study\n"}, compression=zipfile.ZIP_BZIP2))


@pytest.mark.parametrize("cut", [4, 30, 60, 120, -30, -5])
def test_a_cut_archive_is_refused(cut):
    with pytest.raises(ReadError):
        wanted(zipped({"data-rows.csv": b"Study,Year\nA,1999\n" * 20})[:cut])
