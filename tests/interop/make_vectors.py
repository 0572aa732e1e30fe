"""Makes test vectors of health certificates, in the form of the public EU test data, with nothing of ours.

make_vectors.py FOLDER

Keys and certificates are made anew. `NAME.json` is a vector; its member FAULTS names the steps that `pass hcert` must
find a fault in. One vector is valid for each algorithm, key size, tagging and kind, and there is one for each fault.
"""

import base64
import copy
import datetime
import io
import json
import sys
import zlib
from pathlib import Path

import cbor2
import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID, ObjectIdentifier

import base45

ISSUED, CLOCK, EXPIRES = 1620064800, "2021-05-03T20:30:00+02:00", 1622743200
USAGES = {"t": "1.3.6.1.4.1.1847.2021.1.1", "v": "1.3.6.1.4.1.1847.2021.1.2", "r": "1.3.6.1.4.1.1847.2021.1.3"}
OLD_USAGES = {kind: oid.replace(".1.1847", ".1.0.1847") for kind, oid in USAGES.items()}
ES256, ES384, PS256 = -7, -35, -37
UTC = datetime.timezone.utc

HOLDER = {"nam": {"fn": "Musterfrau-Gößinger", "fnt": "MUSTERFRAU<GOESSINGER", "gn": "Gabriele", "gnt": "GABRIELE"}}
COMMON = {"tg": "840539006", "co": "AT", "is": "Ministry", "ci": "URN:UVCI:01:AT:1"}
ENTRIES = {
    "v": {"vp": "1119305005", "mp": "EU/1/20/1528", "ma": "ORG-100030215", "dn": 1, "sd": 2, "dt": "2021-02-18"},
    "t": {"tt": "LP6464-4", "nm": "Kit", "sc": "2021-05-02T12:34:56Z", "tr": "260415000", "tc": "Centre"},
    "r": {"fr": "2021-02-20", "df": "2021-04-04", "du": "2021-10-04"},
}


def dcc(kind: str, version: str = "1.0.0") -> dict:
    return {"ver": version, **copy.deepcopy(HOLDER), "dob": "1998-02-26", kind: [{**ENTRIES[kind], **COMMON}]}


