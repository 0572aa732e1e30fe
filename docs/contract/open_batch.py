"""Opens one sealed batch and prints its events, or its probe, as JSON.

    python open_batch.py KEY_FILE BATCH_FILE

KEY_FILE holds the registry's private key as text (cgsk1:...). BATCH_FILE is one message of the queue, bytes
unchanged. Written from the description in README.md, not from the Rust code; needs pyhpke and zstandard.
"""

import base64
import binascii
import json
import sys
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, PyHPKEError

MAGIC = b"CGB1"
INFO = b"clinic-gateway batch v1"
EXPORTER_CONTEXT = b"clinic-gateway receipt v1"
HEADER_BYTES = 4 + 8 + 16 + 32
TAG_BYTES = 16
PADDED_SIZES_BYTES = (4096, 16384, 65536, 262144, 1048576)
MAX_ENCODED_BYTES = 8388608
TOKENS_BIT = 1 << 31
TOKEN_BLOCK_BYTES = 2 * 162
MAX_EVENTS = 1000
PROBE_MAGIC = b"CGP1"
PROBED_BYTES = 32 + 8 + 16 + 1
MAX_PROBED = 4000
SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)


class Refused(Exception):
    """The input is not what the contract says; the text says why and repeats nothing of it."""


def read_key(text):
    """The 32 bytes behind `cgsk1:<base64url>`."""
    prefix, _, encoded = text.strip().partition(":")
    if prefix != "cgsk1":
        raise Refused("the key file holds no private key: it does not begin with cgsk1:")
    try:
        key = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise Refused("the private key is not 43 characters of base64url after the colon")
    return key


def unseal(key, sealed):
    """The batch id in hex, the padded plaintext, and the key under which the registry answers."""
    header, ciphertext = sealed[:HEADER_BYTES], sealed[HEADER_BYTES:]
    if header[:4] != MAGIC or len(ciphertext) - TAG_BYTES not in PADDED_SIZES_BYTES:
        raise Refused("not a sealed batch of a known format, or cut short")
    key_id, batch_id, encapsulated = header[4:12], header[12:28], header[28:60]
    private = SUITE.kem.deserialize_private_key(key)
    public = X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
    if public[: len(key_id)] != key_id:
        raise Refused("sealed to another key")
    try:
        recipient = SUITE.create_recipient_context(encapsulated, private, info=INFO)
        plaintext = recipient.open(ciphertext, aad=header)
        return batch_id.hex(), plaintext, recipient.export(EXPORTER_CONTEXT, 32)
    except PyHPKEError as error:
        raise Refused("does not authenticate: changed on the way, or sealed to another key") from error


def expand(plaintext):
    """The encoded batch: without tokens and padding, decompressed, within the limits."""
    length = int.from_bytes(plaintext[:4], "big")
    start = 4
    if length & TOKENS_BIT:
        length ^= TOKENS_BIT
        start += TOKEN_BLOCK_BYTES
    frame, padding = plaintext[start : start + length], plaintext[start + length :]
    if len(frame) != length or any(padding):
        raise Refused("the padding is not what the contract says")
    try:
        size = zstandard.get_frame_parameters(frame).content_size
        if size > MAX_ENCODED_BYTES:  # also when the frame does not state its size
            raise Refused("the content expands beyond the limit")
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=MAX_ENCODED_BYTES)
    except zstandard.ZstdError as error:
        raise Refused("the content is not one zstd frame") from error


def version(number):
    """A version as events write it."""
    if not 0 < number < 1 << 63:
        raise Refused("a version that is not from 1 to 2^63 - 1")
    return str(number)


def probe(records):
    """The records of a probe, after its magic."""
    count, rest = divmod(len(records), PROBED_BYTES)
    if rest or not 1 <= count <= MAX_PROBED:
        raise Refused(f"a probe is not of 1 to {MAX_PROBED} records")
    probed = []
    for at in range(0, len(records), PROBED_BYTES):
        record = records[at : at + PROBED_BYTES]
        if record[56] > 1:
            raise Refused("a flag that is neither 0 nor 1")
        probed.append(
            {
                "record": record[:32].hex(),
                "version": version(int.from_bytes(record[32:40], "big")),
                "content": record[40:56].hex(),
                "withdrawn": record[56] == 1,
            }
        )
    return {"probe": probed}


def open_batch(key_text, sealed):
    """The batch id in hex, and the list of CloudEvents; of a probe, an object with its records."""
    batch_id, plaintext, _ = unseal(read_key(key_text), sealed)
    encoded = expand(plaintext)
    if encoded.startswith(PROBE_MAGIC):
        return batch_id, probe(encoded[len(PROBE_MAGIC) :])
    try:
        events = json.loads(encoded)
    except ValueError as error:
        raise Refused("the content is not JSON") from error
    if not isinstance(events, list) or not 1 <= len(events) <= MAX_EVENTS:
        raise Refused(f"the content is not an array of 1 to {MAX_EVENTS} events")
    return batch_id, events


def answer_key(key_text, sealed):
    """The batch id in hex, and the key that only the batch's sender and the registry know."""
    batch_id, _, key = unseal(read_key(key_text), sealed)
    return batch_id, key


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        key_text = Path(arguments[0]).read_text(encoding="ascii")
        sealed = Path(arguments[1]).read_bytes()
        batch_id, events = open_batch(key_text, sealed)
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 1
    except Refused as error:
        print(f"{arguments[1]}: {error}", file=sys.stderr)
        return 1
    told = f"{len(events['probe'])} probed records" if isinstance(events, dict) else f"{len(events)} events"
    print(f"batch {batch_id}: {told}", file=sys.stderr)
    json.dump(events, sys.stdout, indent=2, ensure_ascii=False)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
