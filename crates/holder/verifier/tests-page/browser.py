"""Drives one headless Chromium through chromedriver (W3C WebDriver) with the standard library alone."""

import base64
import json
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE = 90

# Stands in for the clock before the page loads; the page itself knows nothing of it.
CLOCK = """{
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...parts) { if (parts.length > 0) { super(...parts); } else { super(%d); } }
    static now() { return %d; }
  };
}"""


class Browser:
    def __init__(self, video=None):
        self.folder = tempfile.mkdtemp(prefix="page-test-")
        self.clock = None
        self.port = free_port()
        log = open(f"{self.folder}/driver.log", "wb")
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], stdout=log, stderr=log)
        log.close()
        wait(self.is_up, "chromedriver to answer")
        options = {"binary": shutil.which("chromium"), "args": arguments(self.folder, video)}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"

    def close(self):
        try:
            self.call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def is_up(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as refusal:
            raise RuntimeError(json.load(refusal)["value"]["message"]) from None

    def ask(self, method, path, body=None):
        return self.call(method, self.session + path, body)

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def set_clock(self, seconds):
        """Sets the time of pages that are loaded from now on; None gives the real one back."""
        if self.clock is not None:
            self.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=self.clock)
            self.clock = None
        if seconds is not None:
            source = CLOCK % (seconds * 1000, seconds * 1000)
            self.clock = self.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]

    def forget(self, origin):
        """Removes everything that the origin has stored."""
        self.open("about:blank")
        self.devtools("Storage.clearDataForOrigin", origin=origin, storageTypes="all")

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *values):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(values)})

    def run_async(self, script, *values):
        """Runs the body of an async function; its value, or its error, comes back."""
        whole = f"const done = arguments[arguments.length - 1]; (async (...values) => {{ {script} }})(...arguments)"
        whole += ".then((value) => done({ value }), (error) => done({ error: String(error), code: error.code }));"
        answer = self.ask("POST", "/execute/async", {"script": whole, "args": list(values)})
        if "error" in answer:
            raise PageError(answer["error"], answer.get("code"))
        return answer.get("value")

    def find(self, selector):
        return self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def find_all(self, selector):
        found = self.ask("POST", "/elements", {"using": "css selector", "value": selector})
        return [element[ELEMENT] for element in found]

    def label(self, element):
        return self.ask("GET", f"/element/{element}/computedlabel")

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? null", selector)

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def resize(self, width, height, is_phone):
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)

    def screenshot(self, path):
        picture = self.devtools("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))

    def console(self):
        return self.ask("POST", "/se/log", {"type": "browser"})


class PageError(Exception):
    """An error that the page's own code threw; `code` is that of its fault."""

    def __init__(self, message, code):
        super().__init__(message)
        self.code = code


def arguments(folder, video):
    chosen = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
        "--accept-lang=en-US", "--window-size=1280,900", f"--user-data-dir={folder}/profile",
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    ]
    return chosen + ([f"--use-file-for-fake-video-capture={video}"] if video else [])


# Names of ports that were handed out, held until this process ends.
RESERVED = []


def free_port():
    """A port on 127.0.0.1 that nobody else gets: no client, since it lies below the range that clients are given ports from,
    and no other test, since the Rust tests reserve theirs by the same name (crates/dev/testbed/src/ports.rs)."""
    while True:
        port = random.randint(10_001, 32_767)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0testbed-port-{port}")
            name.listen()
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        RESERVED.append(name)
        return port


def wait(is_so, what, patience=PATIENCE):
    """The first true answer of `is_so`; fails when patience, in seconds, has run out."""
    end = time.monotonic() + patience
    while True:
        answer = is_so()
        if answer:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(0.05)
