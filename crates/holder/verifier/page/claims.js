// Claims of the two products, as a pass carries them (CWT, RFC 8392); a claim that is not of the format is refused.

import { decode } from "./cbor.js";
import { Fault } from "./fault.js";
import { hasFields, isBytes, isTime } from "./fields.js";
import { holderOfCertificate, isComplete, isInitial } from "./hcert.js";

const ISSUER = 1;
const EXPIRY = 4;
const NOT_BEFORE = 5;
const ISSUED_AT = 6;
const PASS_ID = 7;
const HOLDER = -65537;
const HCERT = -260;
const GIVEN_INITIAL = 1;
const FAMILY_INITIAL = 2;
const BIRTH_DAY = 3;
const BIRTH_MONTH = 4;
/** Length of a pass id, in bytes. */
const PASS_ID_LENGTH = 8;
/** Longest window of a city pass, in seconds: a week in which the clocks are put back an hour. */
export const MAX_CITY_WINDOW = 7 * 24 * 3600 + 3600;
/** Days of the months; February has its leap day. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Claims of a payload: product ("city" or "hcert"), issuer, from, until (unix seconds; holds if from <= now < until),
 * id, holder, and complete (false for a certificate of the first of two doses). Throws the fault `cbor` or `claims`.
 */
export function readClaims(payload) {
  const claims = decode(payload);
  const isCity = hasFields(claims, [ISSUER, EXPIRY, NOT_BEFORE, PASS_ID, HOLDER]);
  const isHcert = hasFields(claims, [ISSUER, EXPIRY, ISSUED_AT, PASS_ID, HCERT]);
  if (!isCity && !isHcert) {
    throw new Fault("claims", "not the claims of a product");
  }
  const issuer = claims.get(ISSUER);
  const id = claims.get(PASS_ID);
  const from = claims.get(isCity ? NOT_BEFORE : ISSUED_AT);
  const until = claims.get(EXPIRY);
  if (typeof issuer !== "string" || !isBytes(id, PASS_ID_LENGTH)) {
    throw new Fault("claims", "issuer or id of another type");
  }
  if (!isTime(from) || !isTime(until) || from >= until) {
    throw new Fault("claims", "no window of time");
  }
  // A pass that was signed by mistake must not hold for years.
  if (isCity && until - from > MAX_CITY_WINDOW) {
    throw new Fault("claims", "a window longer than a week");
  }
  const holder = isCity ? holderOfStrip(claims.get(HOLDER)) : holderOfCertificate(claims.get(HCERT), issuer, id);
  const complete = isCity || isComplete(claims.get(HCERT));
  return { product: isCity ? "city" : "hcert", issuer, from, until, id, holder, complete };
}

function holderOfStrip(map) {
  if (!hasFields(map, [], [GIVEN_INITIAL, FAMILY_INITIAL, BIRTH_DAY, BIRTH_MONTH])) {
    throw new Fault("claims", "the holder is no map of attributes");
  }
  const holder = {
    givenInitial: map.get(GIVEN_INITIAL) ?? null,
    familyInitial: map.get(FAMILY_INITIAL) ?? null,
    birthDay: map.get(BIRTH_DAY) ?? null,
    birthMonth: map.get(BIRTH_MONTH) ?? null,
  };
  const initials = [map.get(GIVEN_INITIAL), map.get(FAMILY_INITIAL)];
  const areInitials = initials.every((initial) => initial === undefined || isInitial(initial));
  if (!areInitials || !isBirth(map.get(BIRTH_DAY), map.get(BIRTH_MONTH))) {
    throw new Fault("claims", "an attribute of the holder is out of its range");
  }
  return holder;
}

/** True where day and month are of some date; each may be undisclosed. */
function isBirth(day, month) {
  const isMonth = month === undefined || isWithin(month, DAYS.length);
  const days = isMonth && month !== undefined ? DAYS[month - 1] : Math.max(...DAYS);
  return isMonth && (day === undefined || isWithin(day, days));
}

function isWithin(value, highest) {
  return Number.isInteger(value) && value >= 1 && value <= highest;
}
