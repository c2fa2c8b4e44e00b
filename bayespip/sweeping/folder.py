"""The folder of a sweep: what is in it is whole, whenever the process ends.

Every file is written under another name, flushed to the disk and renamed. What has been done is read from the parts
themselves; the manifest, written first, says for which settings.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bayespip.reanalysis.saving import writable
from bayespip.sweeping.parts import read_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from bayespip.sweeping.parts import Part
    from bayespip.sweeping.settings import Settings
    from bayespip.sweeping.sources import Source

__all__ = ["MANIFEST", "RESULTS", "SKIPPED", "Folder", "begin"]

MANIFEST, SKIPPED, RESULTS = "manifest.json", "skipped.csv", "results"
_DRAFTS = ".writing"
_FILE = "part.parquet"
_COUNTED = ("analyses", "pooled", "fits", "rows")
_PER_FILE = ("review", "title", "doi", "seed", *_COUNTED)
_SKIPPED_COLUMNS = ("file", "review", "analysis", "k", "method", "prior", "reason")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that holds a sweep with these settings.

    Attributes
    ----------
    path
        Of the folder.
    settings
        As the manifest has them.
    """

    path: Path
    settings: Mapping[str, Any]

    def put(self, part: Part) -> None:
        """Write a review's part, in the place of an earlier one.

        Raises
        ------
        OSError
            If the disk refuses; what was there before is still there, whole.
        """
        self._write(_place(self.path, part.key), part.data)

    def drop(self, key: str) -> None:
        """Remove a review's part, if there is one."""
        _remove(_place(self.path, key))

    def done(self) -> dict[str, str]:
        """Keys of the parts that are whole, by the digest of what each was made from."""
        return {facts["source"]: file.parent.name.partition("=")[2] for file, facts in _parts(self.path)}

    def write_plan(self, plan: Sequence[Source]) -> None:
        """Write the manifest before the first result: settings and files, nothing done."""
        files = [{"file": s.name, "sha256": s.digest, "status": "to do"} for s in plan]
        self._write(self.path / MANIFEST, _json({**self.settings, "counts": None, "files": files}))

    def finish(self, plan: Sequence[Source], keys: Mapping[int, str], reasons: Mapping[int, str]) -> dict[str, int]:
        """Write the manifest and the list of what was skipped.

        Parameters
        ----------
        plan
            The files.
        keys, reasons
            By the number of the file, the key of its part or why it has none.

        Returns
        -------
        dict
            Counts, as the manifest has them.

        Raises
        ------
        OSError
            If the disk refuses, or a part is no longer whole.
        """
        counts = dict.fromkeys(("files", "reviews", "skipped_files", *_COUNTED, "without_result"), 0)
        counts |= {"files": len(plan), "reviews": len(keys), "skipped_files": len(reasons)}
        files, text = [], io.StringIO()
        table = csv.DictWriter(text, _SKIPPED_COLUMNS, restval="", lineterminator="\n")
        table.writeheader()
        for i, source in enumerate(plan):
            entry: dict[str, Any] = {"file": source.name, "sha256": source.digest}
            if i in reasons:
                files.append(entry | {"status": "skipped"})
                table.writerow({"file": source.name, "reason": reasons[i]})
                continue
            facts = read_facts(_place(self.path, keys[i]))
            if facts is None:
                raise OSError(f"{_place(self.path, keys[i])} was damaged while the sweep ran; start again to mend it.")
            files.append(entry | {"status": "done"} | {name: facts[name] for name in _PER_FILE})
            table.writerows({"file": source.name, "review": keys[i], **left} for left in facts["left"])
            counts["without_result"] += len(facts["left"])
            for name in _COUNTED:
                counts[name] += facts[name]
        self._write(self.path / SKIPPED, text.getvalue().encode())
        self._write(self.path / MANIFEST, _json({**self.settings, "counts": counts, "files": files}))
        return counts

    def tidy(self) -> None:
        """Remove what a process that was killed left half-written, and folders that hold no part."""
        shutil.rmtree(self.path / _DRAFTS, ignore_errors=True)
        for folder in (self.path / RESULTS).glob("review=*"):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _write(self, target: Path, data: bytes) -> None:
        drafts = self.path / _DRAFTS
        try:
            drafts.mkdir(exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, data, drafts)
        except OSError as error:
            shutil.rmtree(drafts, ignore_errors=True)
            raise OSError(
                error.errno,
                f"{target.relative_to(self.path)} cannot be written ({error.strerror}); what is finished is whole, and "
                "the same command goes on from there",
                str(self.path),
            ) from None


def begin(out: str | PathLike[str], settings: Settings, plan: Sequence[Source]) -> Folder:
    """The folder of a sweep, new or to be gone on with.

    Results of a file that has changed since are removed.

    Raises
    ------
    ValueError
        If it holds a sweep with other settings, results of files that are not given now, or results without a
        manifest; the message names them.
    OSError
        If it is no folder, or cannot be written to.
    """
    path = writable(Path(out))
    folder = Folder(path, {"settings": json.loads(json.dumps(settings.as_json()))})
    if (path / MANIFEST).exists():
        _go_on(folder, plan)
    elif any((path / RESULTS).glob("*")):
        raise ValueError(f"out must be a new folder, or that of a sweep; {path} has {RESULTS}, but no {MANIFEST}.")
    path.mkdir(parents=True, exist_ok=True)
    folder.tidy()
    folder.write_plan(plan)
    return folder


def _go_on(folder: Folder, plan: Sequence[Source]) -> None:
    """Compare with the sweep that was begun here."""
    try:
        earlier = json.loads((folder.path / MANIFEST).read_text(encoding="utf-8"))
        before, files = earlier["settings"], {entry["sha256"]: entry["file"] for entry in earlier["files"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder.path / MANIFEST} must be the manifest of a sweep; it is not: {error}.") from None
    differing = list(_differences(before, folder.settings["settings"]))
    if differing:
        raise ValueError(
            f"{folder.path} holds a sweep with other settings: {'; '.join(differing)}. Give those, or another folder."
        )
    names, digests = {s.name for s in plan}, {s.digest for s in plan}
    stale = [(file, files.get(facts["source"], "")) for file, facts in _parts(folder.path)
             if facts["source"] not in digests]  # fmt: skip
    gone = sorted(name or str(file) for file, name in stale if name not in names)
    if gone:
        raise ValueError(
            f"{folder.path} holds results of files that are not given now: {', '.join(gone)}. Give them too, or "
            "another folder."
        )
    for file, _ in stale:
        _remove(file)


def _differences(before: object, now: object, name: str = "") -> Iterator[str]:
    """Name and both values of each setting that differs."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            yield from _differences(before.get(key), now.get(key), f"{name} {key}".strip())
    else:
        yield f"{name} {json.dumps(before)}, not {json.dumps(now)}"


def _parts(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted((path / RESULTS).glob(f"review=*/{_FILE}")):
        facts = read_facts(file)
        if facts is not None:
            yield file, facts


def _place(path: Path, key: str) -> Path:
    return path / RESULTS / f"review={key}" / _FILE


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    if file.parent.is_dir() and not any(file.parent.iterdir()):
        file.parent.rmdir()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _replace(target: Path, data: bytes, drafts: Path) -> None:
    """The file holds these bytes, or what it held before: also after a loss of power."""
    draft = drafts / uuid4().hex
    with draft.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    for folder in (target.parent, target.parent.parent):
        _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder, where the system lets a folder be opened."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
