"""Bytes to text, marked-up text to names, cells to numbers; and the error of all readers."""

import contextlib
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespip.readers import ReadError, read_review
from bayespip.readers.text import clean, decode, level, number, read_bytes, year_or_none

DECLARED = '<?xml version="1.0" encoding="{}"?>\n<a>Sønju – Müller</a>'


@pytest.mark.parametrize(
    ("declared", "encoding", "noted"),
    [
        ("UTF-8", "utf-8", False),
        ("UTF-8", "utf-8-sig", False),
        ("UTF-16", "utf-16", False),
        ("utf-16", "utf-16-le", False),
        ("utf-16", "utf-16-be", False),
        ("ISO-8859-1", "cp1252", False),
        ("windows-1252", "cp1252", False),
        ("windows-1250", "cp1250", True),
        ("ISO-8859-1", "utf-8", True),
        ("UTF-8", "cp1252", True),
    ],
)
def test_decoding(declared, encoding, noted):
    text = DECLARED.format(declared)
    if declared == "windows-1250":
        text, noted = text.replace("ø", "ő"), False
    found = decode(text.encode(encoding), "x.xml")
    assert found.text == text
    assert bool(found.notes) == noted


def test_bytes_that_windows_1252_lacks_are_iso_8859_1():
    assert decode(b"a\x81b\xe9\x80", "x.csv").text == "a\x81bé€"


@pytest.mark.parametrize("name", ["hex", "idna", "rot13", "unicode_escape", "zip", "utf-9"])
def test_a_declared_encoding_must_be_one_of_text(name):
    with pytest.raises(ReadError, match="encoding of text"):
        decode(f'<?xml version="1.0" encoding="{name}"?><a>é</a>'.encode("latin-1"), "x.xml")


def test_bytes_must_fit_the_encoding_and_hold_no_nul():
    with pytest.raises(ReadError, match="utf-16"):
        decode(b"\xff\xfea", "x.xml")
    with pytest.raises(ReadError, match="line 2, column 3: expected text; found a NUL"):
        decode(b"one\ntw\0o", "x.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data):
    with contextlib.suppress(ReadError):
        assert "\0" not in decode(data, "x").text


def test_only_regular_files_of_some_content_are_read(tmp_path):
    for path, found in ((tmp_path, "a folder"), (tmp_path / "no.rm5", "no such file"), ("/dev/zero", "something else")):
        with pytest.raises(ReadError, match=found):
            read_bytes(path)
    empty = tmp_path / "empty.rm5"
    for content in (b"", b" \r\n\0\0"):
        empty.write_bytes(content)
        with pytest.raises(ReadError, match=r"empty.rm5: expected a review's data; found (nothing|blanks)"):
            read_review(empty)
    with pytest.raises(ReadError):
        read_review("a\0b")


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"Dear colleague,\n", b"study,yi,sei\nA,1,2\n"])
def test_a_file_of_no_known_kind_is_refused(tmp_path, content):
    path = tmp_path / "other.dat"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"other.dat, line 1: expected a RevMan 5 file \(.rm5\), its CSV export, or a"):
        read_review(path)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (None, ""),
        ("  two\n\twords\N{NO-BREAK SPACE}more ", "two words more"),
        ("<B>bold</B><BR/>new <sub>2</sub> <P ALIGN='x'>p</P>", "bold new 2 p"),
        ("p < 0.05 and > 3", "p < 0.05 and > 3"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("&amp;lt;5 &amp; &eacute;&#8211;&#x2013;", "<5 & é––"),
        ("AT&T R&D; &foo;", "AT&T R&D; &foo;"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("שלום \N{RIGHT-TO-LEFT MARK}x", "שלום \N{RIGHT-TO-LEFT MARK}x"),
        ("a\x1b[31mb\x07", "a[31mb"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned


@given(st.text(alphabet=st.sampled_from("ab <>&;/BPltgam#1\n\x0b"), max_size=40))
def test_cleaned_text_holds_no_control_characters_or_double_spaces(text):
    cleaned = clean(text)
    assert "  " not in cleaned
    assert cleaned.isprintable()
    assert clean(f"  {cleaned}\n") == clean(cleaned)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3.0), ("-0.5", -0.5), ("+.5", 0.5), ("5.", 5.0), ("4.171065961856568E-4", 4.171065961856568e-4),
        ("\N{MINUS SIGN}2", -2.0), (" 7 ", 7.0), ("0,5", 0.5), ("12,25", 12.25), ("1,234,567", 1234567.0),
        ("1,234.5", 1234.5), ("1 234", 1234.0), ("1\N{NO-BREAK SPACE}234,5", 1234.5), ("0,123", 0.123),
    ],
)  # fmt: skip
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", [None, "", "  ", "#N/A", "n/a", "NaN", "NA", "-", "–"])
def test_missing_numbers(text):
    assert math.isnan(number(text))


@pytest.mark.parametrize(
    "text", ["x", "1_000", "١٢", "1e999", "inf", "Infinity", "1,234", "1.2.3", "0x10", "3%", "1 2"]
)
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match="number"):
        number(text)


def test_decimal_commas():
    assert number("1.234.567,5", decimal=",") == 1234567.5
    assert number("1,234", decimal=",") == 1.234
    assert number("0.5", decimal=",") == 0.5
    with pytest.raises(ValueError, match="may be a thousand"):
        number("1.234", decimal=",")
    with pytest.raises(ValueError, match="decimal must be"):
        number("1", decimal=";")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_float_is_read_back_exactly(value):
    assert number(repr(value)) == value


def test_levels_and_years():
    assert [level(x) for x in ("95", "99.9%", "90 %")] == [0.95, 0.9990000000000001, 0.9]
    for text in ("0", "100", "", "x"):
        with pytest.raises(ValueError, match=r"level|number"):
            level(text)
    years = ["1700", "2100", "1999.0", " 2001 ", "1699", "2101", "99", "", None, "2001a", "٢٠٠١"]
    assert [year_or_none(x) for x in years] == [1700, 2100, 1999, 2001, *[None] * 7]


def test_the_error_says_where_what_and_what_instead():
    error = ReadError("x.csv", "row 3, column Study", expected="a name", found="a\nb" * 100)
    assert str(error).startswith("x.csv, row 3, column Study: expected a name; found a ba b")
    assert len(error.found) < 100
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own bytes
    assert (str(again), again.place) == (str(error), error.place)
    assert str(ReadError("x.csv", "", expected="a", found=1)) == "x.csv: expected a; found 1."
