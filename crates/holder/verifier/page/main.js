// Joins the parts of the page: what people press, what the camera reads, and the data.

import { now } from "./clock.js";
import { isNewer, openKept, refresh } from "./data.js";
import { Door } from "./door.js";
import { Fault } from "./fault.js";
import { moment, say, setLanguage } from "./i18n.js";
import { isPageKept, startServiceWorker } from "./offline.js";
import { Camera, PixelReader, readImageFile } from "./scan.js";
import { allowSound } from "./sound.js";
import { judgeData } from "./verify.js";
import * as view from "./view.js";

/** Time between two refreshes while the page is open, in milliseconds. */
const REFRESH_EVERY = 10 * 60_000;
/** Time between two drawings of the data's age, in milliseconds. */
const DRAW_EVERY = 5_000;

/** Parts of a browser that the page needs; some of it is there only over HTTPS. */
const NEEDED = {
  "crypto.subtle": () => globalThis.crypto?.subtle,
  DecompressionStream: () => globalThis.DecompressionStream,
  indexedDB: () => globalThis.indexedDB,
  OffscreenCanvas: () => globalThis.OffscreenCanvas,
  serviceWorker: () => navigator.serviceWorker,
};

const element = (id) => document.getElementById(id);
let held = null;
let isOffline = false;
let isRefreshing = false;
let isReplaced = false;
/** True where the server named another root and has not given data of the pinned one since. */
let isRootOther = false;
let refreshOutcome = { key: null };
let problem = { key: null };

const door = new Door(() => held);
const reader = new PixelReader();
const camera = new Camera(element("camera"), reader, (text) => door.seen(text));

function drawData() {
  view.drawData(held, judgeData(held, now()), isOffline, now());
  const { key, at, fault } = refreshOutcome;
  const values = { moment: at && moment(at, held.root.zone), fault: fault && say(`fault-${fault}`) };
  view.drawRefresh(key, values);
  view.drawRootWarning(isRootOther);
}

function setProblem(key, error) {
  problem = { key, error };
  view.drawProblem(key, { error });
}

async function refreshData() {
  if (isRefreshing) {
    return;
  }
  isRefreshing = true;
  refreshOutcome = { key: "refresh-running" };
  drawData();
  refreshOutcome = await outcomeOfRefresh();
  isRefreshing = false;
  isOffline = await isPageKept().catch(() => false);
  drawData();
}

async function outcomeOfRefresh() {
  try {
    const before = held;
    held = await refresh(held);
    isRootOther = false;
    if (judgeData(held, now()) === "clock-wrong") {
      return { key: "refresh-clock-wrong" };
    }
    return { key: isNewer(held, before) ? "refresh-done" : "refresh-same", at: now() };
  } catch (error) {
    isRootOther ||= error.code === "root-changed";
    return { key: "refresh-failed", fault: error instanceof Fault ? error.code : "storage" };
  }
}

async function startCamera() {
  allowSound();
  setProblem(null);
  door.leave();
  try {
    await camera.start();
  } catch (error) {
    setProblem("camera-failed", error.name);
  }
  view.drawCamera(camera.isOn);
}

function stopCamera() {
  camera.stop();
  view.drawCamera(false);
  door.leave();
  useReplacement();
}

async function checkImage(event) {
  const file = event.target.files[0];
  // The file's name may be a person's.
  event.target.value = "";
  if (!file) {
    return;
  }
  allowSound();
  stopCamera();
  setProblem(null);
  try {
    const text = await readImageFile(file, reader);
    if (text === null) {
      setProblem("image-without-code");
    } else {
      await door.given(text);
    }
  } catch {
    setProblem("image-failed");
  }
}

async function checkText(event) {
  event.preventDefault();
  // Base45 never ends with a space: the last character of a group stands for 32 at most.
  const text = element("text").value.trim();
  element("text").value = "";
  allowSound();
  stopCamera();
  if (text === "") {
    setProblem("text-empty");
    return;
  }
  setProblem(null);
  await door.given(text);
}

function chooseLanguage(event) {
  setLanguage(event.currentTarget.dataset.language);
  view.drawTexts();
  drawData();
  view.drawProblem(problem.key, { error: problem.error });
  door.redraw();
}

/** A newer version of the page is used as soon as nobody is being checked. */
function useReplacement() {
  if (isReplaced && !camera.isOn && door.shown === null) {
    location.reload();
  }
}

function listen() {
  element("camera-start").addEventListener("click", startCamera);
  element("camera-stop").addEventListener("click", stopCamera);
  element("image").addEventListener("change", checkImage);
  element("text-form").addEventListener("submit", checkText);
  element("result-clear").addEventListener("click", () => {
    door.clear();
    useReplacement();
  });
  element("refresh").addEventListener("click", refreshData);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", chooseLanguage);
  }
  window.addEventListener("online", refreshData);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stopCamera();
    }
  });
}

async function start() {
  view.drawTexts();
  view.drawCamera(false);
  listen();
  const missing = Object.keys(NEEDED).filter((name) => !NEEDED[name]());
  if (missing.length > 0) {
    // Without data every answer is "cannot tell".
    setProblem("browser-unfit", missing.join(", "));
    drawData();
    return;
  }
  held = await openKept().catch(() => null);
  drawData();
  navigator.storage?.persist?.();
  const kept = startServiceWorker(() => {
    isReplaced = true;
    useReplacement();
  });
  await refreshData();
  await kept.catch(() => {});
  isOffline = await isPageKept().catch(() => false);
  drawData();
  setInterval(drawData, DRAW_EVERY);
  setInterval(refreshData, REFRESH_EVERY);
}

start();
