"""A fake camera and image files: persons one after the other, with and without the server."""

import tempfile
import unittest
from pathlib import Path

import pictures
from browser import wait
from page import PageTest
from passes import City, strip


class Camera(PageTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="page-camera-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.video = str(cls.folder / "door.y4m")
        cls.city = city = City()
        # One person, at once the next one, whose pass has ended, then nobody for longer than a verdict is shown.
        pictures.video([(city.text(), 2.5), (city.text(strip(9)), 2.5), (None, 8)], cls.video)
        super().setUpClass()
        cls.city = city

    def setUp(self):
        super().setUp()
        self.browser.forget(self.site.origin)
        self.addCleanup(self.browser.open, "about:blank")

    def page_with(self, verdict):
        """What the page says while it shows this verdict; None at another one."""
        return self.browser.run("""
          const shown = document.querySelector('.card')?.dataset.verdict ?? null;
          return shown === arguments[0] ? document.body.innerText : null;
        """, verdict)

    def watch_a_round(self):
        """Follows valid, invalid, nothing; what the page says at each."""
        said = []
        for verdict in ("valid", "invalid", None):
            said.append(wait(lambda: self.page_with(verdict), f"{verdict} by the camera"))
        return said

    def assert_round(self):
        first, second, nobody = self.watch_a_round()
        self.assertIn("Ж, З", first)
        self.assertIn("revoked", second)
        for later in (second, nobody):
            self.assertNotIn("Ж, З", later)
            self.assertNotIn("November", later)

    def start(self):
        self.open_ready()
        self.browser.click("#camera-start")
        wait(lambda: self.browser.run("return document.getElementById('camera').videoWidth") == pictures.WIDTH, "video")

    def test_persons_pass_by_each_is_said_once_and_nobody_sees_the_one_before(self):
        self.start()
        before = self.asked()
        self.browser.run("""
          globalThis.said = [];
          const watcher = new MutationObserver((changes) => {
            for (const card of changes.flatMap((change) => [...change.addedNodes])) { said.push(card.dataset.verdict); }
          });
          for (const id of ['result-status', 'result-alert']) {
            watcher.observe(document.getElementById(id), { childList: true });
          }
        """)
        self.assert_round()
        self.assert_round()
        said = self.browser.run("return said")
        self.assertTrue(all(first != second for first, second in zip(said, said[1:])), said)
        self.assertEqual(self.asked_since(before), [])

    def test_the_camera_works_after_the_server_was_stopped(self):
        self.start()
        self.browser.click("#camera-stop")
        self.stop_site()
        self.open()
        self.browser.click("#camera-start")
        self.assert_round()

    def test_stopping_the_camera_removes_the_person_and_ends_the_stream(self):
        self.start()
        wait(lambda: self.verdict() == "valid", "a verdict")
        self.browser.run("globalThis.track = document.getElementById('camera').srcObject.getTracks()[0]")
        self.browser.click("#camera-stop")
        self.assertIsNone(self.verdict())
        self.assertEqual(self.browser.run("return track.readyState"), "ended")
        self.assertFalse(self.browser.run("return document.getElementById('camera').checkVisibility()"))

    def test_a_camera_that_is_refused_is_said(self):
        self.open()
        self.browser.run("navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }")
        self.browser.click("#camera-start")
        self.wait_for("#problem", "could not be opened: NotAllowedError")
        self.assertTrue(self.browser.run("return document.getElementById('camera-start').checkVisibility()"))

    def test_images_are_read_and_what_is_none_is_said(self):
        self.open()
        files = {"valid.png": self.city.text(), "invalid.png": self.city.text(strip(9)), "other.png": "https://example.org/"}
        for name, text in files.items():
            pictures.image(text, self.folder / name)
        (self.folder / "broken.png").write_bytes(b"no picture")
        for name, verdict in (("valid.png", "valid"), ("invalid.png", "invalid"), ("other.png", "invalid")):
            self.browser.type("#image", str(self.folder / name))
            wait(lambda: self.verdict() == verdict, f"the verdict on {name}")
            self.assertEqual(self.browser.text("#problem"), "")
        pictures.image(self.city.text(), self.folder / "drawing.svg")
        self.browser.type("#image", str(self.folder / "drawing.svg"))
        wait(lambda: self.verdict() == "valid", "the verdict on a drawing")
        self.browser.type("#image", str(self.folder / "broken.png"))
        self.wait_for("#problem", "could not be opened as an image")
        self.assertIsNone(self.verdict())
        (self.folder / "blank.png").write_bytes(WHITE_PIXEL)
        self.browser.type("#image", str(self.folder / "blank.png"))
        self.wait_for("#problem", "No QR code was found")
        self.assertEqual(self.browser.run("return document.getElementById('image').value"), "")

    def test_a_large_scan_a_faint_print_and_a_dark_screen_are_read(self):
        self.open()
        large = self.folder / "large.png"
        pictures.image(self.city.text(), large, module=40)
        self.browser.type("#image", str(large))
        wait(lambda: self.verdict() == "valid", "the verdict on a large scan")
        faint = self.folder / "faint.png"
        pictures.image(self.city.text(strip(9)), faint, colours=("808080", "B8B8B8"))
        self.browser.type("#image", str(faint))
        wait(lambda: self.verdict() == "invalid", "the verdict on a faint print")
        self.browser.type("#image", str(large))
        wait(lambda: self.verdict() == "valid", "the verdict on a large scan")
        inverted = self.folder / "inverted.png"
        pictures.image(self.city.text(strip(9)), inverted, colours=("FFFFFF", "101010"))
        self.browser.type("#image", str(inverted))
        wait(lambda: self.verdict() == "invalid", "the verdict on a dark screen")


class FaintPrint(PageTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="page-camera-")
        cls.addClassCleanup(folder.cleanup)
        cls.video = f"{folder.name}/faint.y4m"
        city = City()
        pictures.video([(city.text(), 2)], cls.video, squares=pictures.FAINT)
        super().setUpClass()
        cls.city = city

    def test_a_faint_print_is_read_by_the_camera(self):
        self.open()
        self.browser.click("#camera-start")
        wait(lambda: self.verdict() == "valid", "the verdict on a faint print")
        self.browser.open("about:blank")


# An image of one white pixel.
WHITE_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)


if __name__ == "__main__":
    unittest.main()
