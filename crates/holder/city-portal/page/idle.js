// Watches whether the page is used, so that nothing of a person stays on a screen that was left.

/** Time without use after which the page forgets, in milliseconds. */
export const FORGET_AFTER = 10 * 60_000;

/** Time between two looks, in milliseconds. */
const LOOK_EVERY = 1_000;

// Not "scroll": the page scrolls by itself where it becomes shorter, as when a code's day is over.
const USES = ["pointerdown", "keydown", "input", "wheel", "touchmove"];

/** Calls `forget` once nothing was done for so long, and `look` again and again. */
export function watchUse(forget, look) {
  let last = Date.now();
  const used = () => {
    last = Date.now();
  };
  for (const use of USES) {
    window.addEventListener(use, used, { passive: true, capture: true });
  }
  setInterval(() => {
    if (Date.now() - last >= FORGET_AFTER) {
      used();
      forget();
    }
    look();
  }, LOOK_EVERY);
}
