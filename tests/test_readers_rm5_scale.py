"""RevMan 5 files: large ones in time and memory, and damaged ones in thousands of ways."""

import re
import resource
import time
from collections import Counter

import numpy as np
import pytest
from rm5_files import REAL, real, review, row
from rm5_files import outcome as written

from bayespip.readers import ReadError
from bayespip.readers.rm5 import read_rm5


# Speed is measured in seconds of this process, so that a busy machine does not matter.
def many_analyses(size: int) -> bytes:
    """As dense as 200 analyses in 400 kB."""
    limits = {"EFFECT_SIZE": "-0.5328109589235099", "CI_START": "-1.0232926455840534", "CI_END": "-0.0423292722629664"}
    computed = {**limits, "ESTIMABLE": "YES", "ORDER": "1132", "WEIGHT": "39.777331433068696"}
    rows = "".join(row("CONT", f"STD-{x}", SE="0.20530026260262937", **computed) for x in "ABCAB")
    one = written("CONT", rows, **limits, CHI2="6.330858239203080", TAU2="0.11529132583618297", Z="2.129111684410493")
    copies = size // len(one)
    assert 1500 < len(one) < 2000
    return review(*(one.replace(' NO="1"', f' NO="{i}"', 1) for i in range(1, copies + 1))).encode()


def test_400_kb_with_200_analyses_are_read_within_a_second():
    data = many_analyses(400_000)
    read_rm5(review(written("CONT", row("CONT"))).encode(), "warm-up.rm5")
    start = time.process_time()
    found = read_rm5(data, "many.rm5")
    assert time.process_time() - start < 1
    assert len(found) >= 200


def mutant(data: bytes, random: np.random.Generator) -> bytes:
    """One to three changes of bytes, tags, numbers or lengths."""
    for _ in range(random.integers(1, 4)):
        at, kind = int(random.integers(len(data))), random.integers(6)
        if kind == 0:
            data = data[:at] + random.bytes(random.integers(1, 4)) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + int(random.integers(1, 200)) :]
        elif kind == 2:
            data = data[:at] if random.random() < 0.2 else data[:at] + data[at - 300 : at] + data[at:]
        else:
            pattern = (rb'[A-Z_]+="', rb"</?[A-Z_]+", rb'"[-0-9.E]*"')[kind - 3]
            places = list(re.finditer(pattern, data[at : at + 5000]))
            if places:
                m = places[random.integers(len(places))]
                new = random.choice([b"", b'"x"', b'"-1"', b'"1e400"', b'"NaN"', b"<X", b"</X", b'X="', b"&", b"\0"])
                data = data[: at + m.start()] + new + data[at + m.end() :]
    return data


@pytest.mark.slow
@pytest.mark.parametrize("name", [REAL[0], REAL[3]])
def test_a_mutant_is_read_or_refused_with_a_read_error(name):
    whole = real(name).read_bytes()
    start, end = whole.index(b"<ANALYSES_AND_DATA"), whole.index(b"</ANALYSES_AND_DATA>")
    head, body = whole[:start], whole[start:end][:12_000]
    body = body[: body.rindex(b"</DICH_OUTCOME>" if b"</DICH_OUTCOME>" in body else b"</CONT_OUTCOME>") + 15]
    data = head + body + b"</COMPARISON>" * (b"<COMPARISON" in body) + whole[end:]
    assert read_rm5(data, "part.rm5").analyses
    random = np.random.default_rng(20240301)
    outcomes = Counter()
    for _ in range(1000):
        try:
            read_rm5(mutant(data, random), "mutant.rm5")
            outcomes["read"] += 1
        except ReadError as error:
            outcomes["refused" if error.file == "mutant.rm5" and error.expected else "refused badly"] += 1
    assert set(outcomes) == {"read", "refused"}
    assert min(outcomes["read"], outcomes["refused"]) > 50


@pytest.mark.slow
def test_the_time_grows_with_the_size_and_20_mb_take_less_than_a_gigabyte():
    seconds = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for size in (5_000_000, 20_000_000):
        data = many_analyses(size)
        start = time.process_time()
        found = read_rm5(data, "large.rm5")
        seconds[size] = time.process_time() - start
    assert seconds[20_000_000] < 8 * seconds[5_000_000]  # 4 by size, 16 if it grew with the square
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # in kB
    assert sum(len(a.studies) for a in found) == data.count(b"<CONT_DATA ")
