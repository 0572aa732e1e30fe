"""The page as a test sees it: opened at a chosen time, with chosen data, and read as a person reads it."""

import unittest

from browser import Browser, wait
from passes import START, City
from site_server import Site

RUNNING = ("Refreshing…", "Обновляется…", "", None)


class PageTest(unittest.TestCase):
    """Tests that share one browser; each begins with an empty one, a city and its server."""

    video = None

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(cls.video)
        cls.addClassCleanup(cls.browser.close)
        cls.city = City()

    def setUp(self):
        self.site = Site(self.city.files())
        self.is_serving = True
        self.addCleanup(self.stop_site)

    def stop_site(self):
        if self.is_serving:
            self.is_serving = False
            self.site.stop()

    def open(self, now=START, language="en"):
        """Loads the page at a time and waits until its first refresh has ended."""
        self.browser.set_clock(now)
        self.browser.open(self.site.origin + "/")
        wait(self.is_refreshed, "the first refresh")
        self.browser.click(f"[data-language={language}]")
        if self.browser.run("return document.querySelector('details').open") is False:
            self.browser.click("summary")

    def open_ready(self):
        """Loads the page and waits until it would work without its server."""
        self.open()
        self.wait_for("#offline", "Ready to work without network")

    def is_refreshed(self):
        return self.outcome() not in RUNNING

    def outcome(self):
        return self.browser.text("#refresh-outcome")

    def refresh(self):
        self.browser.click("#refresh")
        wait(self.is_refreshed, "a refresh")
        return self.outcome()

    def wait_for(self, selector, text):
        wait(lambda: text in (self.browser.text(selector) or ""), f"{text!r} in {selector}")

    def check(self, text):
        """Checks a text; verdict and what the card says."""
        # Typing every character would be slow; the form is submitted by its button.
        self.browser.run("document.getElementById('text').value = arguments[0]", text)
        self.browser.click("#text-form button")
        return self.shown()

    def shown(self):
        wait(lambda: self.browser.find_all(".card"), "a verdict")
        return self.verdict(), self.browser.text(".card")

    def asked(self):
        """Number of requests that the server has had."""
        return len(self.site.requests)

    def asked_since(self, number):
        """Requests since then, without the browser's own look for a newer service worker after a page was opened."""
        return [path for path in self.site.requests[number:] if path not in ("/sw.js", "/page-files.js")]

    def verdict(self):
        return self.browser.run("return document.querySelector('.card')?.dataset.verdict ?? null")

    def reason_of(self, text):
        """The reason code that the page gives for a text."""
        verdict, said = self.check(text)
        self.assertEqual(verdict, "invalid", said)
        return said.rsplit(": ", 1)[1]
