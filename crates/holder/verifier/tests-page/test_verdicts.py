"""Every verdict and every reason, by text; the edges of time; what a verdict shows and what it hides."""

import unittest
import zlib

import cbor2

from browser import wait
from page import PageTest
from passes import (
    DAY, DOSE, HOUR, ISSUER, LONGEST, MIDNIGHT, RECOVERY, START, TEST, Key, base45, cbor, entry_of, hcert, stored, strip, text_of,
)

WORDS = {
    "valid": ("VALID", "ДЕЙСТВУЕТ"),
    "stale": ("DATA IS OLD", "ДАННЫЕ УСТАРЕЛИ"),
    "invalid": ("NOT VALID", "НЕ ДЕЙСТВУЕТ"),
    "cannot-tell": ("CANNOT TELL", "НЕВОЗМОЖНО ПРОВЕРИТЬ"),
    "clock-wrong": ("CLOCK IS WRONG", "НЕВЕРНЫЕ ЧАСЫ"),
}
PERSONAL = ("Initial of", "Day of the month of birth", "Month of birth", "November", "Ж, З", "С, Ш, Щ")


class Verdicts(PageTest):
    def setUp(self):
        super().setUp()
        self.browser.forget(self.site.origin)

    def assert_verdict(self, expected, text, now):
        self.open(now)
        verdict, said = self.check(text)
        self.assertEqual(verdict, expected, said)
        self.assertIn(WORDS[expected][0], said)
        return said

    def assert_nothing_personal(self):
        said = self.browser.text("body")
        for word in PERSONAL:
            self.assertNotIn(word, said)

    def test_a_strip_is_valid_and_shows_the_holders_attributes(self):
        said = self.assert_verdict("valid", self.city.text(), START)
        for part in ("S (Cyrillic С, Ш, Щ)", "Z (Cyrillic Ж, З)", "Day of the month of birth\n7", "November"):
            self.assertIn(part, said)

    def test_only_disclosed_attributes_are_shown(self):
        self.open()
        claims = strip(holder={2: "W", 4: 2})
        said = self.check(self.city.text(claims))[1]
        self.assertIn("Initial of family name\nW\n", said)
        self.assertIn("February", said)
        self.assertNotIn("given", said)
        self.assertNotIn("Day", said)

    def test_a_pass_that_names_nothing_is_green_and_says_that_there_is_nothing_to_compare(self):
        text = self.city.text(strip(holder={}) | {4: START + 5 * DAY})
        said = self.assert_verdict("valid", text, START)
        self.assertIn("Nothing to compare", said)
        self.assertNotIn("Compare with", said)
        said = self.assert_verdict("stale", text, START + 2 * DAY)
        self.assertIn("may have ended since", said)
        self.assertIn("Nothing to compare", said)
        self.browser.click("[data-language=ru]")
        self.assertIn("Сверять нечего", self.browser.text(".card"))

    def test_a_certificate_is_valid_and_shows_initials_but_not_its_kind(self):
        text = text_of(self.city.certificates.sign(hcert()))
        said = self.assert_verdict("valid", text, START)
        self.assertIn("K (Cyrillic К, Х, Ќ, Қ)", said)
        self.assertIn("I (Cyrillic И, Й, Ю, Я, Ъ, І, Ї, Є, Ӣ)", said)
        for word in ("Sputnik", "vaccin", "2026"):
            self.assertNotIn(word, said)

    def test_a_strip_holds_from_its_first_second_to_the_one_before_its_end(self):
        text = self.city.text()
        self.site.data = self.city.files(issued=MIDNIGHT - HOUR)
        self.site.data["revocations.cose"] = self.city.list(issued=MIDNIGHT - HOUR)
        end = MIDNIGHT + DAY
        for now, expected in ((MIDNIGHT - 1, "not-yet"), (MIDNIGHT, None), (end - 1, None), (end, "expired")):
            self.open(now)
            verdict, said = self.check(text)
            if expected is None:
                self.assertIn(verdict, ("valid", "stale"))
            else:
                self.assertIn(expected, said)

    def test_data_of_24_hours_is_fresh_and_a_second_older_is_old(self):
        issued = START - HOUR
        text = self.city.text(strip() | {4: START + 5 * DAY})
        self.assert_verdict("valid", text, issued + DAY)
        said = self.assert_verdict("stale", text, issued + DAY + 1)
        self.assertIn("Ж, З", said)
        self.assertIn("older than 24 hours", self.browser.text("#data-state"))

    def test_data_of_72_hours_is_old_and_with_a_second_more_nothing_can_be_told(self):
        issued = START - HOUR
        text = self.city.text(strip() | {4: START + 5 * DAY})
        self.assert_verdict("stale", text, issued + 3 * DAY)
        self.assert_verdict("cannot-tell", text, issued + 3 * DAY + 1)
        self.assert_nothing_personal()
        self.assertIn("no. 5", self.browser.text("#data-keys"))
        self.assertIn("Data is too old", self.browser.text("#data-state"))
        self.browser.click("[data-language=ru]")
        self.assertIn("слишком старые", self.browser.text("#data-state"))

    def test_the_older_of_bundle_and_list_gives_the_age(self):
        text = self.city.text(strip() | {4: START + 5 * DAY})
        self.site.data["revocations.cose"] = self.city.list(issued=START - DAY - 1)
        self.assert_verdict("stale", text, START)

    def test_a_pass_that_is_plainly_wrong_is_invalid_by_old_data_and_never_beyond(self):
        issued = START - HOUR
        for now, expected in ((issued + 3 * DAY, "invalid"), (issued + 3 * DAY + 1, "cannot-tell")):
            for text in ("nonsense", self.city.text(strip(9) | {4: START + 5 * DAY}), self.city.text(key=Key())):
                self.assert_verdict(expected, text, now)

    def test_a_clock_up_to_five_minutes_behind_is_accepted_and_one_further_behind_is_called_wrong(self):
        issued = START - HOUR
        text = self.city.text()
        self.assert_verdict("valid", text, issued - 300)
        self.assert_verdict("clock-wrong", text, issued - 301)
        self.assertIn("clock is wrong", self.browser.text("#data-state"))
        self.assertIn("later than this device's clock", self.outcome())
        self.assert_verdict("clock-wrong", "nonsense", issued - 301)
        self.assert_nothing_personal()

    def test_the_clock_is_judged_by_the_later_of_bundle_and_list_and_the_age_by_the_older(self):
        text = self.city.text(strip() | {4: START + 5 * DAY})
        for ahead, expected in ((300, "valid"), (301, "clock-wrong")):
            self.browser.forget(self.site.origin)
            self.site.data["revocations.cose"] = self.city.list(issued=START + ahead)
            self.assert_verdict(expected, text, START)
        self.assertIn("later than this device's clock", self.outcome())
        self.assert_verdict("valid", text, START + 1)
        self.assert_verdict("clock-wrong", "nonsense", START)
        self.assert_verdict("valid", text, START - HOUR + DAY)
        self.assert_verdict("stale", text, START - HOUR + DAY + 1)

    def test_a_list_of_the_future_is_wrong_even_over_a_bundle_that_is_too_old(self):
        self.site.data["trust.cose"] = self.city.bundle(issued=START - 4 * DAY)
        self.site.data["revocations.cose"] = self.city.list(issued=START + DAY)
        self.assert_verdict("clock-wrong", self.city.text(), START)

    def test_without_data_nothing_can_be_told(self):
        self.site.data = {}
        self.assert_verdict("cannot-tell", self.city.text(), START)
        self.assert_nothing_personal()
        self.assertIn("No data that can be used", self.browser.text("#data-state"))
        self.browser.click("[data-language=ru]")
        self.assertEqual(self.browser.text("#offline"), "Работа без сети не готова")

    def test_every_reason_is_given(self):
        city = self.city
        good = city.strips.sign(strip())
        forged = cbor2.loads(good).value
        forged[2] = cbor(strip() | {4: MIDNIGHT + 2 * DAY})
        cases = [
            ("not-a-pass", "https://example.org/"),
            ("not-a-pass", city.text().lower()),
            ("not-a-pass", "HC1:" + "0" * 4293),
            ("base45", "HC1:" + "0" * 4291),
            ("base45", city.text() + "!!!"),
            ("base45", "HC1::::"),
            ("zlib", "HC1:" + base45(good)),
            ("zlib", "HC1:" + base45(stored(good)[:-1])),
            ("zlib", "HC1:" + base45(stored(good)[:-1] + b"\x00")),
            ("zlib", "HC1:" + base45(stored(good) + b"\x00")),
            ("zlib", "HC1:" + base45(zlib.compress(bytes(64 * 1024 + 1)))),
            ("cbor", "HC1:" + base45(zlib.compress(bytes(64 * 1024)))),
            ("cbor", text_of(good + b"\x00")),
            ("cbor", text_of(good[:-1])),
            ("cose", text_of(cbor({1: 2}))),
            ("cose", text_of(cbor(cbor2.CBORTag(17, forged)))),
            ("cose", text_of(city.strips.sign(strip(), header={1: -7}))),
            ("cose", text_of(city.strips.sign(strip(), header={1: -7, 2: [4], 4: city.strips.kid}))),
            ("algorithm", text_of(city.strips.sign(strip(), header={1: -37, 4: city.strips.kid}))),
            ("algorithm", text_of(city.strips.sign(strip(), header={4: city.strips.kid}, unprotected={1: -7}))),
            ("key-unknown", city.text(key=Key())),
            ("key-not-for-this", city.text(key=city.certificates)),
            ("key-not-for-this", city.text(hcert())),
            ("key-not-for-this", city.text(key=city.lists)),
            ("key-not-valid-now", city.text(key=city.ended)),
            ("signature", text_of(cbor(forged))),
            ("signature", text_of(cbor([*cbor2.loads(good).value[:3], bytes(64)]))),
            ("signature", text_of(cbor([*cbor2.loads(good).value[:3], b"short"]))),
            ("issuer", city.text(strip() | {1: "RU-SPE"})),
            ("claims", city.text(cbor("a text"))),
            ("claims", city.text({1: ISSUER, 4: MIDNIGHT + DAY, 5: MIDNIGHT, 7: bytes(8)})),
            ("claims", city.text(strip() | {-260: hcert()[-260]})),
            ("claims", city.text(strip() | {7: bytes(7)})),
            ("claims", city.text(strip() | {4: "tomorrow"})),
            ("claims", city.text(strip() | {4: MIDNIGHT})),
            ("claims", city.text(strip() | {4: 253_402_300_800})),
            ("claims", city.text(strip() | {6: MIDNIGHT})),
            ("not-yet", city.text(strip() | {4: MIDNIGHT + 2 * DAY, 5: MIDNIGHT + DAY})),
            ("not-yet", text_of(city.certificates.sign(hcert() | {6: START + 1}))),
            ("series-incomplete", text_of(city.certificates.sign(hcert(entry=DOSE | {"dn": 1})))),
            ("expired", city.text(strip() | {4: START})),
            ("revoked", city.text(strip(9))),
        ]
        self.open()
        self.assert_reasons(cases)
        every = self.browser.run_async("return (await import(location.origin + '/fault.js')).REASONS")
        self.assertEqual(set(every), {expected for expected, _ in cases})

    def assert_reasons(self, cases):
        for expected, text in cases:
            with self.subTest(expected=expected, text=text[:60]):
                self.assertEqual(self.reason_of(text), expected)
                self.assert_nothing_personal()

    def test_a_strip_of_a_week_with_a_clock_change_holds_and_one_a_second_longer_is_refused(self):
        self.open()
        longest = strip() | {4: MIDNIGHT + LONGEST}
        self.assertEqual(self.check(self.city.text(longest))[0], "valid")
        for claims in (longest | {4: longest[4] + 1}, longest | {5: longest[5] - 1}, longest | {4: MIDNIGHT + 3650 * DAY}):
            self.assertEqual(self.reason_of(self.city.text(claims)), "claims")
        # Windows of certificates are longer, and no concern of this.
        self.assertEqual(self.check(self.city.text(hcert(), self.city.certificates))[0], "valid")

    def test_an_empty_text_field_is_a_hint_and_no_verdict(self):
        self.open()
        self.check(self.city.text())
        for empty in ("", " \n"):
            self.browser.run("document.getElementById('text').value = arguments[0]", empty)
            self.browser.click("#text-form button")
            self.wait_for("#problem", "Paste the text of a code")
            self.assertEqual(self.browser.find_all(".card"), [])
            self.assert_nothing_personal()
        self.browser.click("[data-language=ru]")
        self.assertIn("Вставьте текст кода", self.browser.text("#problem"))
        self.check(self.city.text())
        self.assertEqual(self.browser.text("#problem"), "")
        self.assertIn("Число рождения\n7", self.browser.text(".card"))

    def test_attributes_that_nobody_has_are_refused(self):
        bad = [{1: "IVAN"}, {1: "Ж"}, {1: "a"}, {1: ""}, {1: None}, {2: 65}, {3: 0}, {3: 32}, {3: "7"}, {4: 0}, {4: 13}]
        bad += [{3: 31, 4: 4}, {3: 30, 4: 2}, {5: 1990}, [1], None]
        claims = [strip() | {-65537: holder} for holder in bad]
        self.open()
        self.assert_reasons([("claims", self.city.text(one)) for one in claims])
        leap_day = self.check(self.city.text(strip(holder={3: 29, 4: 2})))
        self.assertEqual(leap_day[0], "valid")

    def test_certificates_of_each_kind_hold_and_those_that_the_city_never_issues_do_not(self):
        good = [hcert(), hcert("r", RECOVERY), hcert("t", TEST), hcert("t", TEST | {"nm": "PCR kit", "tc": "Laboratory 7"})]
        good += [hcert(entry=DOSE | {"dn": 3, "sd": 3}), hcert(entry=DOSE | {"sd": 1})]
        bad = [
            hcert(t=[entry_of(TEST)]),
            hcert(v=[]),
            hcert(v=[entry_of(DOSE)] * 2),
            hcert(v={}),
            hcert("x"),
            hcert(ver="1.2.0"),
            hcert(dob="1990-01-01"),
            hcert(nam={"fnt": "IVANOV", "gnt": "I"}),
            hcert(nam={"fnt": "I"}),
            hcert("t", TEST | {"tr": "260373001"}),
            hcert("t", TEST | {"tt": "LP0-0"}),
            hcert("t", TEST | {"sc": "2026-11-31T08:15:00Z"}),
            hcert("t", TEST | {"sc": "yesterday"}),
            hcert("t", TEST | {"nm": ""}),
            hcert("r", RECOVERY | {"du": "2026-09-11"}),
            hcert("r", DOSE),
            hcert(entry=DOSE | {"dt": "2026-02-30"}),
            hcert(entry=DOSE | {"dn": 0}),
            hcert(entry=DOSE | {"sd": 256}),
            hcert(entry=DOSE | {"mp": "x" * 81}),
            hcert(entry=DOSE | {"co": "Russia"}),
            hcert(entry=DOSE | {"is": "another"}),
            hcert(entry=DOSE | {"ci": "URN:UVCI:01:RU:0000000000000000"}),
            hcert(entry=DOSE | {"tg": "1"}),
            hcert(entry=DOSE | {"extra": 1}),
        ]
        self.open()
        for claims in good:
            self.assertEqual(self.check(text_of(self.city.certificates.sign(claims)))[0], "valid")
        self.assert_reasons([("claims", text_of(self.city.certificates.sign(claims))) for claims in bad])

    def test_all_three_ways_of_tagging_and_both_places_of_the_key_id_are_read(self):
        self.open()
        plain = self.city.strips.sign1(strip())
        tagged = cbor2.CBORTag(18, plain)
        aside = self.city.strips.sign1(strip(), header={1: -7}, unprotected={4: self.city.strips.kid})
        for value in (plain, tagged, cbor2.CBORTag(61, tagged), aside):
            self.assertEqual(self.check(text_of(cbor(value)))[0], "valid")

    def test_a_compressed_pass_is_read_as_well_as_a_stored_one(self):
        self.open()
        compressed = zlib.compress(self.city.strips.sign(strip()), 9)
        self.assertEqual(self.check("HC1:" + base45(compressed))[0], "valid")

    def test_what_copying_adds_around_a_text_is_dropped(self):
        self.open()
        self.assertEqual(self.check("\n " + self.city.text() + " \r\n")[0], "valid")

    def test_the_text_field_is_emptied_and_the_next_person_removes_the_one_before(self):
        self.open()
        self.check(self.city.text())
        self.assertEqual(self.browser.run("return document.getElementById('text').value"), "")
        self.browser.click("#result-clear")
        self.assertEqual(self.browser.find_all(".card"), [])
        self.assert_nothing_personal()
        self.check(self.city.text())
        self.check("nonsense")
        self.assertEqual(len(self.browser.find_all(".card")), 1)
        self.assert_nothing_personal()

    def test_a_verdict_that_comes_late_is_not_shown_to_the_next_person(self):
        self.open()
        self.browser.run("""
          const real = crypto.subtle.verify.bind(crypto.subtle);
          const isReleased = new Promise((release) => { globalThis.release = release; });
          crypto.subtle.verify = async (...parts) => { await isReleased; return real(...parts); };
        """)
        self.browser.run("document.getElementById('text').value = arguments[0]", self.city.text())
        self.browser.click("#text-form button")
        self.assertEqual(self.check("nonsense")[0], "invalid")
        self.browser.run_async("release(); await new Promise((next) => setTimeout(next, 300))")
        self.assertEqual(self.verdict(), "invalid")
        self.assert_nothing_personal()

    def test_both_languages_say_every_verdict(self):
        issued = START - HOUR
        text = self.city.text(strip() | {4: START + 5 * DAY})
        times = {"valid": START, "stale": issued + 2 * DAY, "cannot-tell": issued + 4 * DAY, "clock-wrong": issued - DAY}
        for verdict, words in WORDS.items():
            self.open(times.get(verdict, START))
            self.check("nonsense" if verdict == "invalid" else text)
            for language, word in (("ru", words[1]), ("en", words[0])):
                self.browser.click(f"[data-language={language}]")
                self.assertEqual(self.browser.text(".word"), word)
                self.assertEqual(self.browser.run("return document.documentElement.lang"), language)

    def test_each_verdict_has_its_own_icon_and_its_own_sound_but_the_two_that_know_nothing(self):
        self.open()
        sounds = self.browser.run_async("""
          const tones = [];
          globalThis.OscillatorNode = class extends OscillatorNode {
            constructor(context, options) { super(context, options); tones.push(`${options.frequency} ${options.type}`); }
          };
          const sound = await import(location.origin + '/sound.js');
          const { VERDICTS } = await import(location.origin + '/verify.js');
          sound.allowSound();
          return VERDICTS.map((verdict) => {
            tones.length = 0;
            sound.play(verdict);
            return [verdict, tones.join(), document.getElementById(`icon-${verdict}`).innerHTML];
          });
        """)
        self.assertEqual({verdict for verdict, _, _ in sounds}, set(WORDS))
        self.assertEqual(len({icon for _, _, icon in sounds}), len(WORDS))
        self.assertEqual(len({tones for _, tones, _ in sounds}), len(WORDS) - 1)
        self.assertTrue(all(tones for _, tones, _ in sounds))

    def test_a_verdict_on_a_text_disappears_by_itself_after_a_minute(self):
        self.open()
        self.browser.run("""
          const real = setTimeout;
          globalThis.setTimeout = (task, time, ...rest) => real(task, time === 60000 ? 1 : time, ...rest);
        """)
        self.browser.run("document.getElementById('text').value = arguments[0]", self.city.text())
        self.browser.click("#text-form button")
        wait(lambda: self.browser.run("return document.getElementById('result-clear').hidden"), "the end of the minute")
        self.assertEqual(self.browser.find_all(".card"), [])


if __name__ == "__main__":
    unittest.main()
