// Claims of the two products, as a pass carries them (CWT, RFC 8392).

import { decode } from "./cbor.js";
import { Fault } from "./fault.js";

const ISSUER = 1;
const EXPIRY = 4;
const NOT_BEFORE = 5;
const ISSUED_AT = 6;
const PASS_ID = 7;
const HOLDER = -65537;
const HCERT = -260;
const EU_DCC = 1;
/** Length of a pass id, in bytes. */
const PASS_ID_LENGTH = 8;
/** Entries of an EU DCC of which exactly one is present, with exactly one record. */
const RECORD_KINDS = ["v", "r", "t"];

/**
 * What a payload claims: product ("city" or "hcert"), issuer, from, until (unix seconds; holds if from <= now < until),
 * id and holder. Throws the fault `cbor` or `claims`.
 */
export function readClaims(payload) {
  const claims = decode(payload);
  if (!(claims instanceof Map) || claims.has(HOLDER) === claims.has(HCERT)) {
    throw new Fault("claims", "not the claims of exactly one product");
  }
  const isCity = claims.has(HOLDER);
  const read = {
    product: isCity ? "city" : "hcert",
    issuer: claims.get(ISSUER),
    from: claims.get(isCity ? NOT_BEFORE : ISSUED_AT),
    until: claims.get(EXPIRY),
    id: claims.get(PASS_ID),
    holder: isCity ? holderOfStrip(claims.get(HOLDER)) : holderOfHcert(claims.get(HCERT)),
  };
  const isTimed = isTime(read.from) && isTime(read.until) && read.from < read.until;
  const isNamed = read.id instanceof Uint8Array && read.id.length === PASS_ID_LENGTH;
  if (typeof read.issuer !== "string" || !isTimed || !isNamed) {
    throw new Fault("claims", "a claim is missing or of another type");
  }
  return read;
}

function isTime(value) {
  return Number.isInteger(value) && value >= 0;
}

function holderOfStrip(map) {
  if (!(map instanceof Map)) {
    throw new Fault("claims", "the holder is no map");
  }
  return {
    givenInitial: optional(map.get(1), isInitial),
    familyInitial: optional(map.get(2), isInitial),
    birthDay: optional(map.get(3), (value) => isWithin(value, 1, 31)),
    birthMonth: optional(map.get(4), (value) => isWithin(value, 1, 12)),
  };
}

function holderOfHcert(map) {
  const certificate = map instanceof Map ? map.get(EU_DCC) : null;
  const names = certificate instanceof Map ? certificate.get("nam") : null;
  if (!(names instanceof Map) || !hasOneRecord(certificate)) {
    throw new Fault("claims", "not a certificate with one record");
  }
  return {
    givenInitial: optional(names.get("gnt") || undefined, isInitial),
    familyInitial: optional(names.get("fnt") || undefined, isInitial),
    birthDay: null,
    birthMonth: null,
  };
}

function hasOneRecord(certificate) {
  const kinds = RECORD_KINDS.filter((kind) => certificate.has(kind));
  const records = kinds.length === 1 ? certificate.get(kinds[0]) : null;
  return Array.isArray(records) && records.length === 1 && records[0] instanceof Map;
}

function optional(value, isRight) {
  if (value === undefined) {
    return null;
  }
  if (!isRight(value)) {
    throw new Fault("claims", "an attribute of the holder is out of its range");
  }
  return value;
}

function isInitial(value) {
  return typeof value === "string" && /^[A-Z]$/.test(value);
}

function isWithin(value, lowest, highest) {
  return Number.isInteger(value) && value >= lowest && value <= highest;
}
