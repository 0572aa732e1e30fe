// Golomb-Rice coding of a sorted set of 48-bit tags, decoding only.

import { Fault } from "./fault.js";
import { hasFields, isCount } from "./fields.js";

/** Most tags that one coded set may hold. */
export const MAX_TAGS = 4_000_000;
/** Largest Rice parameter: the length of a tag, in bits. */
export const MAX_PARAMETER = 48;
/** First number that is no tag. */
const TAG_END = 2 ** 48;

/**
 * The tags of a coded set {1: count, 2: parameter, 3: bytes}, sorted, as Float64Array. The gaps between the tags are
 * coded: quotient in unary (ones, then a zero), then the low bits, most significant first. Throws `list-unreadable`
 * for more tags than fit, tags of 2^48 or more, padding that is not zero, and bytes left over.
 */
export function decodeSet(set) {
  const { count, parameter, bytes } = fieldsOf(set);
  // The shortest code word is the zero of an empty quotient and the low bits.
  if (count * (parameter + 1) > bytes.length * 8) {
    throw new Fault("list-unreadable", "more tags than the bytes can hold");
  }
  const bits = new BitReader(bytes);
  const tags = new Float64Array(count);
  let lowest = 0;
  for (let number = 0; number < count; number++) {
    const tag = lowest + bits.unary() * 2 ** parameter + bits.number(parameter);
    if (tag >= TAG_END) {
      throw new Fault("list-unreadable", "a tag of more than 48 bits");
    }
    tags[number] = tag;
    lowest = tag + 1;
  }
  bits.finish();
  return tags;
}

function fieldsOf(set) {
  const isSet = hasFields(set, [1, 2, 3]);
  const [count, parameter, bytes] = isSet ? [1, 2, 3].map((field) => set.get(field)) : [];
  const isShaped = isCount(count) && isCount(parameter) && bytes instanceof Uint8Array;
  if (!isShaped || count > MAX_TAGS || parameter > MAX_PARAMETER) {
    throw new Fault("list-unreadable", "a coded set with a field missing or out of its range");
  }
  return { count, parameter, bytes };
}

class BitReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  bit() {
    const byte = this.bytes[this.at >> 3];
    if (byte === undefined) {
      throw new Fault("list-unreadable", "a coded set ends too early");
    }
    const bit = (byte >> (7 - (this.at & 7))) & 1;
    this.at += 1;
    return bit;
  }

  unary() {
    let ones = 0;
    while (this.bit() === 1) {
      ones += 1;
    }
    return ones;
  }

  number(length) {
    let value = 0;
    for (let left = length; left > 0; left--) {
      value = value * 2 + this.bit();
    }
    return value;
  }

  finish() {
    const left = this.bytes.length * 8 - this.at;
    if (left >= 8 || this.number(left) !== 0) {
      throw new Fault("list-unreadable", "bytes left over, or padding that is not zero");
    }
  }
}
