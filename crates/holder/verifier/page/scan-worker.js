// The worker that looks for a QR code in pixels.

import "./vendor/jsqr/jsQR.js";

self.onmessage = ({ data }) => {
  const pixels = new Uint8ClampedArray(data.buffer);
  self.postMessage({ number: data.number, text: textIn(pixels, data) });
};

function textIn(pixels, { width, height, thorough }) {
  const inversionAttempts = thorough ? "attemptBoth" : "dontInvert";
  try {
    return self.jsQR(pixels, width, height, { inversionAttempts })?.data || null;
  } catch {
    // The library throws on some patterns that are no code; the next frame is looked at all the same.
    return null;
  }
}
