// Joins the parts of the page: what people press, what the portal answers, and forgetting.

import { ask, forgetQuestions, order } from "./api.js";
import { clearForm, drawForm, showFaults, typed } from "./form.js";
import { setLanguage } from "./i18n.js";
import { watchUse } from "./idle.js";
import * as view from "./view.js";

const EMPTY = Object.freeze({ problem: null, status: null, codes: null, at: 0, zone: null, sheet: null, certificate: null });
const CERTIFICATES = ["vaccination", "recovery", "test"];

const element = (id) => document.getElementById(id);
let shown = { ...EMPTY };
/** Number of the question in hand: an answer to an older one, or to one that was forgotten, is dropped. */
let question = 0;

function draw() {
  view.drawTexts();
  drawForm();
  view.drawProblem(shown.problem);
  view.drawStatus(shown.status);
  element("nothing").hidden = shown.status !== null || shown.problem !== null;
  view.drawCodes(shown.codes, shown.at, shown.zone, nextCode);
  view.drawSheet(shown.sheet);
  view.drawCertificate(shown.certificate);
}

function show(change) {
  shown = { ...shown, ...change };
  draw();
}

/** Waits for an answer; null if it is not wanted any more. */
async function answerOf(asking) {
  question += 1;
  const own = question;
  show({ problem: null });
  showFaults([]);
  view.drawWaiting(true);
  const answer = await asking;
  if (own !== question) {
    return null;
  }
  view.drawWaiting(false);
  return answer;
}

async function askStatus(event) {
  event.preventDefault();
  show({ ...EMPTY });
  const answer = await answerOf(ask("/api/status", typed()));
  if (answer?.outcome === "status") {
    show({ status: answer });
    view.leadTo("status");
  } else if (answer) {
    showOther(answer);
  }
}

async function getCodes() {
  // Every order counts, for the days ahead as well: codes that are there are shown first.
  if (shown.codes?.length > 0) {
    nextCode();
    view.leadTo("codes");
    return;
  }
  const answer = await answerOf(order("/api/codes", typed()));
  if (answer?.outcome === "codes") {
    show({ codes: answer.codes, at: 0, zone: answer.zone });
    view.leadTo("codes");
  } else if (answer) {
    showOther(answer);
  }
}

async function getSheet() {
  const answer = await answerOf(order("/api/sheet", typed()));
  if (answer?.outcome === "sheet") {
    show({ sheet: answer });
    view.leadTo("sheet");
  } else if (answer) {
    showOther(answer);
  }
}

async function getCertificate(kind) {
  const answer = await answerOf(order("/api/certificate", { kind, citizen: typed() }));
  if (answer?.outcome === "certificate") {
    show({ certificate: answer });
    view.leadTo("certificate");
  } else if (answer) {
    show({ certificate: null });
    showOther(answer);
  }
}

/** Shows an answer that is not what was asked for. */
function showOther(answer) {
  if (answer.outcome === "fields") {
    show({ ...EMPTY });
    showFaults(answer.fields);
    return;
  }
  show({ problem: problemOf(answer) });
  view.leadTo("problem");
}

function problemOf(answer) {
  switch (answer.outcome) {
    case "problem":
      return answer;
    case "refused":
      return { isNote: true, ru: sentences(answer.reasons, "ru"), en: sentences(answer.reasons, "en") };
    case "exhausted":
      return { isNote: true, ru: answer.ru, en: answer.en };
    case "offline":
      return { key: "problem-offline" };
    default:
      return { key: "problem-answer" };
  }
}

function sentences(reasons, language) {
  return reasons.map((reason) => reason[language]).join(" ");
}

/** An answer is of who was asked about: it goes when something else is typed. */
function leaveAnswer() {
  question += 1;
  view.drawWaiting(false);
  if (shown.status !== null || shown.problem !== null) {
    view.forgetPictures();
    show({ ...EMPTY });
  }
}

function nextCode() {
  show({ at: (shown.at + 1) % shown.codes.length });
  element("code-next")?.focus();
}

/** Erases everything of a person, and says why where somebody is there to read it. */
function forget(note) {
  question += 1;
  forgetQuestions();
  view.forgetPictures();
  clearForm();
  shown = { ...EMPTY, problem: note ? { isNote: true, key: note } : null };
  view.drawWaiting(false);
  draw();
}

/** Takes a code away whose time is over. */
function lookAtCodes() {
  if (shown.codes === null || shown.codes.length === 0) {
    return;
  }
  const codes = shown.codes.filter((code) => Date.parse(code.until) > Date.now());
  if (codes.length !== shown.codes.length) {
    show({ codes, at: 0 });
  }
}

function isUsed() {
  const fields = document.querySelectorAll("#form input[type=text], #form select");
  return shown.status !== null || [...fields].some((field) => field.value !== "");
}

function listen() {
  element("form").addEventListener("submit", askStatus);
  element("forget").addEventListener("click", () => forget("forgotten"));
  element("form").addEventListener("input", leaveAnswer);
  for (const choice of document.querySelectorAll("[name=document]")) {
    choice.addEventListener("change", () => {
      showFaults([]);
      drawForm();
    });
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.language);
      draw();
    });
  }
  const actions = { codes: getCodes, sheet: getSheet };
  for (const kind of CERTIFICATES) {
    actions[kind] = () => getCertificate(kind);
  }
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", actions[button.dataset.action]);
  }
  // Neither the page's cache for going back nor a restored tab shall have what was typed.
  window.addEventListener("pagehide", () => forget(null));
  window.addEventListener("pageshow", () => {
    if (isUsed()) {
      forget(null);
    }
  });
  watchUse(() => {
    if (isUsed()) {
      forget("forgotten-idle");
    }
  }, lookAtCodes);
}

listen();
draw();
