"""A server on loopback that serves the page, and data that the tests choose; it remembers what it was asked for."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = Path(__file__).parent.parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


class Site:
    """`data` maps names of files to bytes, or to a status; `deltas` maps the sequence held to the answer."""

    def __init__(self, data=None):
        self.data = data or {}
        self.deltas = {}
        self.changed_files = {}
        self.requests = []
        self.port = 0
        self.start()

    def start(self):
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append(self.path)
                status, kind, body = site.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    def answer(self, target):
        url = urlsplit(target)
        if url.path.startswith("/data/"):
            return self.data_answer(url)
        name = url.path.lstrip("/") or "index.html"
        if name in self.changed_files:
            return 200, TYPES[Path(name).suffix], self.changed_files[name]
        file = (PAGE / name).resolve()
        if not file.is_relative_to(PAGE.resolve()) or not file.is_file():
            return 404, "text/plain", b"no such file"
        return 200, TYPES.get(file.suffix, "application/octet-stream"), file.read_bytes()

    def data_answer(self, url):
        after = parse_qs(url.query).get("after", [""])[0]
        if after.isdigit() and int(after) in self.deltas:
            found = self.deltas[int(after)]
        else:
            found = self.data.get(url.path.removeprefix("/data/"), 404)
        if isinstance(found, int):
            return found, "text/plain", b"" if found == 204 else b"refused"
        return 200, "application/octet-stream", found
