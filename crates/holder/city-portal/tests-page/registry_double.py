"""A double of the registry's interface, which signs passes with the code of the verifier page's tests, and misbehaves on request."""

import contextlib
import json
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from browser import free_port
from passes import DAY, DOSE, HOUR, ISSUER, RECOVERY, TEST, City, entry_of, pass_id, text_of

MOSCOW = timezone(timedelta(hours=3))
REASONS = [
    {"code": "second-dose-missing", "ru": "Не хватает второй дозы.", "en": "The second dose is missing."},
    {"code": "odd", "ru": "<script>document.title='!'</script>", "en": "<img src=x onerror=\"document.title='!'\">"},
]
CERTIFICATES = {"vaccination": ("v", DOSE), "recovery": ("r", RECOVERY), "test": ("t", TEST)}


def midnight(days=0):
    """First second of a day from today on in Moscow, in unix seconds."""
    today = datetime.now(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(today.timestamp()) + days * DAY


def date(days):
    return datetime.fromtimestamp(midnight(days), MOSCOW).date().isoformat()


def stamp(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


class Registry:
    """`behaviour` is a name of a method below, or a pair of status and problem code."""

    def __init__(self):
        self.city = City()
        self.behaviour = "entitled"
        self.requests = []
        self.number = 0
        self.port = free_port()
        self.connections = []
        self.answers = {}
        self.hold = threading.Event()
        self.start()

    def start(self):
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.reply(200, b"a bundle")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = self.headers.get("Idempotency-Key")
                registry.requests.append((self.path, key, body))
                status, answer = registry.answer(self.path, key, body)
                self.reply(status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def reply(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                request = super().get_request()
                registry.connections.append(request[0])
                return request

            def handle_error(self, *_):
                # The portal hung up.
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        # Those that were kept would be answered on.
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()

    def answer(self, path, key, body):
        if isinstance(self.behaviour, tuple):
            status, code = self.behaviour
            return status, {"title": "Problem", "status": status, "detail": "words", "code": code}
        if self.behaviour == "nonsense":
            return 200, b"<html>"
        if self.behaviour == "silent":
            self.hold.wait(30)
            return 200, b"<html>"
        if path == "/v1/eligibility":
            return 200, self.eligibility()
        known = (key, json.dumps(body))
        if known not in self.answers:
            self.answers[known] = self.passes(body)
        return 200, self.answers[known]

    def eligibility(self):
        if self.behaviour == "refused":
            return {"today": date(0), "covered": [{"from": date(14), "last": None}], "reasons": REASONS}
        return {"today": date(0), "covered": [{"from": date(0), "last": date(20)}], "reasons": []}

    def passes(self, body):
        if self.behaviour == "refused":
            return {"outcome": "refused", "reasons": REASONS}
        if self.behaviour == "exhausted":
            return {"outcome": "exhausted"}
        form, holder = body["form"], body["holder"]
        if form == "days":
            return {"outcome": "strips", "strips": [self.strip(day, 1, holder) for day in (0, 0, 0, 1, 2, 3)]}
        if form == "paper":
            return {"outcome": "strips", "strips": [self.strip(0, 7, holder)]}
        return {"outcome": "certificate", "certificate": self.certificate(form, holder)}

    def next_id(self):
        self.number += 1
        return pass_id(self.number)

    def strip(self, day, days, holder):
        start, end = midnight(day), midnight(day + days)
        names = ("given_initial", "family_initial", "birth_day", "birth_month")
        attributes = {label: holder[name] for label, name in enumerate(names, 1) if name in holder}
        claims = {1: ISSUER, 4: end, 5: start, 7: self.next_id(), -65537: attributes}
        return {"from": stamp(start), "until": stamp(end), "text": text_of(self.city.strips.sign(claims))}

    def certificate(self, form, holder):
        group, values = CERTIFICATES[form]
        own = self.next_id()
        entry = entry_of(values) | {"ci": "URN:UVCI:01:RU:" + own.hex().upper()}
        names = {"fnt": holder.get("family_initial", ""), "gnt": holder.get("given_initial", "")}
        content = {"ver": "1.3.0", "nam": names, "dob": "", group: [entry]}
        start, end = midnight(0), midnight(30)
        claims = {1: ISSUER, 4: end, 6: start, 7: own, -260: {1: content}}
        return {"from": stamp(start), "until": stamp(end), "text": text_of(self.city.certificates.sign(claims))}

    def publish(self, folder):
        """Writes what a verifier pins and fetches."""
        now = int(time.time())
        city = self.city
        products = [(city.strips, ["city"]), (city.certificates, ["hcert"]), (city.lists, ["revocations"])]
        entries = [city.entry(key, products, now - DAY, now + 40 * DAY) for key, products in products]
        (folder / "root.jwk").write_text(json.dumps(city.root.jwk()))
        (folder / "trust.cose").write_bytes(city.bundle(issued=now - HOUR, entries=entries))
        (folder / "revocations.cose").write_bytes(city.list(issued=now - HOUR))
