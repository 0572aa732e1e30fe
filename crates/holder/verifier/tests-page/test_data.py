"""Refreshing: what is taken, what is refused, what the page says of it, and what stays."""

import unittest

from browser import wait
from page import PageTest
from passes import DAY, HOUR, START, City, Key, strip, tag


class Refreshing(PageTest):
    def setUp(self):
        super().setUp()
        self.browser.forget(self.site.origin)

    def assert_refused(self, outcome):
        """A refresh fails with these words, and what is shown of the data stays."""
        before = self.browser.text("#data-keys"), self.browser.text("#data-revocations")
        said = self.refresh()
        self.assertIn("NOT updated", said)
        self.assertIn(outcome, said)
        self.assertNotIn("Updated", said)
        self.assertEqual((self.browser.text("#data-keys"), self.browser.text("#data-revocations")), before)

    def test_updated_is_said_only_of_newer_data(self):
        self.open()
        self.assertEqual(self.outcome(), "Updated at Dec 1, 10:00")
        self.assertEqual(self.refresh(), "Nothing newer at the server (Dec 1, 10:00)")
        self.site.data = self.city.files(sequence=6, issued=START - 60)
        self.assertEqual(self.refresh(), "Updated at Dec 1, 10:00")
        self.assertIn("1 min. ago, issued Dec 1, 09:59, no. 6", self.browser.text("#data-keys"))
        self.assertIn("1 hr. ago, issued Dec 1, 09:00, no. 3", self.browser.text("#data-revocations"))

    def test_a_failing_server_is_no_update_and_the_data_goes_on_ageing(self):
        self.open()
        for name in ("root.json", "trust.cose", "revocations.cose"):
            self.site.data = self.city.files(sequence=6) | {name: 503}
            self.assert_refused("the server did not give the data")
        self.open(START + 2 * DAY)
        self.assertIn("NOT updated", self.outcome())
        self.assertIn("older than 24 hours", self.browser.text("#data-state"))
        self.assertIn("the data is old", self.browser.text("#offline"))
        self.open(START + 4 * DAY)
        self.assertIn("Not ready", self.browser.text("#offline"))

    def test_without_a_server_nothing_is_updated(self):
        self.open_ready()
        self.stop_site()
        self.assert_refused("no connection")

    def test_an_older_bundle_is_refused_now_and_at_the_next_visit(self):
        self.open()
        self.site.data = self.city.files(sequence=4)
        self.assert_refused("keys are older")
        self.open()
        self.assertIn("keys are older", self.outcome())
        self.assertIn("no. 5", self.browser.text("#data-keys"))

    def test_another_bundle_of_the_same_sequence_is_refused(self):
        self.open()
        self.site.data = self.city.files(issued=START - 60)
        self.assert_refused("other keys under the same number")

    def test_a_tampered_bundle_or_list_is_refused(self):
        self.open()
        bundle = bytearray(self.city.bundle(sequence=6))
        bundle[-1] ^= 1
        self.site.data["trust.cose"] = bytes(bundle)
        self.assert_refused("not signed by the root key")
        self.site.data["trust.cose"] = self.city.bundle(sequence=6, signer=Key())
        self.assert_refused("not signed by the root key")
        self.site.data["trust.cose"] = b"\xa0"
        self.assert_refused("keys cannot be read")
        self.site.data["trust.cose"] = self.city.bundle(sequence=6, issuer="RU-SPE")
        self.assert_refused("another issuer")
        self.site.data = self.city.files(sequence=6)
        changed = bytearray(self.site.data["revocations.cose"])
        changed[-1] ^= 1
        for forged in (bytes(changed), self.city.list(4, signer=Key()), self.city.list(4, signer=self.city.strips)):
            self.site.data["revocations.cose"] = forged
            self.assert_refused("not signed by the city")
        self.site.data["revocations.cose"] = b""
        self.assert_refused("revocations cannot be read")

    def test_a_changed_root_is_refused_with_all_that_it_signs(self):
        self.open()
        self.city.root, first = Key(), self.city.root
        self.addCleanup(setattr, self.city, "root", first)
        self.site.data = self.city.files(sequence=6)
        self.assert_refused("another root key")
        self.site.data["root.json"] = b"{}"
        self.assert_refused("root key cannot be read")
        self.open()
        self.assertIn("no. 5", self.browser.text("#data-keys"))

    def test_another_root_is_warned_of_until_the_pinned_one_gives_data_again(self):
        self.open()
        self.assertEqual(self.browser.text("#root-warning"), "")
        pinned = self.site.data
        self.site.data = City().files(sequence=6)
        self.assert_refused("another root key")
        self.assertIn("another root key than the one kept here", self.browser.text("#root-warning"))
        self.site.data = {}
        self.assert_refused("the server did not give the data")
        self.assertIn("another root key than the one kept here", self.browser.text("#root-warning"))
        self.site.data = pinned
        self.assertIn("Nothing newer", self.refresh())
        self.assertEqual(self.browser.text("#root-warning"), "")

    def test_city_and_fingerprint_of_the_pinned_root_are_always_shown(self):
        self.open_ready()
        pinned = f"RU-MOW, root {self.city.root.fingerprint()}"
        self.assertEqual(self.browser.text("#data-city"), pinned)
        rogue = City()
        self.assertNotEqual(rogue.root.fingerprint(), self.city.root.fingerprint())
        self.site.data = rogue.files(sequence=6)
        self.assert_refused("another root key")
        self.assertEqual(self.browser.text("#data-city"), pinned)
        self.stop_site()
        self.open(START + HOUR)
        self.assertEqual(self.browser.text("#data-city"), pinned)
        self.browser.click("[data-language=ru]")
        self.assertIn("корень", self.browser.text("#data-city"))
        self.check(self.city.text(strip(9)))
        self.assertTrue(self.browser.run("return document.getElementById('data-city').checkVisibility()"))

    def test_a_page_of_somebody_else_shows_another_fingerprint(self):
        rogue = City()
        self.site.data = rogue.files()
        self.open()
        self.assertEqual(self.browser.text("#data-city"), f"RU-MOW, root {rogue.root.fingerprint()}")
        self.assertEqual(self.reason_of(self.city.text()), "key-unknown")
        self.browser.forget(self.site.origin)
        self.site.data = {}
        self.open()
        self.assertEqual(self.browser.text("#data-city"), "none")

    def test_clearing_the_sites_data_is_the_way_to_a_new_root(self):
        self.open()
        successor = City()
        self.site.data = successor.files(sequence=1)
        self.open()
        self.assertIn("another root key than the one kept here", self.browser.text("#root-warning"))
        self.browser.forget(self.site.origin)
        self.open()
        self.assertEqual(self.browser.text("#root-warning"), "")
        self.assertEqual(self.check(successor.text())[0], "valid")

    def test_a_root_is_pinned_only_with_data_that_it_signs(self):
        self.site.data["root.json"] = self.city.root_file(issuer="RU-SPE")
        self.open()
        self.assertIn("another issuer", self.outcome())
        self.site.data = self.city.files()
        self.assertIn("Updated", self.refresh())

    def test_an_older_list_is_refused(self):
        self.open()
        self.site.data["trust.cose"] = self.city.bundle(sequence=6, lowest=4)
        self.assert_refused("older than the one known")
        self.site.data["trust.cose"] = self.city.bundle(sequence=6, lowest=1)
        self.site.data["revocations.cose"] = self.city.list(2)
        self.assert_refused("older than the one known")
        self.site.data["revocations.cose"] = self.city.list(3, issued=START - 2 * HOUR, tags=[tag(9)])
        self.assert_refused("older than the one known")

    def test_a_list_of_the_same_sequence_may_be_issued_again_but_not_say_something_else(self):
        self.open()
        self.site.data["revocations.cose"] = self.city.list(3, issued=START - 60, tags=[tag(9)])
        self.assertIn("Updated", self.refresh())
        self.assertIn("1 min. ago", self.browser.text("#data-revocations"))
        self.site.data["revocations.cose"] = self.city.list(3, issued=START - 30)
        self.assert_refused("another list")

    def test_a_delta_ends_and_revives_passes_and_is_opened_again_at_the_next_visit(self):
        self.open_ready()
        self.site.data = self.city.files(sequence=6)
        self.site.deltas[3] = self.city.list(7, base=3, tags=[tag(1), tag(2)], removed=[tag(9)])
        self.assertIn("Updated", self.refresh())
        self.site.deltas[7] = self.city.list(8, base=7, tags=[tag(5)], removed=[tag(2)])
        self.assertIn("Updated", self.refresh())
        self.stop_site()
        for _ in range(2):
            self.assertIn("no. 8", self.browser.text("#data-revocations"))
            for number, verdict in ((1, "invalid"), (2, "valid"), (5, "invalid"), (9, "valid")):
                self.assertEqual(self.check(self.city.text(strip(number)))[0], verdict)
            self.open()

    def test_a_delta_that_does_not_fit_gives_way_to_the_whole_list(self):
        self.open()
        whole = self.city.list(9, tags=[tag(1)])
        deltas = [
            self.city.list(8, base=2, tags=[tag(5)]),
            self.city.list(8, base=3, tags=[tag(9)]),
            self.city.list(8, base=3, removed=[tag(5)]),
        ]
        for delta in deltas:
            with self.subTest():
                self.browser.forget(self.site.origin)
                self.site.deltas = {}
                self.site.data = self.city.files()
                self.open()
                self.site.deltas = {3: delta}
                self.site.data["revocations.cose"] = whole
                self.assertIn("Updated", self.refresh())
                self.assertIn("no. 9", self.browser.text("#data-revocations"))

    def test_a_delta_alone_is_no_beginning(self):
        self.site.data["revocations.cose"] = self.city.list(4, base=3, tags=[tag(1)])
        self.open()
        self.assertIn("does not follow", self.outcome())
        self.assertEqual(self.check(self.city.text())[0], "cannot-tell")

    def test_a_key_for_lists_that_leaves_the_bundle_takes_the_lists_before_along(self):
        self.open_ready()
        successor = Key()
        entries = [entry for entry in self.city.entries() if entry[1] != self.city.lists.kid]
        entries.append(self.city.entry(successor, ["revocations"]))
        self.site.data["trust.cose"] = self.city.bundle(6, entries=entries)
        self.site.data["revocations.cose"] = self.city.list(9, tags=[tag(1)], signer=successor)
        self.site.deltas[3] = self.city.list(9, base=3, tags=[tag(1)], removed=[tag(9)], signer=successor)
        self.assertIn("Updated", self.refresh())
        self.stop_site()
        self.open()
        self.assertEqual(self.reason_of(self.city.text()), "revoked")

    def test_a_key_published_ahead_is_used_without_network_from_its_time_on(self):
        successor = Key()
        entries = [*self.city.entries(), self.city.entry(successor, ["city"], first=START + 2 * HOUR)]
        self.site.data["trust.cose"] = self.city.bundle(entries=entries)
        self.open_ready()
        self.assertEqual(self.reason_of(self.city.text(key=successor)), "key-not-valid-now")
        self.stop_site()
        self.open(START + 2 * HOUR)
        self.assertEqual(self.check(self.city.text(key=successor))[0], "valid")
        self.assertEqual(self.check(self.city.text())[0], "valid")

    def test_an_open_page_refuses_older_data_and_another_root_also_when_its_storage_was_emptied(self):
        self.open_ready()
        self.browser.devtools("Storage.clearDataForOrigin", origin=self.site.origin, storageTypes="indexeddb")
        self.site.data = self.city.files(sequence=4)
        self.assert_refused("keys are older")
        self.site.data = self.city.files(issued=START - 60)
        self.assert_refused("other keys under the same number")
        self.site.data = City().files(sequence=6)
        self.assert_refused("another root key")

    def test_two_tabs_cannot_bring_older_data_back(self):
        self.open()
        self.site.data = self.city.files(sequence=7)
        first = self.browser.ask("GET", "/window")
        second = self.browser.ask("POST", "/window/new", {"type": "tab"})["handle"]
        self.browser.ask("POST", "/window", {"handle": second})
        self.browser.clock = None
        self.open()
        self.assertIn("no. 7", self.browser.text("#data-keys"))
        self.browser.ask("DELETE", "/window")
        self.browser.ask("POST", "/window", {"handle": first})
        self.site.data = self.city.files(sequence=6)
        self.assert_refused("keys are older")
        self.site.data = self.city.files(sequence=7, issued=START - 60)
        self.assert_refused("other keys under the same number")

    def test_a_bundle_with_a_key_twice_or_without_a_point_of_the_curve_is_refused(self):
        self.open()
        key = self.city.entry(Key(), ["city"])
        bad = [
            [*self.city.entries(), key, key],
            [key | {3: bytes(32)}],
            [key | {1: bytes(8)}],
            [key | {5: key[4]}],
            [key | {7: 1}],
            [key | {2: bytes(31)}],
            [key | {6: "city"}],
            [key | {1: "kid"}],
        ]
        for entries in bad:
            self.site.data["trust.cose"] = self.city.bundle(6, entries=entries)
            self.assert_refused("keys cannot be read")

    def test_the_most_keys_are_taken_and_one_more_is_refused(self):
        self.open()
        keys = [self.city.entry(Key(), ["city"]) for _ in range(257 - len(self.city.entries()))]
        self.site.data["trust.cose"] = self.city.bundle(6, entries=self.city.entries() + keys)
        self.assert_refused("keys cannot be read")
        self.site.data["trust.cose"] = self.city.bundle(6, entries=self.city.entries() + keys[1:])
        self.assertIn("Updated", self.refresh())

    def test_the_data_is_refreshed_when_the_network_comes_back(self):
        self.open()
        self.site.data = self.city.files(sequence=6)
        self.browser.run("dispatchEvent(new Event('online'))")
        wait(lambda: "no. 6" in self.browser.text("#data-keys"), "the refresh")


if __name__ == "__main__":
    unittest.main()
