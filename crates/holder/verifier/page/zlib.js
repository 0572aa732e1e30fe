// Inflates a zlib stream (RFC 1950) up to a fixed size.

import { concatenated } from "./bytes.js";
import { Fault } from "./fault.js";

/** Largest inflated size that is accepted, in bytes. */
export const MAX_INFLATED = 64 * 1024;

/** Inflated bytes of a zlib stream; throws the fault `zlib` if it is none, is damaged or inflates to too much. */
export async function inflate(bytes) {
  if (!isZlibHeader(bytes)) {
    throw new Fault("zlib", "no zlib header: not compressed, or compressed otherwise");
  }
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  // The same failure comes out of the reading side, where it is handled.
  writer.write(bytes).catch(() => {});
  writer.close().catch(() => {});
  return collect(stream.readable.getReader());
}

function isZlibHeader(bytes) {
  const isDeflate = (bytes[0] & 0x0f) === 8 && bytes[0] >> 4 <= 7;
  const isChecked = bytes.length > 2 && ((bytes[0] << 8) | bytes[1]) % 31 === 0;
  return isDeflate && isChecked;
}

async function collect(reader) {
  const chunks = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Fault("zlib", error.message);
    });
    if (done) {
      return concatenated(chunks);
    }
    size += value.length;
    if (size > MAX_INFLATED) {
      reader.cancel().catch(() => {});
      throw new Fault("zlib", `inflates to more than ${MAX_INFLATED} bytes`);
    }
    chunks.push(value);
  }
}
