"""For everybody: names for screen readers, what is announced and how, contrast, and the size of a phone."""

import unittest

from browser import wait
from page import PageTest
from passes import DAY, HOUR, START, City, strip

CONTRAST = """
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const linear = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === 'rgba(0, 0, 0, 0)' && element.parentElement ? ground(element.parentElement) : colour;
  };
  const worst = [];
  for (const element of document.querySelectorAll('body *')) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (hasText && element.checkVisibility()) {
      const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
      worst.push([(pair[0] + 0.05) / (pair[1] + 0.05), element.textContent]);
    }
  }
  return worst.sort((a, b) => a[0] - b[0])[0];
"""
ISSUED = START - HOUR
TIMES = {
    "valid": START,
    "invalid": START,
    "stale": ISSUED + 2 * DAY,
    "cannot-tell": ISSUED + 4 * DAY,
    "clock-wrong": ISSUED - DAY,
}


class Access(PageTest):
    def setUp(self):
        super().setUp()
        self.browser.forget(self.site.origin)

    def each_verdict(self):
        # Both initials stand for as many Cyrillic letters as any: the longest lines there are.
        longest = {1: "I", 2: "I", 3: 30, 4: 9}
        text = self.city.text(strip(holder=longest) | {4: START + 5 * DAY})
        for verdict, now in TIMES.items():
            self.open(now)
            self.assertEqual(self.check(self.city.text(strip(9)) if verdict == "invalid" else text)[0], verdict)
            yield verdict

    def test_everything_that_can_be_used_has_a_name_in_both_languages(self):
        self.open()
        names = {}
        for language in ("ru", "en"):
            self.browser.click(f"[data-language={language}]")
            controls = self.browser.find_all("button, input, textarea, summary, video, [role=group], section, footer")
            names[language] = [self.browser.label(control) for control in controls]
        shown = self.browser.run("""
          const all = document.querySelectorAll('button, input, textarea, summary, video, [role=group], section, footer');
          return [...all].map((control) => control.checkVisibility() && control.tagName);
        """)
        for language, labels in names.items():
            for tag, label in zip(shown, labels):
                self.assertTrue(label or tag in (False, "SUMMARY"), f"{tag} has no name in {language}")
        self.assertNotEqual(names["ru"], names["en"])

    def test_green_waits_for_its_turn_and_red_interrupts(self):
        roles = {}
        for verdict in self.each_verdict():
            roles[verdict] = self.browser.run("""
              const region = document.querySelector('.card').parentElement;
              return [region.getAttribute('role'), region.getAttribute('aria-live'), region.getAttribute('aria-atomic')];
            """)
        calm = ["status", "polite", "true"]
        urgent = ["alert", "assertive", "true"]
        self.assertEqual(roles, {
            "valid": calm, "stale": calm, "invalid": urgent, "cannot-tell": urgent, "clock-wrong": urgent,
        })

    def test_the_tree_for_screen_readers_holds_the_word_but_no_icon(self):
        self.open()
        self.check(self.city.text())
        nodes = self.browser.devtools("Accessibility.getFullAXTree")["nodes"]
        said = [node.get("name", {}).get("value", "") for node in nodes if not node["ignored"]]
        self.assertIn("VALID", said)
        self.assertNotIn("image", [node.get("role", {}).get("value") for node in nodes if not node["ignored"]])

    def test_texts_have_the_contrast_of_wcag_aa(self):
        for verdict in self.each_verdict():
            ratio, text = self.browser.run(CONTRAST)
            self.assertGreaterEqual(ratio, 4.5, f"{verdict}: {text}")

    def test_everything_that_matters_fits_a_phone(self):
        self.browser.resize(390, 844, True)
        self.addCleanup(self.browser.devtools, "Emulation.clearDeviceMetricsOverride")
        for verdict in self.each_verdict():
            for language in ("ru", "en"):
                self.browser.run("document.querySelector(`[data-language=${arguments[0]}]`).click()", language)
                outside = self.browser.run("""
                  const main = document.querySelector('main').getBoundingClientRect();
                  const below = '#data-state, #data-city, #data-keys, #data-revocations, #offline, #refresh';
                  const places = document.querySelectorAll(`.card, .holder, ${below}`);
                  const isOutside = (place) => {
                    const box = place.getBoundingClientRect();
                    const bottom = place.closest('main') ? main.bottom : innerHeight;
                    return box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > bottom;
                  };
                  return [...places].filter(isOutside).map((place) => place.className || place.id);
                """)
                self.assertEqual(outside, [], f"{verdict} in {language}")
                self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)

    def test_the_warning_of_another_root_interrupts_and_is_as_heavy_as_the_state_of_the_data(self):
        self.browser.resize(390, 844, True)
        self.addCleanup(self.browser.devtools, "Emulation.clearDeviceMetricsOverride")
        self.open()
        self.site.data = City().files()
        self.refresh()
        self.check(self.city.text())
        for language in ("en", "ru"):
            self.browser.run("document.querySelector(`[data-language=${arguments[0]}]`).click()", language)
            seen = self.browser.run("""
              const [warning, state] = ['root-warning', 'data-state'].map((id) => document.getElementById(id));
              const look = (place) => [getComputedStyle(place).fontSize, getComputedStyle(place).fontWeight];
              const places = [warning, document.querySelector('.card'), document.getElementById('refresh-outcome')];
              const isOutside = (place) => {
                const box = place.getBoundingClientRect();
                const bottom = place.closest('main') ? document.querySelector('main').getBoundingClientRect().bottom : innerHeight;
                return box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > bottom;
              };
              return {
                role: warning.getAttribute('role'), icon: getComputedStyle(warning, '::before').content,
                isAsHeavy: String(look(warning)) === String(look(state)),
                outside: places.filter(isOutside).map((place) => place.id || place.className),
              };
            """)
            self.assertEqual(seen, {"role": "alert", "icon": '"◆ "', "isAsHeavy": True, "outside": []}, language)
            ratio, text = self.browser.run(CONTRAST)
            self.assertGreaterEqual(ratio, 4.5, text)

    def test_buttons_are_large_enough_for_a_thumb(self):
        self.browser.resize(390, 844, True)
        self.addCleanup(self.browser.devtools, "Emulation.clearDeviceMetricsOverride")
        self.open()
        self.check(self.city.text())
        small = self.browser.run("""
          const all = [...document.querySelectorAll('button, input, textarea, summary')];
          const controls = all.filter((one) => one.checkVisibility());
          const isSmall = ({ width, height }) => width < 40 || height < 40;
          return controls.filter((one) => isSmall(one.getBoundingClientRect())).map((one) => one.textContent);
        """)
        self.assertEqual(small, [])

    def test_the_keyboard_alone_is_enough(self):
        self.open()
        self.browser.run("document.getElementById('text').value = arguments[0]", self.city.text())
        self.browser.type("#text-form button", "\ue007")
        wait(lambda: self.verdict() == "valid", "a verdict by the keyboard")
        self.browser.type("#result-clear", "\ue007")
        self.assertIsNone(self.verdict())

    def test_a_browser_that_lacks_something_says_so_and_can_tell_nothing(self):
        self.open()
        source = "delete globalThis.DecompressionStream;"
        without = self.browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
        self.addCleanup(self.browser.devtools, "Page.removeScriptToEvaluateOnNewDocument", identifier=without)
        self.browser.open(self.site.origin + "/")
        self.wait_for("#problem", "lacks DecompressionStream")
        self.browser.click("summary")
        self.assertEqual(self.check(self.city.text())[0], "cannot-tell")

    def test_opening_and_using_the_page_leaves_no_error_in_the_console(self):
        self.browser.console()
        self.open()
        self.check(self.city.text())
        self.check("nonsense")
        self.assertEqual([entry["message"] for entry in self.browser.console()], [])


if __name__ == "__main__":
    unittest.main()
