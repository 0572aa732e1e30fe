"""Without network: the page after its server was stopped; what is stored; what may be fetched, and from where."""

import unittest

from browser import wait
from page import PageTest
from passes import DAY, HOUR, START, strip, tag
from site_server import PAGE, Site
from version import kept_files, version_of_files


class Offline(PageTest):
    def setUp(self):
        super().setUp()
        self.browser.forget(self.site.origin)

    def test_after_its_first_load_the_page_works_without_its_server(self):
        self.open_ready()
        self.stop_site()
        self.open(START + HOUR)
        self.assertIn("NOT updated: no connection", self.outcome())
        self.wait_for("#offline", "Ready to work without network")
        self.assertIn("Data is fresh", self.browser.text("#data-state"))
        self.assertEqual(self.check(self.city.text())[0], "valid")
        self.assertEqual(self.reason_of(self.city.text(strip(9))), "revoked")
        text = self.city.text(strip() | {4: START + 5 * DAY})
        self.open(START + DAY)
        self.assertEqual(self.check(text)[0], "stale")
        self.wait_for("#offline", "the data is old")
        self.open(START + 3 * DAY)
        self.assertEqual(self.check(text)[0], "cannot-tell")
        self.wait_for("#offline", "Not ready")

    def test_without_verified_data_it_is_not_ready(self):
        self.site.data["trust.cose"] = b"nothing"
        self.open()
        wait(lambda: self.browser.run_async("return caches.has(self.PAGE_CACHE)"), "the cache")
        self.assertIn("Not ready", self.browser.text("#offline"))
        self.site.data = self.city.files()
        self.refresh()
        self.wait_for("#offline", "Ready to work without network")

    def test_without_one_of_its_files_it_is_not_ready(self):
        self.open_ready()
        self.browser.run_async("await (await caches.open(self.PAGE_CACHE)).delete('verify.js')")
        self.refresh()
        self.wait_for("#offline", "Not ready")

    def test_the_data_is_never_answered_from_a_cache(self):
        self.open_ready()
        kept = self.browser.run_async("""
          const names = await caches.keys();
          const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
          return requests.flat().map((request) => new URL(request.url).pathname);
        """)
        self.assertEqual(sorted(kept), sorted("/" + file.removeprefix("./") for file in kept_files()))

    def test_a_newer_version_of_the_page_takes_over_and_keeps_the_data(self):
        self.open_ready()
        old = (PAGE / "page-files.js").read_text()
        version = version_of_files()
        self.site.changed_files = {
            "page-files.js": old.replace(version, "next").encode(),
            "text-en.js": (PAGE / "text-en.js").read_bytes().replace(b'"Pass check"', b'"Next check"'),
        }
        self.open()
        wait(lambda: self.browser.text("h1") == "Next check", "the newer version")
        self.stop_site()
        self.open()
        self.assertEqual(self.browser.text("h1"), "Next check")
        self.assertEqual(self.check(self.city.text())[0], "valid")
        wait(lambda: self.browser.run_async("return caches.keys()") == ["page-next"], "the end of the older version")

    def test_a_verdict_asks_for_nothing_and_stores_nothing(self):
        self.open_ready()
        before = self.asked()
        for text in (self.city.text(), self.city.text(strip(9)), "nonsense"):
            self.check(text)
        self.assertEqual(self.asked_since(before), [])
        stored = self.browser.run_async("""
          const names = (await indexedDB.databases()).map((database) => database.name);
          const store = await import(location.origin + '/store.js');
          const record = await store.load();
          const local = Object.keys(localStorage);
          return { names, fields: Object.keys(record).sort(), local, session: sessionStorage.length, cookie: document.cookie };
        """)
        fields = ["listSequence", "lists", "root", "trust", "trustSequence"]
        expected = {"names": ["verifier"], "fields": fields, "local": ["language"], "session": 0, "cookie": ""}
        self.assertEqual(stored, expected)

    def test_nothing_can_be_sent_to_another_place_and_no_text_becomes_code(self):
        other = Site()
        self.addCleanup(other.stop)
        self.open()
        for attempt in (
            "return fetch(values[0]).then((answer) => answer.status)",
            "const image = new Image(); image.src = values[0]; return image.decode()",
            "return import(values[0].replace('icon.svg', 'main.js'))",
            "return (0, eval)('1')",
            "return new Function('return 1')()",
        ):
            with self.subTest(attempt), self.assertRaises(Exception):
                # What the driver runs may use eval; a task after it is under the page's own policy.
                self.browser.run_async(f"await new Promise((next) => setTimeout(next)); {attempt}", other.origin + "/icon.svg")
        self.browser.run("navigator.sendBeacon(arguments[0], 'x')", other.origin + "/")
        self.assertIn(200, [self.browser.run_async("return (await fetch('clock.js')).status")])
        self.assertEqual(other.requests, [])

    def test_the_version_is_that_of_the_files_and_every_file_is_kept(self):
        listed = set(kept_files())
        there = {str(file.relative_to(PAGE)) for file in PAGE.rglob("*") if file.is_file()}
        not_needed = {"index.html", "sw.js", "README.md", "vendor/jsqr/LICENSE", "vendor/jsqr/README.md"}
        self.assertEqual(listed - {"./"}, there - not_needed)
        self.assertIn(
            f'PAGE_VERSION = "{version_of_files()}"',
            (PAGE / "page-files.js").read_text(),
            "a file of the page was changed: run version.py",
        )


if __name__ == "__main__":
    unittest.main()
