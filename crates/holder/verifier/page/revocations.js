// Signed lists of revoked passes: whole ones, and deltas to the list before.

import { decode } from "./cbor.js";
import { isSignedBy, readSign1 } from "./cose.js";
import { Fault, unlessFaulty } from "./fault.js";
import { hasFields, isCount, isTime } from "./fields.js";
import { decodeSet, MAX_TAGS } from "./rice.js";
import { keyOf } from "./trust.js";

/** Bytes of a pass id that are its tag in a list. */
const TAG_LENGTH = 6;
const NOTHING = new Float64Array(0);

/**
 * The verified list: sequence, issuedAt, base (0 = whole), added and removed. It must be signed by a key of the bundle
 * that is for revocations and was valid when the list was issued. Throws `list-signature` or `list-unreadable`.
 */
export async function readList(bytes, bundle) {
  const message = unlessFaulty(() => readSign1(bytes), "list-unreadable");
  const key = keyOf(bundle, message.kid);
  if (key === null || !key.products.includes("revocations") || !(await isSignedBy(message, key.key))) {
    throw new Fault("list-signature", "not signed by a key of the bundle for revocations");
  }
  const payload = unlessFaulty(() => decode(message.payload), "list-unreadable");
  const isWhole = hasFields(payload, [1, 2, 3, 4, 5]);
  if (!(isWhole || hasFields(payload, [1, 2, 3, 4, 5, 6])) || payload.get(1) !== "revocations") {
    throw new Fault("list-unreadable", "not the fields of a list of revocations");
  }
  const [sequence, issuedAt, base] = [2, 3, 4].map((field) => payload.get(field));
  if (!isCount(sequence) || !isTime(issuedAt) || !isCount(base) || base >= sequence || isWhole !== (base === 0)) {
    throw new Fault("list-unreadable", "sequence, time or base of the list is not as it must be");
  }
  if (issuedAt < key.from || issuedAt >= key.until) {
    throw new Fault("list-signature", "the key was not valid when the list was issued");
  }
  const removed = isWhole ? NOTHING : decodeSet(payload.get(6));
  return { sequence, issuedAt, base, added: decodeSet(payload.get(5)), removed };
}

/**
 * State after a list: sequence, issuedAt and tags. A whole list stands for itself; a delta applies to exactly
 * the list that it names. Throws `list-base` if a delta does not fit what is held (null = nothing).
 */
export function apply(held, list) {
  const { sequence, issuedAt } = list;
  if (list.base === 0) {
    return { sequence, issuedAt, tags: list.added };
  }
  if (held === null || held.sequence !== list.base || issuedAt < held.issuedAt) {
    throw new Fault("list-base", "a delta to another list than the one held, or issued before it");
  }
  const isNew = list.added.every((tag) => !has(held.tags, tag));
  const isHeld = list.removed.every((tag) => has(held.tags, tag));
  if (!isNew || !isHeld) {
    throw new Fault("list-base", "adds what is there, or removes what is not");
  }
  const kept = held.tags.filter((tag) => !has(list.removed, tag));
  if (kept.length + list.added.length > MAX_TAGS) {
    throw new Fault("list-base", "more tags than a list may have");
  }
  const tags = new Float64Array(kept.length + list.added.length);
  tags.set(kept);
  tags.set(list.added, kept.length);
  return { sequence, issuedAt, tags: tags.sort() };
}

/** True where the list names the pass with this id. */
export function isRevoked(list, id) {
  const tag = id.subarray(0, TAG_LENGTH).reduce((sum, byte) => sum * 256 + byte, 0);
  return has(list.tags, tag);
}

/** True where two sorted lists hold the same tags. */
export function sameTags(left, right) {
  return left.length === right.length && left.every((tag, at) => tag === right[at]);
}

function has(tags, tag) {
  let low = 0;
  let high = tags.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tags[middle] < tag) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return tags[low] === tag;
}
