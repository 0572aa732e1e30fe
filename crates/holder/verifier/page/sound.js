// A sound for each verdict, made by WebAudio; each has its own rhythm and pitch.

/** Tones of each verdict: start and length in seconds, frequency in hertz, wave form. */
const SOUNDS = {
  valid: [tone(0, 0.12, 660, "sine"), tone(0.14, 0.2, 990, "sine")],
  stale: [tone(0, 0.1, 520, "triangle"), tone(0.18, 0.1, 520, "triangle"), tone(0.36, 0.1, 520, "triangle")],
  invalid: [tone(0, 0.6, 160, "sawtooth")],
  "cannot-tell": [tone(0, 0.2, 330, "triangle"), tone(0.24, 0.3, 250, "triangle")],
  "clock-wrong": [tone(0, 0.2, 330, "triangle"), tone(0.24, 0.3, 250, "triangle")],
};
const VOLUME = 0.25;

function tone(start, length, frequency, type) {
  return { start, length, frequency, type };
}

let context = null;

/** Makes sound possible; browsers allow it only inside a click or a key press. */
export function allowSound() {
  context ??= new AudioContext();
  context.resume().catch(() => {});
}

/** Plays the sound of a verdict; nothing is heard before allowSound. */
export function play(verdict) {
  if (context === null) {
    return;
  }
  for (const { start, length, frequency, type } of SOUNDS[verdict]) {
    const oscillator = new OscillatorNode(context, { frequency, type });
    const volume = new GainNode(context, { gain: VOLUME });
    oscillator.connect(volume).connect(context.destination);
    oscillator.start(context.currentTime + start);
    oscillator.stop(context.currentTime + start + length);
  }
}
