// The EU DCC map of a certificate (schema 1.3.0), as the city issues it: one vaccination, recovery or negative test.

import { hex } from "./bytes.js";
import { Fault } from "./fault.js";
import { hasFields, isCount } from "./fields.js";

const EU_DCC = 1;
const SCHEMA_VERSION = "1.3.0";
const UVCI_PREFIX = "URN:UVCI:01:RU:";
/** Code of COVID-19 (SNOMED CT). */
const COVID_19 = "840539006";
/** Code of "not detected" (SNOMED CT). */
const NOT_DETECTED = "260415000";
/** Codes of a nucleic acid test and of a rapid antigen test (LOINC). */
const TEST_KINDS = ["LP6464-4", "LP217198-3"];
/** Most characters of a code or name in an entry, and of the issuer (schema 1.3.0). */
const MAX_CODE = 80;
const COMMON = ["tg", "is", "ci", "co"];
const READERS = { v: isVaccination, r: isRecovery, t: isNegativeTest };

/** Disclosed attributes of a certificate's holder: the initials. Throws the fault `claims`. */
export function holderOfCertificate(claim, issuer, id) {
  const certificate = hasFields(claim, [EU_DCC]) ? claim.get(EU_DCC) : null;
  const kinds = Object.keys(READERS).filter((kind) => hasFields(certificate, ["ver", "nam", "dob", kind]));
  if (kinds.length !== 1 || certificate.get("ver") !== SCHEMA_VERSION || certificate.get("dob") !== "") {
    throw new Fault("claims", "not a certificate of this schema with one group");
  }
  const kind = kinds[0];
  const entries = certificate.get(kind);
  const isOne = Array.isArray(entries) && entries.length === 1 && isCode(issuer);
  if (!isOne || !READERS[kind](entries[0]) || !isOfCity(entries[0], issuer, id)) {
    throw new Fault("claims", "not one entry as the city issues it");
  }
  return holderOfName(certificate.get("nam"));
}

/** Whether a certificate that was read says enough by itself: one of the first of two doses does not. */
export function isComplete(claim) {
  const vaccinations = claim.get(EU_DCC).get("v");
  return vaccinations === undefined || vaccinations[0].get("dn") >= vaccinations[0].get("sd");
}

function holderOfName(name) {
  const isName = hasFields(name, ["fnt", "gnt"]);
  if (!isName || ![name.get("fnt"), name.get("gnt")].every((part) => part === "" || isInitial(part))) {
    throw new Fault("claims", "a name that is not empty or an initial");
  }
  const givenInitial = name.get("gnt") || null;
  const familyInitial = name.get("fnt") || null;
  return { givenInitial, familyInitial, birthDay: null, birthMonth: null };
}

/** True where a value is the initial of a name: one Latin capital letter. */
export function isInitial(value) {
  return typeof value === "string" && /^[A-Z]$/.test(value);
}

function isOfCity(entry, issuer, id) {
  const isNamed = entry.get("is") === issuer && entry.get("ci") === UVCI_PREFIX + hex(id).toUpperCase();
  const country = entry.get("co");
  return isNamed && entry.get("tg") === COVID_19 && typeof country === "string" && /^[A-Z]{1,10}$/.test(country);
}

function isVaccination(entry) {
  const isShaped = hasFields(entry, [...COMMON, "vp", "mp", "ma", "dn", "sd", "dt"]);
  if (!isShaped || !["vp", "mp", "ma"].every((field) => isCode(entry.get(field)))) {
    return false;
  }
  return isDose(entry.get("dn")) && isDose(entry.get("sd")) && isDate(entry.get("dt"));
}

function isDose(value) {
  return isCount(value) && value >= 1 && value <= 255;
}

function isRecovery(entry) {
  if (!hasFields(entry, [...COMMON, "fr", "df", "du"])) {
    return false;
  }
  const dates = [entry.get("fr"), entry.get("df"), entry.get("du")];
  return dates.every(isDate) && dates[0] <= dates[1] && dates[1] <= dates[2];
}

function isNegativeTest(entry) {
  if (!hasFields(entry, [...COMMON, "tt", "sc", "tr"], ["nm", "tc"])) {
    return false;
  }
  const names = [entry.get("nm"), entry.get("tc")];
  const areNames = names.every((name) => name === undefined || isCode(name));
  return areNames && TEST_KINDS.includes(entry.get("tt")) && entry.get("tr") === NOT_DETECTED && isInstant(entry.get("sc"));
}

function isCode(value) {
  return typeof value === "string" && value !== "" && [...value].length <= MAX_CODE;
}

function isDate(value) {
  return typeof value === "string" && /^\d{4}-\d\d-\d\d$/.test(value) && isWritten(`${value}T00:00:00Z`);
}

function isInstant(value) {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(value) && isWritten(value);
}

/** True where a time is written as the calendar has it, so that the 31st of April is none. */
function isWritten(text) {
  const time = new Date(text);
  return !Number.isNaN(time.getTime()) && time.toISOString() === text.replace("Z", ".000Z");
}
