#!/usr/bin/env python3
"""Whether each promise names a test that there is.

The promises are the rows of the tables whose last column is headed "tests", in the pages below. `CARGO_TEST` is how the Makefile
runs `cargo test`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["docs/web.md", "SECURITY.md"]


def tests():
    """The names of all tests, without their modules."""
    cargo, browser = os.environ["CARGO_TEST"], f"{sys.executable} tests/browser.py --list"
    names = set()
    for command in (f"{cargo} -- --list", f"{cargo} --test end_to_end --test coverage -- --list", browser):
        done = subprocess.run(command, shell=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        names |= {line.removesuffix(": test").rsplit("::", 1)[-1] for line in done.stdout.splitlines()}
    return names


def promises(page):
    """The promises of a page, each with the tests that it names."""
    in_table = False
    for line in (ROOT / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else [""]
        in_table = cells[-1] == "tests" or in_table and line.startswith("|")
        if in_table and cells[-1] != "tests" and set(cells[-1]) != {"-"}:
            yield cells[0], re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`", cells[-1])


def main():
    there = tests()
    for page in PAGES:
        for promise, named in promises(page):
            missing = [name for name in named if name not in there]
            if missing or not named:
                return f"error: {page} promises “{promise}”, and there is no test {', '.join(missing) or 'named'}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
