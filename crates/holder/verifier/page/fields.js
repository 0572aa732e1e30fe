// Checks of decoded values: maps with exactly the fields of a format, and the few kinds of values in them.

/** Last second that a time may name: 9999-12-31 23:59:59 UTC. */
export const LAST_SECOND = 253_402_300_799;

/** True where a value is a map that has all of these keys, and besides them only optional ones. */
export function hasFields(map, keys, optional = []) {
  if (!(map instanceof Map) || !keys.every((key) => map.has(key))) {
    return false;
  }
  return [...map.keys()].every((key) => keys.includes(key) || optional.includes(key));
}

/** True where a value is an integer of 0 or more. */
export function isCount(value) {
  return Number.isInteger(value) && value >= 0;
}

/** True where a value is a time in unix seconds. */
export function isTime(value) {
  return isCount(value) && value <= LAST_SECOND;
}

/** True where a value is that many bytes. */
export function isBytes(value, length) {
  return value instanceof Uint8Array && value.length === length;
}
