// Faults of a pass and of signed data: an error that carries one stable code.

/** Reason codes of a pass that is not valid, in the order in which they are looked for. */
export const REASONS = Object.freeze([
  "not-a-pass",
  "base45",
  "zlib",
  "cbor",
  "cose",
  "algorithm",
  "key-unknown",
  "key-not-for-this",
  "key-not-valid-now",
  "signature",
  "issuer",
  "claims",
  "series-incomplete",
  "not-yet",
  "expired",
  "revoked",
]);

/** An error with a stable code; the message is for a developer and holds nothing of the pass. */
export class Fault extends Error {
  constructor(code, message = code) {
    super(message);
    this.name = "Fault";
    this.code = code;
  }
}

/** The value that `read` returns; a fault that it throws gets another code. */
export function unlessFaulty(read, code) {
  try {
    return read();
  } catch (error) {
    throw error instanceof Fault ? new Fault(code, error.message) : error;
  }
}
