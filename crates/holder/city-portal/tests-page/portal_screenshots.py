"""Takes pictures of the page in its states, both languages, phone and desktop. Usage: portal_screenshots.py FOLDER."""

import sys
from pathlib import Path

from test_looks import Looks

SIZES = {"phone": (390, 844, True), "desktop": (1280, 900, False)}
HEIGHT = "return Math.max(document.documentElement.scrollHeight, innerHeight)"


def take_all(folder):
    folder.mkdir(parents=True, exist_ok=True)
    Looks.setUpClass()
    visit = Looks()
    visit.setUp()
    try:
        for state in visit.each_state():
            for size, (width, height, is_phone) in SIZES.items():
                visit.browser.resize(width, height, is_phone)
                # The whole page, not only what is seen at once.
                visit.browser.resize(width, visit.browser.run(HEIGHT), is_phone)
                visit.browser.screenshot(folder / f"{state.replace(' in ', '-')}-{size}.png")
            visit.browser.devtools("Emulation.clearDeviceMetricsOverride")
    finally:
        visit.doCleanups()
        Looks.doClassCleanups()


if __name__ == "__main__":
    take_all(Path(sys.argv[1]))