class Issuer:
    def __init__(self, key, usages=()):
        self.key = key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuer of tests")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(2021, 5, 1, tzinfo=UTC))
            .not_valid_after(datetime.datetime(2023, 5, 1, tzinfo=UTC))
        )
        if usages:
            usage = x509.ExtendedKeyUsage([ObjectIdentifier(oid) for oid in usages])
            builder = builder.add_extension(usage, critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        self.certificate = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        self.kid = certificate.fingerprint(hashes.SHA256())[:8]
        self.algorithm = ES256 if isinstance(key, ec.EllipticCurvePrivateKey) else PS256

    def sign(self, signed: bytes) -> bytes:
        if self.algorithm == PS256:
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            return self.key.sign(signed, pss, hashes.SHA256())
        r, s = utils.decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


EC = Issuer(ec.generate_private_key(ec.SECP256R1()))
RSA_2048 = Issuer(rsa.generate_private_key(65537, 2048))
RSA_3072 = Issuer(rsa.generate_private_key(65537, 3072))


def for_kinds(*oids: str) -> Issuer:
    return Issuer(ec.generate_private_key(ec.SECP256R1()), oids)


def message(issuer: Issuer, certificate: dict, tags=(18,), signer: Issuer | None = None, **changes) -> bytes:
    kids = {"protected": issuer.kid, "unprotected": None, **changes}
    protected = {1: changes.get("algorithm", issuer.algorithm)}
    if kids["protected"] is not None:
        protected[4] = kids["protected"]
    unprotected = {} if kids["unprotected"] is None else {4: kids["unprotected"]}
    claims = {1: "AT", 4: changes.get("expires", EXPIRES), 6: changes.get("issued", ISSUED), -260: {1: certificate}}
    payload = changes.get("payload", cbor2.dumps(changes.get("claims", claims)))
    header = cbor2.dumps(protected)
    signature = (signer or issuer).sign(cbor2.dumps(["Signature1", header, b"", payload]))
    item = [header, unprotected, payload, signature]
    for tag in reversed(tags):
        item = cbor2.CBORTag(tag, item)
    return cbor2.dumps(item)


def picture(text: str) -> str:
    data = io.BytesIO()
    segno.make_qr(text, error="q").save(data, kind="png", scale=4)
    return base64.b64encode(data.getvalue()).decode()


def vector(issuer: Issuer, certificate: dict, cose: bytes | None = None, faults=(), fail=(), **members) -> dict:
    """A vector whose expectations are all true but those in `fail`, which must be found with the `faults`."""
    cose = message(issuer, certificate) if cose is None else cose
    stream = members.get("stream", zlib.compress(cose))
    text = members.get("base45", base45.encode(stream))
    prefixed = members.get("prefix", "HC1:") + text
    expected = {
        name: name not in fail
        for name in (
            "EXPECTEDVALIDOBJECT EXPECTEDSCHEMAVALIDATION EXPECTEDENCODE EXPECTEDDECODE EXPECTEDVERIFY "
            "EXPECTEDCOMPRESSION EXPECTEDKEYUSAGE EXPECTEDUNPREFIX EXPECTEDVALIDJSON EXPECTEDB45DECODE "
            "EXPECTEDPICTUREDECODE EXPECTEDEXPIRATIONCHECK"
        ).split()
    }
    return {
        "JSON": certificate,
        "CBOR": cbor2.dumps(certificate).hex(),
        "COSE": cose.hex(),
        "COMPRESSED": stream.hex(),
        "BASE45": text,
        "PREFIX": prefixed,
        "2DCODE": members.get("picture", picture(prefixed)),
        "TESTCTX": {
            "VERSION": 1,
            "SCHEMA": certificate.get("ver", "1.0.0"),
            "CERTIFICATE": issuer.certificate,
            "VALIDATIONCLOCK": members.get("clock", CLOCK),
        },
        "EXPECTEDRESULTS": expected,
        "FAULTS": list(faults),
    }


def broken_picture() -> str:
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(picture("HC1:" + "A" * 300)))).convert("L")
    side = image.width
    image.paste(255, (side // 3, side // 3, side - 20, side - 20))
    data = io.BytesIO()
    image.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def good_vectors() -> dict[str, dict]:
    vectors = {"rsa-2048": vector(RSA_2048, dcc("v")), "rsa-3072": vector(RSA_3072, dcc("v"))}
    for version in ("1.0.0", "1.1.0", "1.2.1", "1.3.0"):
        for kind in "vtr":
            vectors[f"{kind}-{version}"] = vector(EC, dcc(kind, version))
    for kind in "vtr":
        for name, usages in (("usage", USAGES), ("old-usage", OLD_USAGES)):
            vectors[f"{name}-{kind}"] = vector(for_kinds(usages[kind]), dcc(kind))
    for tags in ((), (61, 18)):
        cose = message(EC, dcc("t"), tags)
        vectors["tags-" + "-".join(map(str, tags))] = vector(EC, dcc("t"), cose)
    other = b"\1" * 8
    for name, kids in {
        "kid-unprotected": {"protected": None, "unprotected": EC.kid},
        "kid-both": {"unprotected": EC.kid},
        "kid-other-unprotected": {"unprotected": other},
    }.items():
        vectors[name] = vector(EC, dcc("r"), message(EC, dcc("r"), **kids))
    cose = message(EC, dcc("v"), issued=float(ISSUED) + 0.5, expires=float(EXPIRES))
    vectors["float-dates"] = vector(EC, dcc("v"), cose)
    tagged = dcc("t")
    tagged["t"][0]["sc"] = cbor2.CBORTag(0, "2021-05-02T12:34:56Z")
    vectors["tagged-date"] = vector(EC, dcc("t"), message(EC, tagged))
    return vectors


def faulty_vectors() -> dict[str, dict]:
    cose = message(EC, dcc("v"))
    stream = zlib.compress(cose)
    text = base45.encode(stream)
    everything = ("EXPECTEDDECODE", "EXPECTEDVERIFY", "EXPECTEDSCHEMAVALIDATION", "EXPECTEDKEYUSAGE")
    message_only = (*everything, "EXPECTEDEXPIRATIONCHECK")
    make = lambda cose=None, **rest: vector(EC, dcc("v"), cose, **rest)
    vectors = {
        "qr-broken": make(cose, faults=["qr"], fail=["EXPECTEDPICTUREDECODE"], picture=broken_picture()),
        "qr-other": make(cose, faults=["qr"], fail=["EXPECTEDPICTUREDECODE"], picture=picture("HC1:ABC")),
        "prefix-hl1": make(cose, faults=["prefix"], fail=["EXPECTEDUNPREFIX"], prefix="HL1:"),
        "prefix-hc2": make(cose, faults=["prefix"], fail=["EXPECTEDUNPREFIX"], prefix="HC2:"),
        "prefix-none": make(cose, faults=["prefix"], fail=["EXPECTEDUNPREFIX"], prefix=""),
        "base45": make(cose, faults=["base45"], fail=["EXPECTEDB45DECODE"], base45="~" + text[1:]),
        "zlib-broken": make(
            cose, faults=["zlib"], fail=["EXPECTEDCOMPRESSION"], stream=stream[:40] + b"\xff" * 20 + stream[60:]
        ),
        "zlib-none": make(cose, faults=["zlib"], fail=["EXPECTEDCOMPRESSION"], stream=cose),
        "cbor": make(b"\xd2\x84\xff" + cose[3:], faults=["cbor"], fail=message_only),
        "cwt": make(message(EC, {}, payload=cbor2.dumps([1, 2])), faults=["claims"],
                    fail=[name for name in message_only if name != "EXPECTEDVERIFY"]),
        "tag": make(message(EC, dcc("v"), (98,)), faults=["tag"], fail=["EXPECTEDVERIFY"]),
        "algorithm": make(message(EC, dcc("v"), algorithm=ES384), faults=["algorithm"], fail=["EXPECTEDVERIFY"]),
        "signature": make(message(EC, dcc("v"), signer=for_kinds()), faults=["signature"], fail=["EXPECTEDVERIFY"]),
        "kid-protected-other": make(
            message(EC, dcc("v"), protected=b"\1" * 8, unprotected=EC.kid), faults=["kid"], fail=["EXPECTEDVERIFY"]
        ),
        "kid-unprotected-other": make(
            message(EC, dcc("v"), protected=None, unprotected=b"\1" * 8), faults=["kid"], fail=["EXPECTEDVERIFY"]
        ),
        "kid-none": make(message(EC, dcc("v"), protected=None), faults=["kid"], fail=["EXPECTEDVERIFY"]),
        "clock-before": make(cose, faults=["clock"], fail=["EXPECTEDEXPIRATIONCHECK"], clock="2021-05-02T20:00:00Z"),
        "clock-after": make(cose, faults=["clock"], fail=["EXPECTEDEXPIRATIONCHECK"], clock="2021-07-03T20:00:00Z"),
    }
    for signs in "vtr":
        issuer = for_kinds(USAGES[signs])
        for kind in "vtr".replace(signs, ""):
            vectors[f"usage-{signs}-for-{kind}"] = vector(
                issuer, dcc(kind), faults=["key-usage"], fail=["EXPECTEDKEYUSAGE"]
            )
    wrong = dcc("v", "1.3.0")
    del wrong["v"][0]["ci"]
    schema = ["EXPECTEDVALIDOBJECT", "EXPECTEDSCHEMAVALIDATION"]
    vectors["schema"] = vector(EC, wrong, faults=["schema"], fail=schema)
    both = {**dcc("v"), "t": dcc("t")["t"]}
    vectors["several"] = vector(
        EC, both, faults=["content"], fail=["EXPECTEDSCHEMAVALIDATION", "EXPECTEDKEYUSAGE"]
    )
    return vectors


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (good_vectors() | faulty_vectors()).items():
        content["TESTCTX"]["DESCRIPTION"] = name
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


main()
