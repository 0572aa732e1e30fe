"""For everybody: names for screen readers, contrast, the size of a phone, large enough for a thumb."""

import unittest

from portal_page import PortalTest
from test_access import CONTRAST

PHONE = (360, 740, True)


class Looks(PortalTest):
    def each_state(self):
        """The page empty, with faults, with everything, with a problem, each in both languages."""
        states = {"empty": lambda: None, "faults": self.show_faults, "everything": self.show_all, "problem": self.show_problem}
        for state, show in states.items():
            self.open()
            show()
            for language in ("ru", "en"):
                self.use(language)
                yield f"{state} in {language}"

    def show_faults(self):
        self.choose("passport-foreign")
        self.browser.click("#ask")
        self.faults()

    def show_all(self):
        self.get_status()
        for action, place in (("codes", "#codes"), ("sheet", "#sheet"), ("test", "#certificate")):
            self.press(action)
            self.wait_for(place, "Holds")

    def show_problem(self):
        self.registry.behaviour = (503, "store")
        self.ask()
        self.wait_for("#problem", "cannot answer")
        self.registry.behaviour = "entitled"

    def test_everything_that_can_be_used_has_a_name_in_both_languages(self):
        for state in self.each_state():
            shown = "button, input, select, textarea, summary, a[href], img:not([alt='']), section, [role=group]"
            for element in self.browser.find_all(shown):
                described = self.browser.run("return arguments[0].outerHTML.slice(0, 90)", {"element-6066-11e4-a52e-4f735466cecf": element})
                is_shown = self.browser.run("return arguments[0].checkVisibility()", {"element-6066-11e4-a52e-4f735466cecf": element})
                if is_shown:
                    self.assertNotEqual(self.browser.label(element), "", f"{state}: {described}")

    def test_texts_have_the_same_keys_and_every_mark_has_its_text(self):
        wrong = self.browser.run_async("""
          const { TEXTS } = await import('/i18n.js');
          const [ru, en] = [TEXTS.ru, TEXTS.en].map((texts) => Object.keys(texts).sort());
          const marks = [...document.querySelectorAll('[data-text], [data-label]')].map((one) => one.dataset.text ?? one.dataset.label);
          const placesOf = (text) => [...text.matchAll(/\\{(\\w+)\\}/g)].map((found) => found[1]).sort().join();
          const other = ru.filter((key) => placesOf(TEXTS.ru[key]) !== placesOf(TEXTS.en[key]));
          return [String(ru) === String(en), marks.filter((key) => !ru.includes(key)), other];
        """)
        self.assertEqual(wrong, [True, [], []])

    def test_every_text_has_contrast(self):
        for state in self.each_state():
            ratio, text = self.browser.run(CONTRAST)
            self.assertGreaterEqual(ratio, 4.5, f"{state}: {text}")

    def test_nothing_is_wider_than_a_phone_and_buttons_are_large_enough(self):
        self.browser.resize(*PHONE)
        self.addCleanup(self.browser.devtools, "Emulation.clearDeviceMetricsOverride")
        for state in self.each_state():
            self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), PHONE[0], state)
            small = self.browser.run("""
              const all = [...document.querySelectorAll('button, input[type=text], select, textarea, summary, .choices label, a.button')];
              const isSmall = ({ width, height }) => width < 40 || height < 40;
              return all.filter((one) => one.checkVisibility() && isSmall(one.getBoundingClientRect())).map((one) => one.outerHTML);
            """)
            self.assertEqual(small, [], state)


if __name__ == "__main__":
    unittest.main()
