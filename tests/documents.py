"""Code in Markdown: a page's Python blocks, what they print, and the files that the page tells its reader to have."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import rm5_files

from bayespip.readers import read_review

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "notebooks" / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "```python" in path.read_text(encoding="utf-8") and (ROOT / "docs" / "notebooks") not in path.parents
)
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n?^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
CSV = re.compile(r"^```csv\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"^\|.*\| `(.*?)`[^|]*\|$", re.MULTILINE)  # the last cell of a row of a table of calls


class Block(NamedTuple):
    """A block of Python, and the text block after it: what it prints; None where there is none."""

    code: str
    printed: str | None


def blocks(text):
    found = (one.groups() for one in BLOCK.finditer(text))
    return [Block(code, None if printed is None else without_trailing(printed)) for code, printed in found]


def without_trailing(text):
    """Editors take spaces at the ends of lines away."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def calls(text):
    """The Python of tables whose last column is headed bayespip."""
    tables = re.findall(r"^\|[^\n]*\| bayespip \|\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", text, flags=re.MULTILINE)
    return [call for table in tables for call in CALL.findall(table)]


def write_files(folder, text):
    """What a page reads: the table that it shows; a review's file."""
    for name in ("invented.csv", "mine.csv"):
        table = CSV.search(text)
        content = table[1] if table else "study,ai,n1i,ci,n2i\nA,3,20,5,21\nB,4,22,9,25\n"
        (folder / name).write_text(content, encoding="utf-8")
    data = [rm5_files.row("DICH", study, EVENTS_1=n) for study, n in (("STD-A", "3"), ("STD-B", "4"))]
    outcomes = (rm5_files.outcome("DICH", *data, no=no) for no in (1, 2))
    (folder / "CD010534.rm5").write_text(rm5_files.review(*outcomes), encoding="utf-8")
    read_review(folder / "CD010534.rm5").to_data_package(folder / "CD003188-dataPackage.zip")


def run(text, page):
    """Run a page's blocks and calls in one namespace; each block with what it printed."""
    namespace = {"__name__": "__main__"}
    ran = []
    for block in blocks(text):
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(block.code, page, "exec"), namespace)  # noqa: S102  (our own pages)
        ran.append((block, without_trailing(out.getvalue())))
    for call in calls(text):
        eval(compile(call, f"{page}: {call}", "eval"), namespace)  # noqa: S307
    return ran
