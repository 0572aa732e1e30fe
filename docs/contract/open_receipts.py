"""Verifies one receipts message and prints what it says of the given batches as JSON.

    python open_receipts.py VERIFICATION_KEY_FILE MESSAGE_FILE KEY_FILE BATCH_FILE...

VERIFICATION_KEY_FILE holds the registry's key for receipts as text (cgrv1:...), MESSAGE_FILE one message of the receipts
exchange, bytes unchanged. The batches' answer keys are derived with the registry's private key in KEY_FILE; receipts
for other batches cannot be read and are only named. Written from the description in README.md, not from the Rust code.
"""

import base64
import binascii
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from open_batch import MAX_EVENTS, MAX_PROBED, Refused, answer_key, version

MAGIC = b"CGR1"
DOMAIN = b"clinic-gateway receipts v1"
MAX_MESSAGE_BYTES = 3146590
MAX_RECEIPTS = 16
PADDED_SIZES_BYTES = (1024, 16384, 65536, 196608)
REASONS = ("malformed", "unknown-code", "bad-subject", "bad-date", "kind-changed", "version-reused",
           "not-the-owner", "epoch-not-open", "purged", "token")
UNREADABLE = ("not-a-sealed-batch", "sealed-to-another-key", "not-authentic", "content-outside-limits", "store-refuses",
              "given-up")
DIFFERENCES = ("missing", "stale", "newer", "conflicting")


class Reader:
    """Fixed-width fields, never beyond the end."""

    def __init__(self, data):
        self.rest = data

    def take(self, count):
        if count > len(self.rest):
            raise Refused("cut short")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def count(self, most):
        count = self.number(4)
        if count > most:
            raise Refused("a count beyond the limits")
        return count

    def word(self, words):
        """A word by its number, from 1."""
        number = self.number(1)
        if not 1 <= number <= len(words):
            raise Refused("a number the contract does not know")
        return words[number - 1]

    def version(self):
        number = self.number(8)
        return version(number) if number else None

    def end(self):
        if self.rest:
            raise Refused("bytes left over")


def read_key(text):
    """The verification key behind `cgrv1:<base64url>`."""
    prefix, _, encoded = text.strip().partition(":")
    try:
        key = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if prefix != "cgrv1" or len(key) != 32:
        raise Refused("the verification key is not cgrv1: and 43 characters of base64url")
    return key


def verified(key, message):
    """What of the message the signature covers."""
    reader = Reader(message)
    if len(message) > MAX_MESSAGE_BYTES or reader.take(4) != MAGIC:
        raise Refused("not a receipts message of a known format")
    key_id, signature = reader.take(8), reader.take(64)
    if key_id != key[:8]:
        raise Refused("signed with another key")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, DOMAIN + reader.rest)
    except InvalidSignature as error:
        raise Refused("the signature does not hold") from error
    return reader.rest


def receipts(body):
    """Batch ids in hex, each with a reason why it was unreadable or the encrypted answer."""
    reader = Reader(body)
    count = reader.number(2)
    if not 1 <= count <= MAX_RECEIPTS:
        raise Refused("a count beyond the limits")
    for _ in range(count):
        batch_id, kind = reader.take(16).hex(), reader.number(1)
        if kind == 1:
            size = reader.number(4)
            if size not in PADDED_SIZES_BYTES:
                raise Refused("a size that is none of the padded ones")
            yield batch_id, None, reader.take(12 + size + 16)
        elif kind == 2:
            yield batch_id, reader.word(UNREADABLE), None
        else:
            raise Refused("a kind of receipt the contract does not know")
    reader.end()


def refused_event(reader):
    index, reason = reader.number(4), reader.word(REASONS)
    known, record, of = reader.number(1), reader.take(32), reader.version()
    if index >= MAX_EVENTS or known > 1 or (not known and any(record)):
        raise Refused("a refused event that is not what the contract says")
    return {"index": index, "reason": reason, "record": record.hex() if known else None, "version": of}


def superseded_event(reader):
    record, held = reader.take(32).hex(), reader.version()
    if held is None:
        raise Refused("superseded by no version")
    return {"record": record, "held": held}


def difference(reader):
    what, record, held = reader.word(DIFFERENCES), reader.take(32).hex(), reader.version()
    if (what == "missing") != (held is None):
        raise Refused("a missing record that is held, or the reverse")
    return {"record": record, "what": what, "held": held}


def answer(batch_id, key, sealed):
    """What an answer says, decrypted under the batch's answer key."""
    try:
        plaintext = ChaCha20Poly1305(key).decrypt(sealed[:12], sealed[12:], MAGIC + bytes.fromhex(batch_id))
    except InvalidTag as error:
        raise Refused("an answer that is not under the batch's answer key") from error
    padded = Reader(plaintext)
    reader = Reader(padded.take(padded.count(len(plaintext))))
    if any(padded.rest):
        raise Refused("the padding is not what the contract says")
    kind = reader.number(1)
    if kind == 3:
        accepted, refused, superseded = reader.number(4), reader.count(MAX_EVENTS), reader.count(MAX_EVENTS)
        if accepted + refused + superseded > MAX_EVENTS:
            raise Refused("counts that contradict each other")
        said = {
            "stored": {
                "accepted": accepted,
                "refused": [refused_event(reader) for _ in range(refused)],
                "superseded": [superseded_event(reader) for _ in range(superseded)],
            }
        }
    elif kind == 2:
        equal, differences = reader.number(4), reader.count(MAX_PROBED)
        if equal + differences > MAX_PROBED:
            raise Refused("counts that contradict each other")
        said = {"probed": {"equal": equal, "differences": [difference(reader) for _ in range(differences)]}}
    else:
        raise Refused("a kind of answer the contract does not know")
    reader.end()
    return said


def open_receipts(verification_key, message, answer_keys):
    """The receipts of a message; `answer_keys` by batch id in hex."""
    opened = []
    for batch_id, unreadable, sealed in list(receipts(verified(verification_key, message))):
        if unreadable:
            said = {"unreadable": unreadable}
        elif batch_id in answer_keys:
            said = answer(batch_id, answer_keys[batch_id], sealed)
        else:
            said = {"for": "another sender"}
        opened.append({"batch": batch_id, **said})
    return opened


def main(arguments):
    if len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verification_key = read_key(Path(arguments[0]).read_text(encoding="ascii"))
        message = Path(arguments[1]).read_bytes()
        key_text = Path(arguments[2]).read_text(encoding="ascii")
        answer_keys = dict(answer_key(key_text, Path(name).read_bytes()) for name in arguments[3:])
        opened = open_receipts(verification_key, message, answer_keys)
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 1
    except Refused as error:
        print(f"{arguments[1]}: {error}", file=sys.stderr)
        return 1
    json.dump(opened, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
