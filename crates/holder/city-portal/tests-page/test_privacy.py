"""What the page keeps, where it sends what, and how it forgets."""

import unittest

from browser import wait
from portal_page import OLGA, PortalTest

STORED = """
  const databases = await indexedDB.databases();
  const caches_ = globalThis.caches ? await caches.keys() : [];
  return [localStorage.length, sessionStorage.length, document.cookie, databases.length, caches_.length];
"""
VALUES = "return [...document.querySelectorAll('#form input[type=text], #form select')].map((one) => one.value).join('')"


class Privacy(PortalTest):
    def use_all(self):
        self.get_status()
        for action, place in (("codes", "#codes"), ("sheet", "#sheet"), ("vaccination", "#certificate")):
            self.press(action)
            self.wait_for(place, "Holds")

    def assert_forgotten(self):
        self.assertEqual(self.browser.run(VALUES), "")
        for place in ("#status", "#codes", "#sheet", "#certificate"):
            self.assertEqual(self.browser.text(place), "", place)
        self.assertEqual(self.browser.find_all("main img, #print img"), [])

    def test_nothing_is_stored_and_no_address_has_what_was_typed(self):
        self.use_all()
        self.assertEqual(self.browser.run_async(STORED), [0, 0, "", 0, 0])
        addresses = self.browser.run("""
          return [location.href, ...performance.getEntriesByType('resource').map((entry) => entry.name)];
        """)
        for address in addresses:
            self.assertTrue(address.startswith((self.portal.origin, f"blob:{self.portal.origin}")), address)
            self.assertNotRegex(address, r"[?#]")
        log = self.portal.log.read_text()
        for text in OLGA.values():
            self.assertNotIn(text, log)
        self.assertIn("city-portal-request", log)

    def test_forget_me_removes_everything(self):
        self.use_all()
        self.browser.click("#forget")
        self.wait_for("#problem", "Your details are erased")
        self.assert_forgotten()

    def test_ten_minutes_without_use_remove_everything(self):
        self.use_all()
        self.browser.run("const real = Date.now; Date.now = () => real() + 9.5 * 60_000;")
        self.browser.run_async("await new Promise((done) => setTimeout(done, 1500))")
        self.assertNotEqual(self.browser.run(VALUES), "")
        self.browser.run("const real = Date.now; Date.now = () => real() + 60_000;")
        self.wait_for("#problem", "Nothing was done for 10 minutes")
        self.assert_forgotten()

    def test_leaving_the_page_and_coming_back_finds_it_empty(self):
        self.use_all()
        self.browser.open("about:blank")
        self.browser.ask("POST", "/back", {})
        wait(lambda: self.browser.text("h1"), "the page")
        self.assert_forgotten()

    def test_an_answer_that_comes_after_forgetting_is_not_shown(self):
        self.registry.behaviour = "silent"
        self.ask()
        wait(lambda: self.registry.requests, "the question")
        self.browser.click("#forget")
        self.registry.behaviour = "entitled"
        self.registry.hold.set()
        self.browser.run_async("await new Promise((done) => setTimeout(done, 500))")
        self.assert_forgotten()
        self.assertEqual(self.browser.text("#waiting"), "")

    def test_a_page_of_another_site_is_refused_and_cannot_frame_it(self):
        own = self.portal.origin
        self.browser.open(own.replace("127.0.0.1", "localhost") + "/")
        refused = self.browser.run_async("""
          try {
            await fetch(values[0] + '/api/status', { method: 'POST', mode: 'no-cors', body: '{}' });
            return 'sent';
          } catch (error) {
            return 'blocked';
          }
        """, own)
        self.assertEqual(refused, "blocked")
        self.assertEqual(self.registry.requests, [])

    def test_using_the_page_leaves_no_error_in_the_console(self):
        self.browser.console()
        self.use_all()
        self.browser.click("#forget")
        self.use("ru")
        self.assertEqual([entry["message"] for entry in self.browser.console()], [])


if __name__ == "__main__":
    unittest.main()
