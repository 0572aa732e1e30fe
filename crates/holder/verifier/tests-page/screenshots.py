"""Takes pictures of the page: every verdict and the camera, both languages, phone and desktop. Usage: screenshots.py FOLDER."""

import sys
import tempfile
from pathlib import Path

import pictures
from browser import Browser, wait
from page import PageTest
from passes import DAY, HOUR, START, City, strip
from site_server import Site

SIZES = {"phone": (390, 844, True), "desktop": (1280, 900, False)}
ISSUED = START - HOUR
TIMES = {
    "valid": START,
    "invalid": START,
    "stale": ISSUED + 2 * DAY,
    "cannot-tell": ISSUED + 4 * DAY,
    "clock-wrong": ISSUED - DAY,
}


def take_all(folder):
    folder.mkdir(parents=True, exist_ok=True)
    city = City()
    video = tempfile.NamedTemporaryFile(prefix="page-camera-", suffix=".y4m")
    pictures.video([(city.text(), 2)], video.name)
    browser = Browser(video.name)
    site = Site(city.files())
    try:
        visit = PageTest()
        visit.browser = browser
        visit.site = site
        text = city.text(strip() | {4: START + 5 * DAY})
        for verdict, now in TIMES.items():
            visit.open(now)
            visit.check(city.text(strip(9)) if verdict == "invalid" else text)
            take(browser, folder, verdict)
        visit.open()
        take(browser, folder, "nobody")
        browser.run("document.getElementById('camera-start').click()")
        wait(lambda: visit.verdict() == "valid", "a verdict by the camera")
        take(browser, folder, "camera")
    finally:
        browser.close()
        site.stop()
        video.close()


def take(browser, folder, verdict):
    for size, shape in SIZES.items():
        browser.resize(*shape)
        browser.run("document.querySelector('details').open = false; document.querySelector('main').scrollTo(0, 0)")
        for language in ("ru", "en"):
            browser.run("document.querySelector(`[data-language=${arguments[0]}]`).click()", language)
            browser.screenshot(folder / f"{verdict}-{size}-{language}.png")


if __name__ == "__main__":
    take_all(Path(sys.argv[1]))
