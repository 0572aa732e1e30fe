// Questions to the portal. What was typed travels in the body alone, never in an address.

/** Time that an answer may take, in milliseconds. */
const PATIENCE = 60_000;

/** Outcomes after which an action is over; after any other it may be repeated under the same key. */
const FINAL = new Set(["codes", "sheet", "certificate", "refused", "exhausted"]);

const keys = new Map();

/** Asks and gives the portal's answer, or `{ outcome: "offline" }` or `{ outcome: "unreadable" }`. */
export async function ask(path, body) {
  return post(path, JSON.stringify(body), {});
}

/** Asks for a pass. The same question gets the same pass until one has come. */
export async function order(path, body) {
  const text = JSON.stringify(body);
  const known = keys.get(path);
  const key = known?.text === text ? known.key : newKey();
  keys.set(path, { text, key });
  const answer = await post(path, text, { "Idempotency-Key": key });
  if (FINAL.has(answer.outcome)) {
    keys.delete(path);
  }
  return answer;
}

/** Forgets the questions that were not answered. */
export function forgetQuestions() {
  keys.clear();
}

async function post(path, body, headers) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch {
    return { outcome: "offline" };
  }
  try {
    const answer = await response.json();
    return typeof answer.outcome === "string" ? answer : { outcome: "unreadable" };
  } catch (error) {
    return { outcome: error instanceof SyntaxError ? "unreadable" : "offline" };
  }
}

/** A random UUID; crypto.randomUUID is there over HTTPS and on this machine only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
