// Base45 of RFC 9285, decoding only.

import { Fault } from "./fault.js";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const VALUES = new Map([...ALPHABET].map((character, value) => [character, value]));

/** Bytes of a base45 text; throws the fault `base45` for what RFC 9285, section 6, refuses. */
export function decode(text) {
  const rest = text.length % 3;
  if (rest === 1) {
    throw new Fault("base45", "the length leaves one character over");
  }
  const bytes = new Uint8Array(Math.floor(text.length / 3) * 2 + (rest === 2 ? 1 : 0));
  let written = 0;
  for (let at = 0; at < text.length; at += 3) {
    const whole = at + 2 < text.length;
    const value = valueAt(text, at) + 45 * valueAt(text, at + 1) + (whole ? 2025 * valueAt(text, at + 2) : 0);
    if (value > (whole ? 0xffff : 0xff)) {
      throw new Fault("base45", "a group stands for more than its bytes hold");
    }
    if (whole) {
      bytes[written++] = value >> 8;
    }
    bytes[written++] = value & 0xff;
  }
  return bytes;
}

function valueAt(text, at) {
  const value = VALUES.get(text[at]);
  if (value === undefined) {
    throw new Fault("base45", "a character outside the alphabet");
  }
  return value;
}
