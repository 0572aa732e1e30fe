// COSE_Sign1 (RFC 9052, section 4.2) with ES256, and the P-256 keys that check it.

import { decode, Tagged } from "./cbor.js";
import { Fault, unlessFaulty } from "./fault.js";
import { concatenated, toBase64Url } from "./bytes.js";

const TAG_SIGN1 = 18;
const TAG_CWT = 61;
const HEADER_ALGORITHM = 1;
const HEADER_CRITICAL = 2;
const HEADER_KID = 4;
const ES256 = -7;
/** Length of an ES256 signature r||s and of an uncompressed P-256 point without its first byte, in bytes. */
const PAIR_LENGTH = 64;
/** Length of one coordinate of P-256, in bytes. */
export const COORDINATE_LENGTH = 32;
/** Length of a key id, in characters of base64url. */
export const KID_LENGTH = 8;
/** Number of groups of digits in a fingerprint. */
const FINGERPRINT_GROUPS = 5;
// CBOR: array of four, text of ten bytes.
const SIGNATURE1 = [0x84, 0x6a, ...new TextEncoder().encode("Signature1")];
const NO_EXTERNAL_DATA = 0x40;

/**
 * Parts of an untagged COSE_Sign1, of 18(…) or of 61(18(…)): kid (of the protected header, else of the other),
 * payload, signature, and the bytes that are signed. Throws `cbor`, `cose`, or `algorithm` for any algorithm but ES256 in
 * the protected header.
 */
export function readSign1(bytes) {
  const parts = untagged(decode(bytes));
  if (!Array.isArray(parts) || parts.length !== 4) {
    throw new Fault("cose", "not an array of four");
  }
  const [protectedBytes, unprotected, payload, signature] = parts;
  const isShaped = [protectedBytes, payload, signature].every((part) => part instanceof Uint8Array);
  if (!isShaped || !(unprotected instanceof Map)) {
    throw new Fault("cose", "a part of another type");
  }
  const header = protectedHeader(protectedBytes);
  if (header.has(HEADER_CRITICAL) || unprotected.has(HEADER_CRITICAL)) {
    throw new Fault("cose", "a critical header, which is not understood");
  }
  const kid = header.get(HEADER_KID) ?? unprotected.get(HEADER_KID);
  if (!(kid instanceof Uint8Array) || kid.length === 0) {
    throw new Fault("cose", "no key id");
  }
  if (header.get(HEADER_ALGORITHM) !== ES256) {
    throw new Fault("algorithm", "the protected header does not say ES256");
  }
  return { kid, payload, signature, signed: signedBytes(protectedBytes, payload) };
}

function protectedHeader(bytes) {
  if (bytes.length === 0) {
    return new Map();
  }
  const header = unlessFaulty(() => decode(bytes), "cose");
  if (!(header instanceof Map)) {
    throw new Fault("cose", "a protected header that is no map");
  }
  return header;
}

function untagged(value) {
  if (!(value instanceof Tagged)) {
    return value;
  }
  const inner = value.tag === TAG_CWT ? value.value : value;
  if (inner instanceof Tagged && inner.tag === TAG_SIGN1) {
    return inner.value;
  }
  throw new Fault("cose", "another tag than 18 or 61(18)");
}

function signedBytes(protectedBytes, payload) {
  const head = [...SIGNATURE1, ...lengthOf(protectedBytes)];
  return concatenated([head, protectedBytes, [NO_EXTERNAL_DATA, ...lengthOf(payload)], payload]);
}

/** Head of a byte string in CBOR, shortest form; lengths up to 2^32 - 1. */
function lengthOf(bytes) {
  const length = bytes.length;
  if (length < 24) {
    return [0x40 + length];
  }
  if (length < 0x100) {
    return [0x58, length];
  }
  if (length < 0x10000) {
    return [0x59, length >> 8, length & 0xff];
  }
  return [0x5a, ...[24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff)];
}

/** A P-256 key from its coordinates; rejects if they are no point of the curve. */
export async function importKey(x, y) {
  if (x.length !== COORDINATE_LENGTH || y.length !== COORDINATE_LENGTH) {
    throw new Error(`a coordinate is not ${COORDINATE_LENGTH} bytes long`);
  }
  const point = Uint8Array.from([4, ...x, ...y]);
  return crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
}

/** True where the message that readSign1 returned was signed by the key. */
export async function isSignedBy(message, key) {
  if (message.signature.length !== PAIR_LENGTH) {
    return false;
  }
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  return crypto.subtle.verify(algorithm, key, message.signature, message.signed);
}

/** Key id of a P-256 key: the first characters of the base64url of its thumbprint, as ASCII bytes. */
export async function keyId(x, y) {
  return new TextEncoder().encode(toBase64Url(await thumbprint(x, y)).slice(0, KID_LENGTH));
}

/**
 * Fingerprint of a P-256 key that people read aloud: groups of four digits, each of which is two bytes of the
 * thumbprint, big-endian, modulo 10,000.
 */
export async function fingerprint(x, y) {
  const view = new DataView((await thumbprint(x, y)).buffer);
  const groups = Array.from({ length: FINGERPRINT_GROUPS }, (_, group) => view.getUint16(2 * group) % 10_000);
  return groups.map((group) => String(group).padStart(4, "0")).join(" ");
}

/** Thumbprint of a P-256 key (RFC 7638, SHA-256). */
async function thumbprint(x, y) {
  const canonical = `{"crv":"P-256","kty":"EC","x":"${toBase64Url(x)}","y":"${toBase64Url(y)}"}`;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical)));
}
