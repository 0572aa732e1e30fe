// The pinned root and the trust bundle that it signs.

import { decode } from "./cbor.js";
import { COORDINATE_LENGTH, fingerprint, importKey, isSignedBy, keyId, KID_LENGTH, readSign1 } from "./cose.js";
import { fromBase64Url, hex, sameBytes } from "./bytes.js";
import { Fault, unlessFaulty } from "./fault.js";
import { hasFields, isBytes, isCount, isTime } from "./fields.js";

/** Most keys that one bundle may hold. */
export const MAX_KEYS = 256;

/** The products that a key may be for. */
export const PRODUCTS = Object.freeze(["city", "hcert", "revocations"]);

/**
 * The root of a text of root.json: x, y, issuer and zone, as texts that can be kept and compared.
 * Throws the fault `root-unreadable`.
 */
export function readRoot(text) {
  const root = parsedJson(text);
  const jwk = root?.key;
  const isKey = jwk?.kty === "EC" && jwk?.crv === "P-256" && fromBase64Url(jwk.x) && fromBase64Url(jwk.y);
  if (!isKey || typeof root.issuer !== "string" || !isZone(root.zone)) {
    throw new Fault("root-unreadable", "root.json needs key (a P-256 JWK), issuer and zone");
  }
  return { x: jwk.x, y: jwk.y, issuer: root.issuer, zone: root.zone };
}

function parsedJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isZone(zone) {
  try {
    return typeof zone === "string" && Boolean(new Intl.DateTimeFormat("en", { timeZone: zone }));
  } catch {
    return false;
  }
}

/** True where two roots that readRoot returned are the same. */
export function isSameRoot(left, right) {
  return ["x", "y", "issuer", "zone"].every((name) => left[name] === right[name]);
}

/**
 * The verified bundle: sequence, issuedAt, issuer, lowestList, keys by the hexadecimal digits of their ids, and the
 * fingerprint of the root that signed it.
 * Throws `trust-signature` if the root did not sign it, `trust-issuer` if it speaks for another issuer than the
 * root's, `trust-unreadable` otherwise.
 */
export async function readBundle(bytes, root) {
  const message = unlessFaulty(() => readSign1(bytes), "trust-unreadable");
  const x = fromBase64Url(root.x);
  const y = fromBase64Url(root.y);
  const rootKey = await importKey(x, y).catch((error) => {
    throw new Fault("root-unreadable", error.message);
  });
  const isRoots = sameBytes(message.kid, await keyId(x, y));
  if (!isRoots || !(await isSignedBy(message, rootKey))) {
    throw new Fault("trust-signature", "not signed by the pinned root");
  }
  const payload = unlessFaulty(() => decode(message.payload), "trust-unreadable");
  if (!hasFields(payload, [1, 2, 3, 4, 5, 6]) || payload.get(1) !== "trust") {
    throw new Fault("trust-unreadable", "not the fields of a bundle");
  }
  const [sequence, issuedAt, lowestList, issuer] = [2, 3, 5, 6].map((field) => payload.get(field));
  if (!isCount(sequence) || !isTime(issuedAt) || !isCount(lowestList) || typeof issuer !== "string") {
    throw new Fault("trust-unreadable", "a field of the bundle is of another type");
  }
  if (issuer !== root.issuer) {
    throw new Fault("trust-issuer", "the bundle speaks for another issuer");
  }
  const keys = await readKeys(payload.get(4));
  return { sequence, issuedAt, lowestList, issuer, keys, rootFingerprint: await fingerprint(x, y) };
}

async function readKeys(entries) {
  if (!Array.isArray(entries) || entries.length > MAX_KEYS) {
    throw new Fault("trust-unreadable", `no list of at most ${MAX_KEYS} keys`);
  }
  const keys = new Map();
  for (const entry of entries) {
    const key = await readKey(entry);
    if (keys.has(key.name)) {
      throw new Fault("trust-unreadable", "a key twice");
    }
    keys.set(key.name, key);
  }
  return keys;
}

/** Products that are not known are kept and never asked for, so that one of the future stops nothing today. */
async function readKey(entry) {
  if (!hasFields(entry, [1, 2, 3, 4, 5, 6])) {
    throw new Fault("trust-unreadable", "not the fields of a key");
  }
  const [kid, x, y, from, until, products] = [1, 2, 3, 4, 5, 6].map((field) => entry.get(field));
  const isTimed = isTime(from) && isTime(until) && from < until;
  const isForTexts = Array.isArray(products) && products.every((product) => typeof product === "string");
  const isKey = isBytes(x, COORDINATE_LENGTH) && isBytes(y, COORDINATE_LENGTH) && isBytes(kid, KID_LENGTH);
  if (!isKey || !isTimed || !isForTexts || !sameBytes(kid, await keyId(x, y))) {
    throw new Fault("trust-unreadable", "a field of a key is not as it must be");
  }
  const key = await importKey(x, y).catch((error) => {
    throw new Fault("trust-unreadable", error.message);
  });
  return { name: hex(kid), key, from, until, products };
}

/** The bundle's key of a COSE key id; null if it has none. */
export function keyOf(bundle, kid) {
  return bundle.keys.get(hex(kid)) ?? null;
}
