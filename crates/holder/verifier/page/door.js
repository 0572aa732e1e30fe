// One person after the other: a text that was read becomes a verdict that is shown for some seconds and then forgotten.

import { now } from "./clock.js";
import { play } from "./sound.js";
import { verify } from "./verify.js";
import { clearResult, drawResult } from "./view.js";

/** Time for which a verdict is shown while the camera is on, in milliseconds. */
const SHOWN_BY_CAMERA = 6_000;
/** Time for which a verdict on an image or a pasted text is shown, in milliseconds. */
const SHOWN_OTHERWISE = 60_000;
/** Time without a code in the picture after which the same code counts as the next person's, in milliseconds. */
const OUT_OF_SIGHT = 1_500;

/** Shows verdicts; `heldData` returns the data to judge by. */
export class Door {
  constructor(heldData) {
    this.heldData = heldData;
    this.shown = null;
    this.inSight = null;
    this.sightTimer = 0;
    this.clearTimer = 0;
    this.turn = 0;
  }

  /** A text from the camera, which reads the same code many times a second: it counts once while it is in sight. */
  async seen(text) {
    const isSame = text === this.inSight;
    this.inSight = text;
    clearTimeout(this.sightTimer);
    this.sightTimer = setTimeout(() => {
      this.inSight = null;
    }, OUT_OF_SIGHT);
    if (!isSame) {
      await this.judge(text, SHOWN_BY_CAMERA);
    }
  }

  /** A text from an image or from the text field. */
  async given(text) {
    await this.judge(text, SHOWN_OTHERWISE);
  }

  /** Forgets the person who is shown; the code in sight stays known, so that it is not shown again at once. */
  clear() {
    this.turn += 1;
    this.shown = null;
    clearTimeout(this.clearTimer);
    clearResult();
  }

  /** Forgets the person and the code in sight. */
  leave() {
    this.inSight = null;
    this.clear();
  }

  /** Draws the verdict shown in the language in use. */
  redraw() {
    if (this.shown !== null) {
      drawResult(this.shown);
    }
  }

  async judge(text, shownFor) {
    this.clear();
    const turn = this.turn;
    const outcome = await verify(text, this.heldData(), now());
    // Somebody else's turn began meanwhile: this verdict is nobody's any more.
    if (turn !== this.turn) {
      return;
    }
    this.shown = outcome;
    drawResult(outcome);
    play(outcome.verdict);
    this.clearTimer = setTimeout(() => this.clear(), shownFor);
  }
}
