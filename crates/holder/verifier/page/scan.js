// Reads QR codes from the camera and from image files; what is read goes to the caller and is not kept.

/** Longest side of a camera frame that is read, in pixels. */
const FRAME_SIDE = 1280;
/**
 * Longest sides at which an image file is tried, in pixels: a sharp small code needs many; a noisy photo, and a drawing
 * with seams between its squares, need few.
 */
const IMAGE_SIDES = [1600, 800, 400, 2800];
/** Largest image file that is opened, in bytes. */
export const MAX_IMAGE_FILE = 32 * 1024 * 1024;
/** Time without a new frame after which the camera loop looks again, in milliseconds. */
const FRAME_WAIT = 250;

/** Reads pixels in a worker, so that the page stays responsive. */
export class PixelReader {
  constructor() {
    this.waiting = new Map();
    this.number = 0;
    this.worker = new Worker("scan-worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => {
      this.waiting.get(data.number)?.(data.text);
      this.waiting.delete(data.number);
    };
  }

  /**
   * Text of the QR code in the pixels, or null. `look` is "frame", "faint-frame" (with the contrast stretched), or
   * "image" (both ways, and for light codes on dark ground too).
   */
  read(pixels, look) {
    this.number += 1;
    const number = this.number;
    const buffer = pixels.data.buffer;
    const message = { number, buffer, width: pixels.width, height: pixels.height, look };
    return new Promise((resolve) => {
      this.waiting.set(number, resolve);
      this.worker.postMessage(message, [buffer]);
    });
  }
}

/** Text of the QR code in an image file, or null; throws if the file is no image or too large. */
export async function readImageFile(file, reader) {
  if (file.size > MAX_IMAGE_FILE) {
    throw new RangeError(`the file has more than ${MAX_IMAGE_FILE} bytes`);
  }
  const isDrawing = file.type === "image/svg+xml";
  const image = isDrawing ? await openDrawing(file) : await createImageBitmap(file);
  // A drawing may be made larger than it says it is.
  const longest = isDrawing ? Infinity : Math.max(image.width, image.height);
  for (const side of new Set(IMAGE_SIDES.map((limit) => Math.min(limit, longest)))) {
    const text = await reader.read(pixelsOf(image, image.width, image.height, side), "image");
    if (text !== null) {
      return text;
    }
  }
  return null;
}

/** An SVG file as an image element, in which neither scripts run nor other files are fetched. */
async function openDrawing(file) {
  const image = new Image();
  const url = URL.createObjectURL(file);
  try {
    image.src = url;
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Shows the camera in a video element and hands every text that it reads to `onText`. */
export class Camera {
  constructor(video, reader, onText) {
    this.video = video;
    this.reader = reader;
    this.onText = onText;
    this.stream = null;
  }

  get isOn() {
    return this.stream !== null;
  }

  /** Rejects with the browser's error if there is no camera or no permission. */
  async start() {
    const size = { width: { ideal: FRAME_SIDE }, height: { ideal: 720 } };
    const video = { facingMode: { ideal: "environment" }, ...size };
    this.stop();
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.stream = stream;
    this.video.srcObject = stream;
    await this.video.play();
    this.loop(stream);
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
  }

  async loop(stream) {
    let look = "faint-frame";
    while (this.stream === stream) {
      await nextFrame(this.video);
      if (this.stream !== stream || this.video.videoWidth === 0) {
        continue;
      }
      const { videoWidth, videoHeight } = this.video;
      const side = Math.min(FRAME_SIDE, Math.max(videoWidth, videoHeight));
      const pixels = pixelsOf(this.video, videoWidth, videoHeight, side);
      // Every second frame is looked at as if it were faint; the code is in sight for many frames.
      look = look === "frame" ? "faint-frame" : "frame";
      const text = await this.reader.read(pixels, look);
      if (text !== null && this.stream === stream) {
        this.onText(text);
      }
    }
  }
}

function nextFrame(video) {
  return new Promise((resolve) => {
    video.requestVideoFrameCallback(() => resolve());
    setTimeout(resolve, FRAME_WAIT);
  });
}

/** Pixels of a picture whose longest side becomes `side`. */
function pixelsOf(source, width, height, side) {
  const scale = side / Math.max(width, height);
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  // A transparent image is read as on white paper.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
