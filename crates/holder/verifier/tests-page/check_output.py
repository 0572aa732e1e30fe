"""Gives the page what a program wrote, and says what it shows at the door. Usage: check_output.py FOLDER [TIME].

The folder holds root.json, trust.cose, revocations.cose, and passes as pass-*.txt. A pass whose name says `ended` must be
invalid because it is revoked; every other one must be valid. TIME is in unix seconds (default: the real time).
"""

import sys
from pathlib import Path

from browser import Browser
from page import PageTest
from site_server import Site

DATA = ("root.json", "trust.cose", "revocations.cose")


def check(folder, now):
    site = Site({name: (folder / name).read_bytes() for name in DATA})
    browser = Browser()
    try:
        page = PageTest()
        page.browser = browser
        page.site = site
        page.open(now)
        print(page.outcome(), "|", browser.text("#data-keys"), "|", browser.text("#data-revocations"))
        faults = [fault for path in sorted(folder.glob("pass-*.txt")) for fault in check_pass(page, path)]
    finally:
        browser.close()
        site.stop()
    return faults


def check_pass(page, path):
    verdict, said = page.check(path.read_text())
    print(f"{path.name}: {said!r}")
    is_right = "revoked" in said if "ended" in path.stem else verdict == "valid"
    return [] if is_right else [path.name]


if __name__ == "__main__":
    wrong = check(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
    sys.exit(f"not as expected: {', '.join(wrong)}" if wrong else 0)
