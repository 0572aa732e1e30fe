// The verdict at the door, from the text of a pass, the data held and the time. Asks nothing and keeps nothing.

import { decode } from "./base45.js";
import { readClaims } from "./claims.js";
import { isSignedBy, readSign1 } from "./cose.js";
import { Fault } from "./fault.js";
import { isRevoked } from "./revocations.js";
import { keyOf } from "./trust.js";
import { inflate } from "./zlib.js";

/** Age of the data after which green becomes amber, in seconds. */
export const STALE_AFTER = 24 * 3600;
/** Age of the data after which nothing can be said, in seconds. */
export const CANNOT_TELL_AFTER = 72 * 3600;
/** Time that the device's clock may be behind the later time of issue of bundle and list, in seconds. */
export const CLOCK_TOLERANCE = 5 * 60;
/** Longest text that is looked at: what the largest QR code holds in alphanumeric mode, in characters. */
export const MAX_TEXT = 4296;
const PREFIX = "HC1:";

/** The verdicts. */
export const VERDICTS = Object.freeze(["valid", "stale", "invalid", "cannot-tell", "clock-wrong"]);

/**
 * Answer that the data alone allows: "fresh", "stale", "cannot-tell" or "clock-wrong". `held` is null, or bundle and
 * list; a list that is older than the bundle knows of is not current.
 */
export function judgeData(held, now) {
  if (held === null || held.list.sequence < held.bundle.lowestList) {
    return "cannot-tell";
  }
  if (now < Math.max(held.bundle.issuedAt, held.list.issuedAt) - CLOCK_TOLERANCE) {
    return "clock-wrong";
  }
  const age = now - Math.min(held.bundle.issuedAt, held.list.issuedAt);
  if (age > CANNOT_TELL_AFTER) {
    return "cannot-tell";
  }
  return age > STALE_AFTER ? "stale" : "fresh";
}

/** The verdict on a text; `reason` only if invalid, `holder` only if valid or stale. */
export async function verify(text, held, now) {
  const data = judgeData(held, now);
  if (data === "cannot-tell" || data === "clock-wrong") {
    return { verdict: data };
  }
  try {
    const holder = await holderOf(text, held, now);
    return { verdict: data === "stale" ? "stale" : "valid", holder };
  } catch (error) {
    if (error instanceof Fault) {
      return { verdict: "invalid", reason: error.code };
    }
    throw error;
  }
}

async function holderOf(text, held, now) {
  const message = readSign1(await bytesOf(text));
  const key = keyOf(held.bundle, message.kid);
  if (key === null) {
    throw new Fault("key-unknown");
  }
  const claims = await signedClaims(message, key);
  if (now < key.from || now >= key.until) {
    throw new Fault("key-not-valid-now");
  }
  if (claims.issuer !== held.bundle.issuer) {
    throw new Fault("issuer");
  }
  if (!claims.complete) {
    throw new Fault("series-incomplete");
  }
  if (now < claims.from) {
    throw new Fault("not-yet");
  }
  if (now >= claims.until) {
    throw new Fault("expired");
  }
  if (isRevoked(held.list, claims.id)) {
    throw new Fault("revoked");
  }
  return claims.holder;
}

async function bytesOf(text) {
  if (!text.startsWith(PREFIX) || text.length > MAX_TEXT) {
    throw new Fault("not-a-pass");
  }
  return inflate(decode(text.slice(PREFIX.length)));
}

/** Claims are read only from what is signed. */
async function signedClaims(message, key) {
  if (!(await isSignedBy(message, key.key))) {
    throw new Fault("signature");
  }
  const claims = readClaims(message.payload);
  if (!key.products.includes(claims.product)) {
    throw new Fault("key-not-for-this");
  }
  return claims;
}
