// The worker that looks for a QR code in pixels.

import "./vendor/jsqr/jsQR.js";

/** Shares of the pixels, in the middle of a picture, that become black and white when its contrast is stretched. */
const DARKEST = 0.02;
const LIGHTEST = 0.98;

self.onmessage = ({ data }) => {
  self.postMessage({ number: data.number, text: textIn(data) });
};

/** Text of the code, or null. A picture is looked at as it is, then with its contrast stretched; a frame one way only. */
function textIn({ buffer, width, height, look }) {
  const pixels = new Uint8ClampedArray(buffer);
  if (look === "frame") {
    return read(pixels, width, height, "dontInvert");
  }
  if (look === "faint-frame") {
    return read(stretched(pixels, width, height), width, height, "dontInvert");
  }
  const asItIs = read(pixels, width, height, "attemptBoth");
  return asItIs ?? read(stretched(pixels, width, height), width, height, "attemptBoth");
}

function read(pixels, width, height, inversionAttempts) {
  try {
    return self.jsQR(pixels, width, height, { inversionAttempts })?.data || null;
  } catch {
    // The library throws on some patterns that are no code; the next picture is looked at all the same.
    return null;
  }
}

/** The same pixels with the contrast that the middle of the picture leaves room for: the library misses faint prints. */
function stretched(pixels, width, height) {
  const [low, high] = rangeOfMiddle(pixels, width, height);
  const scale = 255 / Math.max(1, high - low);
  // The array rounds and keeps what is assigned within 0 to 255.
  const levels = Uint8ClampedArray.from({ length: 256 }, (_, level) => (level - low) * scale);
  const result = new Uint8ClampedArray(pixels.length);
  for (let at = 0; at < pixels.length; at++) {
    result[at] = levels[pixels[at]];
  }
  return result;
}

function rangeOfMiddle(pixels, width, height) {
  const counts = new Uint32Array(256);
  let all = 0;
  for (let row = height >> 2; row < height - (height >> 2); row++) {
    for (let column = width >> 2; column < width - (width >> 2); column++) {
      // Green stands for brightness.
      counts[pixels[(row * width + column) * 4 + 1]] += 1;
      all += 1;
    }
  }
  return [levelAt(counts, all * DARKEST), levelAt(counts, all * LIGHTEST)];
}

/** Brightness below or at which that many of the counted pixels lie. */
function levelAt(counts, wanted) {
  let sum = 0;
  return counts.findIndex((count) => {
    sum += count;
    return sum >= wanted;
  });
}
