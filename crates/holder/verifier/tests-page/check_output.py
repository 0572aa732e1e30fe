"""Gives the page what another program wrote, and compares what it shows. Usage: check_output.py FOLDER [TIME].

The folder holds trust.cose, revocations.cose, the root as root.json (as the page fetches it) or root.jwk, and passes as
*.txt and *.svg. A pass is to be valid unless its name contains one of the words below. TIME is in unix seconds (default:
the real time).
"""

import json
import sys
from pathlib import Path

from browser import Browser, wait
from page import PageTest
from passes import ISSUER, ZONE
from site_server import Site

REASONS = {"ended": "revoked", "expired": "expired", "later": "not-yet", "foreign": "key-unknown"}


def data_of(folder):
    root = folder / "root.json"
    if root.is_file():
        content = root.read_bytes()
    else:
        key = json.loads((folder / "root.jwk").read_bytes())
        content = json.dumps({"key": key, "issuer": ISSUER, "zone": ZONE}).encode()
    return {"root.json": content} | {name: (folder / name).read_bytes() for name in ("trust.cose", "revocations.cose")}


def check(folder, now):
    site = Site(data_of(folder))
    browser = Browser()
    try:
        page = PageTest()
        page.browser = browser
        page.site = site
        page.open(now)
        print(page.outcome(), "|", browser.text("#data-keys"), "|", browser.text("#data-revocations"))
        passes = sorted([*folder.glob("*.txt"), *folder.glob("*.svg")])
        faults = [path.name for path in passes if not is_as_expected(page, path)]
    finally:
        browser.close()
        site.stop()
    return faults


def is_as_expected(page, path):
    page.browser.run("document.getElementById('result-clear').click()")
    if path.suffix == ".txt":
        page.check(path.read_text())
    else:
        page.browser.type("#image", str(path.resolve()))
        wait(lambda: page.verdict() or page.browser.text("#problem"), "a verdict")
    said = page.browser.text("#problem") or page.shown()[1]
    print(f"{path.name}: {said!r}")
    reasons = [reason for word, reason in REASONS.items() if word in path.stem]
    return said.endswith(f": {reasons[0]}") if reasons else page.verdict() == "valid"


if __name__ == "__main__":
    wrong = check(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
    sys.exit(f"not as expected: {', '.join(wrong)}" if wrong else 0)
