"""Verifies passes with two libraries that are not ours (cwt, pycose), and sees that they refuse bad ones.

verify_passes.py TRUST.json PASS.txt… [--refused PASS.txt…]

Every pass must verify; then with a changed byte, and with another key, it must not. A pass after --refused must be
refused by cwt, which looks at the times too: it has expired, is not valid yet, or is of another key.
"""

import json
import sys
import zlib
from pathlib import Path

import cbor2
import cwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.messages import Sign1Message

import base45

ISSUER, EXPIRY, NOT_BEFORE, ISSUED_AT, ID, HOLDER, HEALTH = 1, 4, 5, 6, 7, -65537, -260


def message_of(path: Path) -> bytes:
    text = path.read_text(encoding="utf-8").strip("\r\n")
    prefix, rest = text[:4], text[4:]
    if prefix != "HC1:":
        sys.exit(f"{path.name}: the text does not begin with HC1:")
    return zlib.decompress(base45.decode(rest))


def by_cwt(message: bytes, keys: list[dict]) -> dict:
    """Claims of a message that one of the keys signed and whose times hold now."""
    return cwt.decode(message, [cwt.COSEKey.from_jwk(key) for key in keys])


def by_pycose(message: bytes, keys: list[dict]) -> bool:
    """Whether the key that the message names signed it; pycose does not look at the times."""
    opened = Sign1Message.decode(message)
    kid = opened.phdr.get(next(label for label in opened.phdr if label.identifier == 4))
    named = [key for key in keys if key["kid"].encode() == kid]
    if not named:
        return False
    x, y = (unpadded(named[0][name]) for name in ("x", "y"))
    opened.key = EC2Key(crv=P256, x=x, y=y)
    return opened.verify_signature()


def unpadded(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def refused(check) -> bool:
    try:
        return check() is False
    except (cwt.CWTError, ValueError) as error:
        return bool(str(error))


def foreign_keys(keys: list[dict]) -> list[dict]:
    """Keys with the same ids and other points."""
    foreign = []
    for key in keys:
        numbers = ec.generate_private_key(ec.SECP256R1()).public_key()
        point = numbers.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        import base64

        encode = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        foreign.append({**key, "x": encode(point[1:33]), "y": encode(point[33:])})
    return foreign


def check_claims(name: str, claims: dict) -> None:
    if HEALTH in claims:
        wanted = {ISSUER, EXPIRY, ISSUED_AT, ID, HEALTH}
    else:
        # A strip says nothing about the time of its issue or about a fact.
        wanted = {ISSUER, EXPIRY, NOT_BEFORE, ID, HOLDER}
    if set(claims) != wanted or len(claims[ID]) != 8:
        sys.exit(f"{name}: the claims are {sorted(claims)}")


def check_good(path: Path, keys: list[dict]) -> None:
    message = message_of(path)
    claims = by_cwt(message, keys)
    check_claims(path.name, claims)
    if not by_pycose(message, keys):
        sys.exit(f"{path.name}: pycose refuses it")
    payload = cbor2.loads(message).value[2]
    start = message.index(payload)
    for place in range(start, start + len(payload)):
        changed = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        if not refused(lambda: by_pycose(changed, keys)) or not refused(lambda: by_cwt(changed, keys)):
            sys.exit(f"{path.name}: a change of byte {place} went unnoticed")
    foreign = foreign_keys(keys)
    if not refused(lambda: by_pycose(message, foreign)) or not refused(lambda: by_cwt(message, foreign)):
        sys.exit(f"{path.name}: verified by another key")
    print(f"{path.name}: verified by cwt and pycose; {len(payload)} changed ones and a foreign key refused")


def main() -> None:
    arguments = sys.argv[1:]
    split = arguments.index("--refused") if "--refused" in arguments else len(arguments)
    trust, *good = map(Path, arguments[:split])
    keys = json.loads(trust.read_text(encoding="utf-8"))["keys"]
    if not good:
        sys.exit(__doc__)
    for path in good:
        check_good(path, keys)
    for path in map(Path, arguments[split + 1 :]):
        message = message_of(path)
        if not refused(lambda: by_cwt(message, keys)):
            sys.exit(f"{path.name}: cwt accepts it")
        print(f"{path.name}: refused by cwt")


main()
