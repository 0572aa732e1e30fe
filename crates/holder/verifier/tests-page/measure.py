"""Measures the page in headless Chromium: reading one camera frame of 1280 x 720, and verifying one pass.

Usage: measure.py [TAGS], with the number of revoked passes in the list (default 100,000).
"""

import random
import statistics
import sys
import tempfile
from pathlib import Path

import pictures
from browser import Browser, wait
from page import PageTest
from passes import START, City, strip
from site_server import Site

FRAMES = 40
PASSES = 300
SCENES = {
    "a code of 8 pixels a module": (8, pictures.CLEAR),
    "a code of 4 pixels a module": (4, pictures.CLEAR),
    "a faint code of 8 pixels a module": (8, pictures.FAINT),
    "no code": (None, pictures.CLEAR),
}

READ = """
  const scan = await import(location.origin + '/scan.js');
  const reader = new scan.PixelReader();
  const video = document.createElement('video');
  video.muted = true;
  const reads = [];
  const timed = { read: async (pixels, look) => {
    const { width, height } = pixels;
    const grabbed = performance.now();
    const text = await reader.read(pixels, look);
    reads.push({ read: performance.now() - grabbed, found: text !== null, size: `${width}x${height}` });
    return text;
  } };
  const camera = new scan.Camera(video, timed, () => {});
  await camera.start();
  while (reads.length < values[0]) { await new Promise((next) => setTimeout(next, 20)); }
  const canvas = new OffscreenCanvas(1280, 720);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const grabs = [];
  for (let number = 0; number < 20; number++) {
    const start = performance.now();
    context.drawImage(video, 0, 0);
    context.getImageData(0, 0, 1280, 720);
    grabs.push(performance.now() - start);
  }
  camera.stop();
  return { reads, grabs };
"""

VERIFY = """
  const { verify } = await import(location.origin + '/verify.js');
  const { openKept } = await import(location.origin + '/data.js');
  const opening = performance.now();
  const held = await openKept();
  const opened = performance.now() - opening;
  const times = [];
  for (const text of values[0]) {
    const start = performance.now();
    const { verdict, reason } = await verify(text, held, values[1]);
    times.push(performance.now() - start);
    if (verdict !== 'valid') { throw new Error(verdict + reason); }
  }
  return { opened, times, tags: held.list.tags.length };
"""


def figures(times):
    ordered = sorted(times)
    late = ordered[int(len(ordered) * 0.95)]
    return f"median {statistics.median(ordered):.1f} ms, p95 {late:.1f} ms, most {ordered[-1]:.1f} ms"


def visit(video, site):
    browser = Browser(video)
    page = PageTest()
    page.browser = browser
    page.site = site
    page.open()
    return browser


def measure_frames(city, site, folder):
    for name, (module, squares) in SCENES.items():
        video = folder / "camera.y4m"
        pictures.video([(city.text() if module else None, 2)], video, rate=10, module=module or 8, squares=squares)
        browser = visit(video, site)
        try:
            seen = browser.run_async(READ, FRAMES)
        finally:
            browser.close()
        found = sum(frame["found"] for frame in seen["reads"])
        times = [frame["read"] for frame in seen["reads"]]
        size = seen["reads"][0]["size"]
        print(f"{name}: {size}, found in {found} of {len(times)} frames; read: {figures(times)}")
        print(f"    first frame, with the worker's start: {times[0]:.1f} ms")
        print(f"    taking the frame from the video: {figures(seen['grabs'])}")


def measure_verifying(city, site, tags):
    chance = random.Random(1)
    revoked = chance.sample(range(2**48), tags)
    site.data = city.files() | {"revocations.cose": city.list(tags=revoked)}
    size = len(site.data["revocations.cose"])
    browser = visit(None, site)
    try:
        wait(lambda: "Updated" in browser.text("#refresh-outcome"), "the list")
        texts = [city.text(strip(number)) for number in range(1000, 1000 + PASSES)]
        seen = browser.run_async(VERIFY, texts, START)
    finally:
        browser.close()
    times = seen["times"]
    print(f"a pass of {len(texts[0])} characters, {seen['tags']} revoked: verify: {figures(times[20:])}")
    print(f"    the first one: {times[0]:.1f} ms")
    print(f"    opening what is kept (a list of {size} bytes): {seen['opened']:.0f} ms")


def main():
    city = City()
    site = Site(city.files())
    with tempfile.TemporaryDirectory(prefix="page-measure-") as folder:
        measure_verifying(city, site, int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
        site.data = city.files()
        measure_frames(city, site, Path(folder))
    site.stop()


if __name__ == "__main__":
    main()
