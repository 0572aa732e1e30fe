// The data that verdicts rest on: opened from what is kept, and refreshed from the server only by what verifies.

import { concatenated, sameBytes } from "./bytes.js";
import { Fault } from "./fault.js";
import { apply, readList, sameTags } from "./revocations.js";
import * as store from "./store.js";
import { isSameRoot, readBundle, readRoot } from "./trust.js";

/** Most bytes of one file that are read from the server: a list of 4,000,000 tags has about 13 MB. */
export const MAX_FILE = 32 * 1024 * 1024;
/** Most lists that are kept: a whole one and the deltas after it. */
export const MAX_LISTS = 65;
/** Time after which a request for a file is given up, in milliseconds. */
const TIMEOUT = 30_000;

/** The verified data of a record: root, bundle, list and the record itself; null if nothing is kept. */
export async function openKept() {
  const record = await store.load();
  return record === null ? null : verified(record);
}

async function verified(record) {
  const bundle = await readBundle(record.trust, record.root);
  let list = null;
  for (const bytes of record.lists) {
    list = apply(list, await readList(bytes, bundle));
  }
  return { root: record.root, bundle, list, record };
}

/** True where `after` holds anything newer than `before`, which may be null. */
export function isNewer(after, before) {
  const isNewBundle = after.bundle.sequence !== before?.bundle.sequence;
  return isNewBundle || after.list.sequence !== before.list.sequence || after.list.issuedAt !== before.list.issuedAt;
}

/**
 * Fetches root, bundle and list and keeps them, all or nothing. Returns the data that holds from now on. Throws a fault
 * whose code says what was wrong; what is held stays then.
 */
export async function refresh(held) {
  const root = readRoot(new TextDecoder().decode(await fetchFile("root.json")));
  if (held !== null && !isSameRoot(root, held.root)) {
    throw new Fault("root-changed", "the server names another root than the pinned one");
  }
  const trust = await fetchFile("trust.cose");
  const bundle = await readBundle(trust, root);
  refuseOlderBundle(held, bundle, trust);
  const record = { root, trust, trustSequence: bundle.sequence };
  const data = await withNewestList(held, bundle, record);
  await store.save(data.record);
  return data;
}

function refuseOlderBundle(held, bundle, bytes) {
  if (held === null || bundle.sequence > held.bundle.sequence) {
    return;
  }
  if (bundle.sequence < held.bundle.sequence) {
    throw new Fault("trust-replay", "an older bundle than the one held");
  }
  if (!sameBytes(bytes, held.record.trust)) {
    throw new Fault("trust-conflict", "another bundle of the same sequence");
  }
}

/** Asks for what came after the list held; if the answer does not fit, for the whole list. */
async function withNewestList(held, bundle, record) {
  if (held !== null) {
    try {
      return await withList(held, bundle, record, `revocations.cose?after=${held.list.sequence}`);
    } catch (error) {
      if (error.code !== "list-base") {
        throw error;
      }
    }
  }
  return withList(held, bundle, record, "revocations.cose");
}

async function withList(held, bundle, record, name) {
  const bytes = await fetchFile(name);
  const read = await readList(bytes, bundle);
  const list = apply(held?.list ?? null, read);
  refuseOlderList(held, bundle, list);
  const lists = read.base === 0 ? [bytes] : [...held.record.lists, bytes];
  const whole = { ...record, lists, listSequence: list.sequence };
  if (lists.length > 1 && !(await canBeOpened(whole))) {
    throw new Fault("list-base", "the lists before this delta do not verify under the new bundle, or are too many");
  }
  return { root: record.root, bundle, list, record: whole };
}

/** True where what is kept now will open at the next visit: the keys of earlier lists may have left the bundle. */
async function canBeOpened(record) {
  try {
    return record.lists.length <= MAX_LISTS && Boolean(await verified(record));
  } catch (error) {
    if (error instanceof Fault) {
      return false;
    }
    throw error;
  }
}

function refuseOlderList(held, bundle, list) {
  if (list.sequence < bundle.lowestList) {
    throw new Fault("list-replay", "an older list than the bundle knows of");
  }
  if (held === null || list.sequence > held.list.sequence) {
    return;
  }
  const isOlder = list.sequence < held.list.sequence || list.issuedAt < held.list.issuedAt;
  if (isOlder) {
    throw new Fault("list-replay", "an older list than the one held");
  }
  if (!sameTags(list.tags, held.list.tags)) {
    throw new Fault("list-conflict", "another list of the same sequence");
  }
}

async function fetchFile(name) {
  const request = { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(TIMEOUT) };
  const response = await fetch(`data/${name}`, request).catch((error) => {
    throw new Fault("no-network", error.message);
  });
  if (!response.ok) {
    throw new Fault("server-refused", `${name}: status ${response.status}`);
  }
  return readAll(response.body.getReader());
}

async function readAll(reader) {
  const chunks = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Fault("no-network", error.message);
    });
    if (done) {
      return concatenated(chunks);
    }
    size += value.length;
    if (size > MAX_FILE) {
      await reader.cancel();
      throw new Fault("server-refused", `a file of more than ${MAX_FILE} bytes`);
    }
    chunks.push(value);
  }
}
