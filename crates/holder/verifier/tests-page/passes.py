"""Passes, bundles and lists for the tests of the page, made by other code than the page's: cbor2 and cryptography."""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ISSUER = "RU-MOW"
ZONE = "Europe/Moscow"
HOUR = 3600
DAY = 24 * HOUR
# A week in which the clocks are put back.
LONGEST = 7 * DAY + HOUR
# 2026-12-01, 10:00 in Moscow: the time at which the browser of the tests begins.
START = 1_796_108_400
MIDNIGHT = START - 10 * HOUR
BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def cbor(value):
    return cbor2.dumps(value, canonical=True)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def base45(data):
    text = ""
    for at in range(0, len(data) - 1, 2):
        value = data[at] * 256 + data[at + 1]
        text += BASE45[value % 45] + BASE45[value // 45 % 45] + BASE45[value // 2025]
    if len(data) % 2:
        text += BASE45[data[-1] % 45] + BASE45[data[-1] // 45]
    return text


def stored(data):
    """A zlib stream of stored blocks."""
    block = len(data).to_bytes(2, "little")
    inverted = bytes(byte ^ 0xFF for byte in block)
    return b"\x78\x01\x01" + block + inverted + data + zlib.adler32(data).to_bytes(4, "big")


def text_of(cose):
    return "HC1:" + base45(stored(cose))


class Key:
    """A P-256 key with the id that the city gives it."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.x = numbers.x.to_bytes(32, "big")
        self.y = numbers.y.to_bytes(32, "big")
        thumbprint = {"crv": "P-256", "kty": "EC", "x": base64url(self.x), "y": base64url(self.y)}
        canonical = json.dumps(thumbprint, sort_keys=True, separators=(",", ":")).encode()
        self.thumbprint = hashlib.sha256(canonical).digest()
        self.kid = base64url(self.thumbprint)[:8].encode()

    def fingerprint(self):
        """What people read aloud: five groups of four digits."""
        pairs = [int.from_bytes(self.thumbprint[at : at + 2], "big") for at in range(0, 10, 2)]
        return " ".join(f"{pair % 10_000:04}" for pair in pairs)

    def jwk(self):
        shape = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid.decode()}
        return shape | {"x": base64url(self.x), "y": base64url(self.y)}

    def signature(self, protected, payload):
        signed = cbor(["Signature1", protected, b"", payload])
        r, s = decode_dss_signature(self.private.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign1(self, claims, *, header=None, unprotected=None):
        """An untagged COSE_Sign1, as a list that a test may change."""
        protected = cbor({1: -7, 4: self.kid} if header is None else header)
        payload = claims if isinstance(claims, bytes) else cbor(claims)
        return [protected, unprotected or {}, payload, self.signature(protected, payload)]

    def sign(self, claims, **headers):
        return cbor(cbor2.CBORTag(18, self.sign1(claims, **headers)))


def strip(number=1, holder=None):
    """Claims of a strip for the day of START."""
    attributes = {1: "S", 2: "Z", 3: 7, 4: 11} if holder is None else holder
    return {1: ISSUER, 4: MIDNIGHT + DAY, 5: MIDNIGHT, 7: pass_id(number), -65537: attributes}


DOSE = {"vp": "J07BX03", "mp": "Sputnik-V", "ma": "Gamaleya-Research-Institute", "dn": 2, "sd": 2, "dt": "2026-10-01"}
RECOVERY = {"fr": "2026-09-01", "df": "2026-09-12", "du": "2027-02-28"}
TEST = {"tt": "LP6464-4", "sc": "2026-11-30T08:15:00Z", "tr": "260415000"}


def entry_of(values, number=2):
    """An entry of a certificate, with what all have."""
    name = "URN:UVCI:01:RU:" + pass_id(number).hex().upper()
    return {"tg": "840539006", "co": "RU", "is": ISSUER, "ci": name} | values


def hcert(group="v", entry=None, number=2, **changes):
    """Claims of a certificate; of a vaccination if no other entry is given."""
    entries = [entry_of(entry or DOSE, number)]
    content = {"ver": "1.3.0", "nam": {"fnt": "I", "gnt": "K"}, "dob": "", group: entries} | changes
    return {1: ISSUER, 4: MIDNIGHT + 30 * DAY, 6: MIDNIGHT, 7: pass_id(number), -260: {1: content}}


def pass_id(number):
    return hashlib.sha256(number.to_bytes(8, "big")).digest()[:8]


def tag(number):
    return int.from_bytes(pass_id(number)[:6], "big")


def coded_set(tags, parameter=None):
    """The set of tags by Golomb-Rice; with the shortest parameter, or the one given."""
    gaps = []
    lowest = 0
    for number in sorted(tags):
        gaps.append(number - lowest)
        lowest = number + 1
    if parameter is None:
        parameter = min(range(49), key=lambda k: sum((gap >> k) + 1 + k for gap in gaps)) if gaps else 0
    bits = "".join("1" * (gap >> parameter) + "0" + low_bits(gap, parameter) for gap in gaps)
    bits += "0" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""
    return {1: len(gaps), 2: parameter, 3: packed}


def low_bits(gap, parameter):
    return format(gap & ((1 << parameter) - 1), f"0{parameter}b") if parameter else ""


@dataclass
class City:
    """The city: its root, its keys, and what it publishes."""

    root: Key = field(default_factory=Key)
    strips: Key = field(default_factory=Key)
    certificates: Key = field(default_factory=Key)
    lists: Key = field(default_factory=Key)
    ended: Key = field(default_factory=Key)

    def entry(self, key, products, first=START - 30 * DAY, end=START + 30 * DAY):
        return {1: key.kid, 2: key.x, 3: key.y, 4: first, 5: end, 6: products}

    def entries(self):
        return [
            self.entry(self.strips, ["city"]),
            self.entry(self.certificates, ["hcert"]),
            self.entry(self.lists, ["revocations"]),
            self.entry(self.ended, ["city"], end=START - HOUR),
        ]

    def bundle(self, sequence=5, issued=START - HOUR, lowest=3, entries=None, signer=None, issuer=ISSUER):
        payload = {1: "trust", 2: sequence, 3: issued, 4: entries or self.entries(), 5: lowest, 6: issuer}
        return (signer or self.root).sign(payload)

    def list(self, sequence=3, issued=START - HOUR, tags=(), base=0, removed=(), signer=None):
        payload = {1: "revocations", 2: sequence, 3: issued, 4: base, 5: coded_set(tags)}
        if base:
            payload[6] = coded_set(removed)
        return (signer or self.lists).sign(payload)

    def root_file(self, issuer=ISSUER):
        return json.dumps({"key": self.root.jwk(), "issuer": issuer, "zone": ZONE}).encode()

    def files(self, **bundle):
        """What the page fetches: root, bundle, and a list that ends pass 9."""
        return {
            "root.json": self.root_file(),
            "trust.cose": self.bundle(**bundle),
            "revocations.cose": self.list(tags=[tag(9)]),
        }

    def text(self, claims=None, key=None):
        return text_of((key or self.strips).sign(claims or strip()))
