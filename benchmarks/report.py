"""Time and size of the report of the bundled review: 19 outcomes under all default priors, bounds included.

Prints the time of the report after the fits (target 40 s), its size (target 8 MB) and, where Chromium and Playwright
are installed, how long the page takes to open (target 2 s). Seconds of processor time stand beside the clock's, for a
machine that has other work to do.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import bayespip as bp

TARGETS = {"built": 40.0, "megabytes": 8.0, "opened": 2.0}


def main() -> None:
    """Print the figures."""
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}", flush=True)
    result = bp.reanalyse(bp.load_review("pip"), with_pymc=False)
    with tempfile.TemporaryDirectory() as folder:
        begin, used = time.perf_counter(), time.process_time()
        file = result.report(Path(folder) / "report.html")
        seconds, processors = time.perf_counter() - begin, time.process_time() - used
        print(f"built    {seconds:6.1f} s, {processors:.1f} s of processors (target {TARGETS['built']:g} s)")
        print(f"size     {file.stat().st_size / 1e6:6.2f} MB (target {TARGETS['megabytes']:g} MB)", flush=True)
        chromium = shutil.which("chromium")
        if chromium is None:
            print("opened   not measured: Chromium is not installed")
            return
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(file.as_uri(), wait_until="load")
            loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
            browser.close()
        print(f"opened   {loaded:6.2f} s (target {TARGETS['opened']:g} s)")


if __name__ == "__main__":
    main()
