// Reads deterministic CBOR (RFC 8949, section 4.2.1) and refuses everything else.

import { Fault } from "./fault.js";

/** Deepest nesting of arrays, maps and tags that is read. */
export const MAX_DEPTH = 16;

/** A tagged value (RFC 8949, section 3.4). */
export class Tagged {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The one value that the bytes encode: number, text, Uint8Array, Array, Map, Tagged, true, false or null.
 * Throws the fault `cbor` for trailing bytes, indefinite lengths, longer forms than needed, keys out of order or
 * twice, integers beyond 2^53, floats, and nesting deeper than MAX_DEPTH.
 */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) {
    throw new Fault("cbor", "bytes after the value");
  }
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  value(depth) {
    if (depth > MAX_DEPTH) {
      throw new Fault("cbor", `nested deeper than ${MAX_DEPTH}`);
    }
    const first = this.take(1)[0];
    const major = first >> 5;
    if (major === 7) {
      return simple(first);
    }
    const argument = this.argument(first & 0x1f);
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1 - argument;
      case 2:
        return this.take(argument);
      case 3:
        return text(this.take(argument));
      case 4:
        return this.array(argument, depth);
      case 5:
        return this.map(argument, depth);
      default:
        return new Tagged(argument, this.value(depth + 1));
    }
  }

  take(length) {
    if (length > this.bytes.length - this.at) {
      throw new Fault("cbor", "ends too early");
    }
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  argument(short) {
    if (short < 24) {
      return short;
    }
    if (short > 27) {
      throw new Fault("cbor", "an indefinite or reserved length");
    }
    const size = 1 << (short - 24);
    const number = this.take(size).reduce((sum, byte) => sum * 256 + byte, 0);
    const smallest = size === 1 ? 24 : 2 ** (4 * size);
    if (number < smallest || number > Number.MAX_SAFE_INTEGER) {
      throw new Fault("cbor", "a number in a longer form than needed, or beyond 2^53");
    }
    return number;
  }

  // Every item takes a byte at least, so a length beyond the bytes left is refused before anything is made.
  items(count) {
    if (count > this.bytes.length - this.at) {
      throw new Fault("cbor", "ends too early");
    }
    return count;
  }

  array(count, depth) {
    const values = [];
    for (let left = this.items(count); left > 0; left--) {
      values.push(this.value(depth + 1));
    }
    return values;
  }

  map(count, depth) {
    const entries = new Map();
    let previous = null;
    for (let left = this.items(count); left > 0; left--) {
      const start = this.at;
      const key = this.value(depth + 1);
      const encoded = this.bytes.subarray(start, this.at);
      if (typeof key !== "number" && typeof key !== "string") {
        throw new Fault("cbor", "a key that is neither a number nor a text");
      }
      if (previous !== null && compare(previous, encoded) >= 0) {
        throw new Fault("cbor", "keys out of order or twice");
      }
      previous = encoded;
      entries.set(key, this.value(depth + 1));
    }
    return entries;
  }
}

function simple(first) {
  switch (first) {
    case 0xf4:
      return false;
    case 0xf5:
      return true;
    case 0xf6:
      return null;
    default:
      throw new Fault("cbor", "a float or a simple value that is not used here");
  }
}

function text(bytes) {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new Fault("cbor", "a text that is not UTF-8");
  }
}

function compare(left, right) {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    if (left[at] !== right[at]) {
      return left[at] - right[at];
    }
  }
  return left.length - right.length;
}
