"""The form: by keyboard, field by field, in both languages; what is shown of the registry's answer."""

import unittest

from browser import wait
from portal_page import ENTER, OLGA, TAB, PortalTest
from portal_program import Portal
from registry_double import date


class Form(PortalTest):
    def focused(self):
        return self.browser.run("return document.activeElement.id || document.activeElement.textContent")

    def keys(self, text):
        """Types into whatever has the focus."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.browser.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def test_the_keyboard_alone_is_enough(self):
        self.browser.run("document.querySelector('[name=document]').focus()")
        self.keys(TAB + OLGA["number"] + TAB + OLGA["family_name"] + TAB + OLGA["given_name"] + TAB + OLGA["birth_date"])
        self.keys(TAB)
        self.assertEqual(self.focused(), "ask")
        self.keys(ENTER)
        self.wait_for("#status", "You are entitled to a pass")
        # The focus has gone to the answer: the next keys are those of its buttons.
        self.assertEqual(self.focused(), "You are entitled to a pass")
        self.keys(TAB)
        self.assertEqual(self.focused(), "Code for today")
        self.keys(ENTER)
        self.wait_for("#codes", "Holds until")
        self.assertEqual(len(self.registry.requests), 2)

    def test_an_empty_form_is_answered_field_by_field_and_asks_nobody(self):
        self.browser.click("#ask")
        expected = {
            "number": "Enter the number.",
            "family_name": "Enter your names as in the document.",
            "birth_date": "Enter the date of birth, such as 14.07.1990.",
        }
        self.assertEqual(self.faults(), expected)
        self.assertEqual(self.focused(), "faults")
        invalid = self.browser.run("return [...document.querySelectorAll('[aria-invalid=true]')].map((one) => one.id)")
        self.assertEqual(invalid, ["number", "family_name", "birth_date"])
        self.browser.click("#fault-list li:nth-child(3) a")
        self.assertEqual(self.focused(), "birth_date")
        self.assertEqual(self.registry.requests, [])

    def test_each_fault_of_a_field_has_its_words(self):
        cases = [
            ("snils", {"number": "612-480-911 68"}, "number", "do not fit"),
            ("snils", {"number": "612-48О-911 69"}, "number", "11 digits"),
            ("snils", {"number": "letters"}, "number", "11 digits"),
            ("oms", {"number": "7701"}, "number", "16 digits"),
            ("passport-ru", {"number": "45 10"}, "number", "4 and 6 digits"),
            ("passport-foreign", {"number": "12AB34567"}, "country", "Choose the country"),
            ("national-id", {"number": "740104/0020"}, "country", "Choose the country"),
            ("snils", {"birth_date": "31.02.1990"}, "birth_date", "no such day"),
            ("snils", {"birth_date": "01.01.2199"}, "birth_date", "yet to come"),
            ("snils", {"birth_date": "1990"}, "birth_date", "day, month and year"),
            ("snils", {"given_name": "777"}, "given_name", "at least one letter"),
        ]
        for kind, fields, field, words in cases:
            self.choose(kind)
            self.ask(**fields)
            said = self.faults()
            self.assertEqual(list(said), [field], fields)
            self.assertIn(words, said[field])
        self.assertEqual(self.registry.requests, [])

    def test_ten_kilobytes_are_too_long_and_nothing_else(self):
        self.fill()
        self.browser.run("document.getElementById('family_name').value = 'я'.repeat(10000)")
        self.browser.click("#ask")
        self.assertIn("256 characters", self.faults()["family_name"])

    def test_the_language_changes_what_is_there_and_keeps_what_was_typed(self):
        self.ask(number="612-480-911 68")
        self.faults()
        self.use("ru")
        self.assertIn("последние две цифры", self.browser.text("#number-fault"))
        self.assertEqual(self.browser.run("return document.documentElement.lang"), "ru")
        self.assertEqual(self.browser.run("return document.getElementById('number').value"), "612-480-911 68")
        self.assertIn("Вам положен пропуск", self.get_status())
        self.use("en")
        self.assertIn("You are entitled", self.browser.text("#status"))
        self.assertEqual(len(self.registry.requests), 1)

    def test_countries_have_names_in_both_languages_and_stay_chosen(self):
        self.choose("passport-foreign", "FR")
        names = {}
        for language in ("ru", "en"):
            self.use(language)
            names[language] = self.browser.run("return [...document.querySelectorAll('#country option')].map((one) => one.text)")
            self.assertEqual(len(set(names[language])), 249 + 7 + 1)
            self.assertEqual(self.browser.run("return document.getElementById('country').value"), "FR")
        self.assertIn("Франция", names["ru"])
        self.assertIn("Order of Malta", names["en"])
        unnamed = [name for name in names["en"] + names["ru"] if len(name) <= 3 and name not in ("ООН", "ОАЭ", "Чад")]
        self.assertEqual(unnamed, [])
        self.assertIn("You are entitled", self.get_status(number="12AB34567"))
        self.assertEqual(self.registry.requests[0][2]["pseudonyms"][0]["scheme"], "passport-foreign")

    def test_the_status_says_until_when_and_what_the_door_will_see(self):
        said = self.get_status()
        last = int(date(20).split("-")[2])
        self.assertIn(f"To the end of {last} ", said)
        self.assertIn("What the door will see", said)
        self.assertIn("Day of birth\n14", said)
        self.assertIn("Month of birth\nJuly", said)
        self.assertNotIn("1990", said)
        self.assertNotIn("Орлова", said)

    def test_reasons_are_shown_as_text_in_the_language_chosen(self):
        self.registry.behaviour = "refused"
        said = self.get_status()
        self.assertIn("No pass today", said)
        self.assertIn("There will be a pass from", said)
        self.assertIn("The second dose is missing.", said)
        self.assertIn("<img src=x onerror=", said)
        self.use("ru")
        self.assertIn("Не хватает второй дозы.", self.browser.text("#status"))
        self.assertIn("<script>", self.browser.text("#status"))
        self.assertEqual(self.browser.find_all("#status img, #status script"), [])
        self.assertEqual(self.browser.run("return document.title"), "Пропуск")
        self.assertFalse(self.browser.run("return document.querySelector('[data-action=codes]').checkVisibility()"))

    def test_names_with_markup_are_names(self):
        said = self.get_status(given_name="<script>document.title='!'</script>", family_name="\"'><b>Ы")
        self.assertIn("You are entitled", said)
        self.assertEqual(self.browser.run("return document.title"), "Pass")

    def test_an_answer_goes_when_something_else_is_typed(self):
        self.get_status()
        self.press("codes")
        self.wait_for("#codes", "Holds until")
        self.browser.type("#number", "1")
        self.assertEqual(self.browser.text("#status") + self.browser.text("#codes"), "")
        self.assertFalse(self.browser.run("return document.querySelector('[data-action=codes]').checkVisibility()"))
        self.get_status()
        self.choose("oms")
        self.assertEqual(self.browser.text("#status"), "")

    def test_a_new_question_removes_the_answer_to_the_old_one(self):
        self.get_status()
        self.press("codes")
        self.wait_for("#codes", "Holds until")
        self.ask(number="612-480-911 68")
        self.faults()
        self.assertEqual(self.browser.text("#codes"), "")
        self.assertEqual(self.browser.text("#status"), "")

    def test_each_failure_of_the_registry_is_told_in_words(self):
        cases = [
            ((429, "subject-ceiling"), "too many requests for this document", "слишком много запросов"),
            ((429, "client-ceiling"), "Too many people", "слишком много обращений"),
            ((503, "store"), "cannot answer now", "не может ответить"),
            ((422, "epoch"), "do not understand each other", "не понимают друг друга"),
            ("nonsense", "do not understand each other", "не понимают друг друга"),
        ]
        for behaviour, english, russian in cases:
            self.registry.behaviour = behaviour
            self.ask()
            self.wait_for("#problem", english)
            self.use("ru")
            self.assertIn(russian, self.browser.text("#problem"))
            self.use("en")
        self.registry.stop()
        self.ask()
        self.wait_for("#problem", "cannot be reached")
        self.registry.behaviour = "entitled"
        self.registry.start()
        self.assertIn("You are entitled", self.get_status())
        self.assertEqual(self.browser.text("#problem"), "")

    def test_a_registry_that_says_nothing_is_told_in_words(self):
        self.portal.close()
        self.portal = Portal(self.registry.port, patience=1)
        self.addCleanup(self.portal.close)
        self.open()
        self.registry.behaviour = "silent"
        self.ask()
        self.wait_for("#problem", "takes too long")
        self.use("ru")
        self.assertIn("слишком долго", self.browser.text("#problem"))

    def test_a_portal_that_is_away_is_told_and_a_repeat_works(self):
        self.get_status()
        self.portal.stop()
        self.press("codes")
        self.wait_for("#problem", "The portal cannot be reached")
        wait(lambda: not self.browser.run("return document.getElementById('ask').disabled"), "the buttons")


if __name__ == "__main__":
    unittest.main()
