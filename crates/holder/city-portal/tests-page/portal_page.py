"""The portal's page as a citizen uses it: filled in by typing, read as it is shown."""

import unittest

from browser import Browser, wait
from portal_program import Portal
from registry_double import Registry

OLGA = {"number": "612-480-911 69", "family_name": "Орлова", "given_name": "Ольга", "birth_date": "14.07.1990"}
TAB = "\ue004"
ENTER = "\ue007"


class PortalTest(unittest.TestCase):
    """Tests that share one browser; each begins with a registry, a portal and an empty page."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.registry = Registry()
        self.addCleanup(self.registry.stop)
        self.portal = Portal(self.registry.port)
        self.addCleanup(self.portal.close)
        self.open()

    def open(self, language="en"):
        self.browser.open(self.portal.origin + "/")
        wait(lambda: self.browser.text("h1"), "the page")
        self.use(language)

    def use(self, language):
        self.browser.click(f"[data-language={language}]")

    def fill(self, **fields):
        for name, text in (OLGA | fields).items():
            self.browser.run("document.getElementById(arguments[0]).value = ''", name)
            if text:
                self.browser.type(f"#{name}", text)

    def ask(self, **fields):
        self.fill(**fields)
        self.browser.click("#ask")

    def choose(self, kind, country=None):
        self.browser.click(f"[value={kind}]")
        if country:
            self.browser.click(f"#country option[value={country}]")

    def get_status(self, **fields):
        self.ask(**fields)
        self.wait_for("#status", "")
        return self.browser.text("#status")

    def press(self, action):
        if action in ("vaccination", "recovery", "test"):
            self.browser.run("document.getElementById('certificates').open = true")
        self.browser.click(f"[data-action={action}]")

    def wait_for(self, selector, text):
        """Waits for something in a place, and for nothing to be waited for."""
        def is_there():
            said = self.browser.text(selector)
            return said and text in said and not self.browser.text("#waiting")
        wait(is_there, f"{text!r} in {selector}")
        return self.browser.text(selector)

    def faults(self):
        """Faults by field, once they are shown."""
        self.wait_for("#faults", "")
        fields = ("country", "number", "family_name", "given_name", "birth_date")
        said = {field: self.browser.text(f"#{field}-fault") for field in fields}
        return {field: text for field, text in said.items() if text}
