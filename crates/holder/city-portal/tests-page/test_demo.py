"""`cargo demo --serve` as its reader uses it: the portal's page gives a code, which the verifier page finds valid."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from browser import Browser, wait

PROGRAMS = Path(os.environ["PORTAL_PROGRAMS"])
ADDRESS = r"http://127\.0\.0\.1:\d+/"


class Demo(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="demo-test-")
        self.addCleanup(self.folder.cleanup)
        self.output = Path(self.folder.name) / "output"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [PROGRAMS / "demo", "--serve"], stdout=output, stderr=output, env=os.environ | {"TMPDIR": self.folder.name}
            )
        self.addCleanup(self.end)
        wait(lambda: "Ctrl-C ends both" in self.printed() or self.process.poll() is not None, "the invitation", 120)
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def printed(self):
        return self.output.read_text(encoding="utf-8")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(120)

    def address(self, of):
        found = re.search(f"{of}: +({ADDRESS})", self.printed())
        self.assertIsNotNone(found, self.printed()[-2000:])
        return found[1]

    def code_of(self, **fields):
        """The text of today's code of a citizen."""
        self.browser.open(self.address("the city's portal"))
        wait(lambda: self.browser.text("h1"), "the portal's page")
        self.browser.click("[data-language=en]")
        for name, text in fields.items():
            self.browser.type(f"#{name}", text)
        self.browser.click("#ask")
        wait(lambda: "entitled to a pass" in (self.browser.text("#status") or ""), "the status")
        self.browser.click("[data-action=codes]")
        wait(lambda: self.browser.find_all("#code-text"), "the code")
        return self.browser.run("return document.getElementById('code-text').value")

    def test_a_code_of_the_portal_is_valid_at_the_verifier_page(self):
        code = self.code_of(
            number="612-480-911 69", family_name="Орлова", given_name="Ольга", birth_date="14.07.1990"
        )
        self.assertTrue(code.startswith("HC1:"), code)
        self.browser.open(self.address("the verifier page"))
        wait(lambda: "Data is fresh" in (self.browser.text("body") or "") or self.browser.click("[data-language=en]"), "data")
        self.browser.run("document.querySelector('details').open = true")
        self.browser.run("document.getElementById('text').value = arguments[0]", code)
        self.browser.click("#text-form button")
        wait(lambda: self.browser.find_all(".card"), "a verdict")
        card = self.browser.text(".card")
        self.assertIn("14", card)
        self.assertNotIn("NOT VALID", card)
        self.assertEqual(self.end(), 0)
        left = [path.name for path in Path(self.folder.name).iterdir() if path.name.startswith("clinic-gateway-demo-")]
        self.assertEqual(left, [])
