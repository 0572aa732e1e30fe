"""What a citizen takes along: the code on the screen, the sheet of paper, the certificate; read by the verifier."""

import base64
import subprocess
import tempfile
import unittest
from pathlib import Path

from browser import wait
from portal_page import PortalTest
from portal_program import verdict
from registry_double import date


class Passes(PortalTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="portal-passes-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.registry.publish(self.folder)
        self.get_status()

    def picture_of(self, selector):
        """A screenshot with the element in the middle of it."""
        self.browser.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })", selector)
        wait(lambda: self.browser.run("return document.querySelector(arguments[0]).complete", selector), "the picture")
        path = self.folder / "screenshot.png"
        self.browser.screenshot(path)
        return path

    def assert_good(self, selector):
        code, said = verdict(self.folder, self.picture_of(selector))
        self.assertEqual(code, 0, said)
        return said

    def test_the_code_on_the_screen_is_green_at_the_door(self):
        for is_phone in (False, True):
            if is_phone:
                self.browser.resize(360, 740, True)
                self.addCleanup(self.browser.devtools, "Emulation.clearDeviceMetricsOverride")
            self.get_status()
            self.press("codes")
            self.wait_for("#codes", "Holds until")
            said = self.assert_good("#codes img")
            self.assertIn("VALID", said)
            self.assertIn("birth day: 14", said)

    def test_times_are_those_of_the_city_wherever_the_device_is(self):
        self.browser.devtools("Emulation.setTimezoneOverride", timezoneId="Asia/Vladivostok")
        self.addCleanup(self.browser.devtools, "Emulation.setTimezoneOverride", timezoneId="")
        self.press("codes")
        tomorrow = int(date(1).split("-")[2])
        self.assertRegex(self.wait_for("#codes", "Holds until"), rf"Holds until {tomorrow} \w+ at 00:00")
        self.press("sheet")
        today = int(date(0).split("-")[2])
        self.assertRegex(self.wait_for("#sheet", "Holds from"), rf"Holds from {today} \w+ at 00:00 until")

    def test_another_code_is_another_strip(self):
        self.press("codes")
        self.wait_for("#codes", "Code 1 of 3")
        seen = set()
        for number in (2, 3, 1):
            seen.add(self.browser.run("return document.querySelector('#codes img').src"))
            self.browser.click("#code-next")
            self.wait_for("#codes", f"Code {number} of 3")
            self.assert_good("#codes img")
        self.assertEqual(len(seen), 3)
        self.assertEqual(len(self.registry.requests), 2)

    def test_a_code_whose_time_is_over_is_taken_away(self):
        self.press("codes")
        self.wait_for("#codes", "Holds until")
        # A day later, and somebody is there: otherwise everything would be forgotten.
        self.browser.run("""
          const real = Date.now;
          Date.now = () => real() + 24 * 3600 * 1000;
          window.dispatchEvent(new Event('keydown'));
        """)
        self.wait_for("#codes", "The code has ended")
        self.assertEqual(self.browser.find_all("#codes img"), [])

    def test_the_sheet_is_downloaded_as_pdf_and_shown_for_print(self):
        self.press("sheet")
        self.wait_for("#sheet", "Holds from")
        self.assert_good("#sheet img")
        self.browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.folder))
        self.browser.click("#sheet-pdf")
        pdf = self.folder / "pass.pdf"
        wait(pdf.is_file, "the download")
        text = subprocess.run(["pdftotext", "-layout", pdf, "-"], check=True, capture_output=True, text=True).stdout
        self.assertIn("Покажите с документом", text)
        self.assertIn("Day of birth: 14", text)
        subprocess.run(["pdftoppm", "-r", "150", "-png", "-singlefile", pdf, self.folder / "page"], check=True)
        code, said = verdict(self.folder, self.folder / "page.png")
        self.assertEqual(code, 0, said)

    def test_what_is_printed_is_the_sheet_alone_on_a6(self):
        self.press("sheet")
        self.wait_for("#sheet", "Holds from")
        printed = self.browser.devtools("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
        path = self.folder / "printed.pdf"
        path.write_bytes(base64.b64decode(printed))
        info = subprocess.run(["pdfinfo", path], check=True, capture_output=True, text=True).stdout
        pages = [line.split()[-1] for line in info.splitlines() if line.startswith("Pages:")]
        self.assertEqual(pages, ["1"], info)
        size = next(line for line in info.splitlines() if line.startswith("Page size:")).split()
        self.assertAlmostEqual(float(size[2]) * 25.4 / 72, 105, delta=1)
        self.assertAlmostEqual(float(size[4]) * 25.4 / 72, 148, delta=1)
        subprocess.run(["pdftoppm", "-r", "200", "-png", "-singlefile", path, self.folder / "printed"], check=True)
        code, said = verdict(self.folder, self.folder / "printed.png")
        self.assertEqual(code, 0, said)

    def test_certificates_state_their_fact_in_words_and_as_code(self):
        cases = [
            ("vaccination", "dose 2 of 2, 1 October 2026. Vaccine: Sputnik-V. Country: Russia."),
            ("recovery", "first positive test 1 September 2026. Country: Russia."),
            ("test", "PCR test, negative"),
        ]
        for kind, words in cases:
            self.press(kind)
            self.wait_for("#certificate", words)
            self.assert_good("#certificate img")
            text = self.browser.run("return document.getElementById('certificate-text').value")
            self.assertTrue(text.startswith("HC1:"))
        self.use("ru")
        self.assertIn("Тест ПЦР, отрицательный", self.browser.text("#certificate"))

    def test_refusals_are_sentences(self):
        self.registry.behaviour = "refused"
        self.press("vaccination")
        self.wait_for("#problem", "The second dose is missing.")
        self.registry.behaviour = "exhausted"
        self.press("codes")
        self.wait_for("#problem", "As many codes as may be were issued")

    def test_a_repeat_after_a_lost_answer_gets_the_same_strips(self):
        self.registry.behaviour = (503, "store")
        self.press("codes")
        self.wait_for("#problem", "cannot answer now")
        self.registry.behaviour = "entitled"
        self.press("codes")
        self.wait_for("#codes", "Holds until")
        keys = [key for path, key, _ in self.registry.requests if path == "/v1/passes"]
        self.assertEqual(len(keys), 2)
        self.assertEqual(keys[0], keys[1])
        # Codes that are there are shown first; a new question of the same person is another action.
        self.press("codes")
        self.wait_for("#codes", "Code 2 of 3")
        self.assertEqual(len(self.registry.requests), 3)
        self.get_status()
        self.press("codes")
        self.wait_for("#codes", "Code 1 of 3")
        self.assertNotEqual(self.registry.requests[-1][1], keys[0])


if __name__ == "__main__":
    unittest.main()
