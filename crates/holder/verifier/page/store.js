// Data that the page keeps between visits: the pinned root, the bundle and the lists, as they were signed. Nothing of a pass.

import { sameBytes } from "./bytes.js";
import { Fault } from "./fault.js";
import { isSameRoot } from "./trust.js";

const DATABASE = "verifier";
const RECORDS = "kept";
const KEY = "data";

/**
 * The record that is kept, or null: root, trust (bytes), lists (bytes of a whole list and of the deltas after it), and
 * the sequences of bundle and list.
 */
export async function load() {
  const database = await open();
  try {
    const records = database.transaction(RECORDS).objectStore(RECORDS);
    return (await result(records.get(KEY))) ?? null;
  } finally {
    database.close();
  }
}

/**
 * Keeps the record in one transaction, unless it is older than what is kept or contradicts it: another tab may have kept
 * newer data meanwhile. Throws `trust-replay`, `trust-conflict` or `root-changed` then.
 */
export async function save(record) {
  const database = await open();
  try {
    const transaction = database.transaction(RECORDS, "readwrite", { durability: "strict" });
    const records = transaction.objectStore(RECORDS);
    refuseAgainst(await result(records.get(KEY)), record);
    records.put(record, KEY);
    await finished(transaction);
  } finally {
    database.close();
  }
}

function refuseAgainst(kept, record) {
  if (!kept) {
    return;
  }
  if (!isSameRoot(kept.root, record.root)) {
    throw new Fault("root-changed", "another root is kept");
  }
  if (kept.trustSequence > record.trustSequence || kept.listSequence > record.listSequence) {
    throw new Fault("trust-replay", "newer data has been kept meanwhile");
  }
  if (kept.trustSequence === record.trustSequence && !sameBytes(kept.trust, record.trust)) {
    throw new Fault("trust-conflict", "another bundle of the same sequence has been kept meanwhile");
  }
}

function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(RECORDS);
  return result(request);
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("the browser did not keep the data"));
  });
}
