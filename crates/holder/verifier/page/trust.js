// The pinned root and the trust bundle that it signs.

import { decode } from "./cbor.js";
import { importKey, isSignedBy, keyId, readSign1 } from "./cose.js";
import { fromBase64Url, hex, sameBytes } from "./bytes.js";
import { Fault, unlessFaulty } from "./fault.js";

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

/** Whether two roots that readRoot returned are the same. */
export function isSameRoot(left, right) {
  return ["x", "y", "issuer", "zone"].every((name) => left[name] === right[name]);
}

/**
 * The verified bundle: sequence, issuedAt, issuer, lowestList, and keys by the hexadecimal digits of their ids.
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
  const bundle = {
    sequence: payload instanceof Map ? payload.get(2) : null,
    issuedAt: payload instanceof Map ? payload.get(3) : null,
    lowestList: payload instanceof Map ? payload.get(5) : null,
    issuer: payload instanceof Map ? payload.get(6) : null,
  };
  const numbers = [bundle.sequence, bundle.issuedAt, bundle.lowestList];
  if (!numbers.every(isCount) || payload.get(1) !== "trust" || typeof bundle.issuer !== "string") {
    throw new Fault("trust-unreadable", "a field of the bundle is missing or of another type");
  }
  if (bundle.issuer !== root.issuer) {
    throw new Fault("trust-issuer", "the bundle speaks for another issuer");
  }
  return { ...bundle, keys: await readKeys(payload.get(4)) };
}

async function readKeys(entries) {
  if (!Array.isArray(entries) || entries.length > MAX_KEYS) {
    throw new Fault("trust-unreadable", `no list of at most ${MAX_KEYS} keys`);
  }
  const keys = new Map();
  for (const entry of entries) {
    const name = entry instanceof Map && entry.get(1) instanceof Uint8Array ? hex(entry.get(1)) : null;
    if (name === null || keys.has(name)) {
      throw new Fault("trust-unreadable", "a key without an id, or two with the same");
    }
    keys.set(name, await readKey(entry));
  }
  return keys;
}

async function readKey(entry) {
  const [x, y, from, until, products] = [2, 3, 4, 5, 6].map((field) => entry.get(field));
  const isShaped = x instanceof Uint8Array && y instanceof Uint8Array && isCount(from) && isCount(until);
  const isForSomething = Array.isArray(products) && products.every((product) => typeof product === "string");
  if (!isShaped || !isForSomething) {
    throw new Fault("trust-unreadable", "a field of a key is missing or of another type");
  }
  const key = await importKey(x, y).catch((error) => {
    throw new Fault("trust-unreadable", error.message);
  });
  return { key, from, until, products };
}

/** The bundle's key of a COSE key id; null if it has none. */
export function keyOf(bundle, kid) {
  return bundle.keys.get(hex(kid)) ?? null;
}

function isCount(value) {
  return Number.isInteger(value) && value >= 0;
}
