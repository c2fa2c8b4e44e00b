"""XML that means harm, or is no XML: refused fast, in bounded memory, and with a place."""

import resource
import time

import pytest

from bayespip.readers import ReadError, read_review
from bayespip.readers.text import MAX_BYTES, Decoded, decode
from bayespip.readers.xml_tree import parse_xml, text_of

# Seconds for any refusal, and bytes beyond what the test itself held at its peak.
TIME, MEMORY = 2.0, 800 * 2**20

LAUGHS = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(10))
HARMFUL = {
    "entity bomb": f'<!DOCTYPE r [<!ENTITY a0 "ha">{LAUGHS}]><COCHRANE_REVIEW>&a9;</COCHRANE_REVIEW>',
    "entity bomb in an attribute": f'<!DOCTYPE r [<!ENTITY a0 "ha">{LAUGHS}]><COCHRANE_REVIEW DOI="&a9;"/>',
    "external entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><COCHRANE_REVIEW>&x;</COCHRANE_REVIEW>',
    "parameter entity": '<!DOCTYPE r [<!ENTITY % x SYSTEM "file:///etc/hostname"> %x;]><COCHRANE_REVIEW/>',
    "late declaration": '<!DOCTYPE r><COCHRANE_REVIEW/><!ENTITY x "y">',
    "deep nesting": "<COCHRANE_REVIEW>" + "<P>" * 10**5 + "</P>" * 10**5 + "</COCHRANE_REVIEW>",
    "deep nesting, not closed": "<P>" * 10**6,
    "NUL": "<COCHRANE_REVIEW>\n<TITLE>a\0b</TITLE></COCHRANE_REVIEW>",
    "huge attribute": f'<COCHRANE_REVIEW DOI="{"x" * 30_000_000}"/>',
    "huge text": f"<COCHRANE_REVIEW>{'x' * 30_000_000}</COCHRANE_REVIEW>",
    "many attributes": f"<COCHRANE_REVIEW {' '.join(f'a{i}=""' for i in range(10**6))}/>",
    "many elements": "<COCHRANE_REVIEW>" + "<P/>" * 7_000_000,
    "many stray characters": "<COCHRANE_REVIEW>" + "<" * 450_000 + "&" * 450_000,
    "many names with a stray character": "<COCHRANE_REVIEW>" + "<NAME>a & b</NAME>" * 100_000,
    "many open comments": "<COCHRANE_REVIEW>" + "<!-- " * 350_000,
    "many open CDATA": "<COCHRANE_REVIEW>" + "<![CDATA[" * 200_000,
    "many document types": "<!DOCTYPE " * 3_000_000,
    "many entities": "<COCHRANE_REVIEW>" + "&nbsp;" * 4_000_000,
    "spaces": "<COCHRANE_REVIEW" + " " * 30_000_000,
    "open quotes": "<COCHRANE_REVIEW>" + '<P A="' * 300_000,
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_xml_is_refused_fast_and_small(kind):
    decoded_bytes = HARMFUL[kind].encode()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start = time.perf_counter()
    with pytest.raises(ReadError):
        parse_xml(decode(decoded_bytes, "x.rm5"), "x.rm5")
    assert time.perf_counter() - start < TIME
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY


def test_a_file_of_a_gigabyte_is_not_read_in(tmp_path):
    path = tmp_path / "huge.rm5"
    with path.open("wb") as file:
        file.write(b'<COCHRANE_REVIEW DOI="')
        file.truncate(2**30)
    start = time.perf_counter()
    with pytest.raises(ReadError, match=f"at most {MAX_BYTES // 2**20} MB"):
        read_review(path)
    assert time.perf_counter() - start < TIME


def test_an_external_document_type_is_not_fetched_and_its_entities_are_text():
    text = '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/r.dtd">\n<COCHRANE_REVIEW><TITLE>&secret;</TITLE></COCHRANE_REVIEW>'
    root, notes = parse_xml(Decoded(text), "x.rm5")
    assert text_of(root[0]) == "&secret;"
    assert any("not well formed" in n for n in notes)
    assert root.sourceline == 2


@pytest.mark.parametrize("cut", [30, 100, 150, 190])
def test_truncated_files_are_refused_with_line_and_column(cut):
    text = '<?xml version="1.0"?>\n<COCHRANE_REVIEW>\n<COVER_SHEET>\n<TITLE>Exercise</TITLE>\n</COVER_SHEET>\n'
    text += "<STUDIES>\n" + '<STUDY ID="STD-A" NAME="A" YEAR="2001"/>\n' * 3 + "</STUDIES>\n</COCHRANE_REVIEW>\n"
    with pytest.raises(ReadError, match=r"x.rm5, line \d+, column \d+: expected well-formed XML"):
        parse_xml(Decoded(text[:cut]), "x.rm5")


def test_control_characters_and_forbidden_references_become_spaces():
    root, notes = parse_xml(Decoded("<a><b>one\x0btwo&#11;three&#xD800;four&#233;&#XE9;</b></a>"), "x.rm5")
    assert text_of(root[0]) == "one two three fouréé"
    assert len(notes) == 2


def test_text_of_nested_elements():
    root, notes = parse_xml(Decoded("<a>one <B>two</B><!-- no -->three<BR/>four<P>five</P><?no?>six</a>"), "x.rm5")
    assert text_of(root) == "one twothree four five six"
    assert text_of(None) == ""
    assert notes == ()


def test_what_cannot_be_repaired_safely_is_refused_at_the_first_error():
    with pytest.raises(ReadError, match=r"line 2, column \d+"):
        parse_xml(Decoded("<a>\n<P>x & <b></P>\n</a>"), "x.rm5")
