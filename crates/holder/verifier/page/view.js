// Draws what the page shows: the verdict, the age of the data, and the texts of the language in use.

import { age, currentLanguage, moment, monthName, say } from "./i18n.js";
import { cyrillicOf } from "./initials.js";

const SVG = "http://www.w3.org/2000/svg";

function element(id) {
  return document.getElementById(id);
}

/** Puts the texts of the language in use where the document marks them: data-text, and data-label for labels. */
export function drawTexts() {
  document.documentElement.lang = currentLanguage();
  document.title = say("title");
  for (const place of document.querySelectorAll("[data-text]")) {
    place.textContent = say(place.dataset.text);
  }
  for (const place of document.querySelectorAll("[data-label]")) {
    place.setAttribute("aria-label", say(place.dataset.label));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
  }
}

/** Shows one verdict instead of whatever was shown. */
export function drawResult(outcome) {
  clearResult();
  // A screen reader waits with a status until it has finished a sentence; an alert interrupts.
  const isCalm = outcome.verdict === "valid" || outcome.verdict === "stale";
  const drawn = card(outcome);
  element(isCalm ? "result-status" : "result-alert").append(drawn);
  element("result-none").hidden = true;
  element("result-clear").hidden = false;
  drawn.scrollIntoView({ block: "nearest" });
}

/** Removes what is shown of a person. */
export function clearResult() {
  element("result-status").replaceChildren();
  element("result-alert").replaceChildren();
  element("result-none").hidden = false;
  element("result-clear").hidden = true;
}

function card(outcome) {
  const { verdict, reason, holder } = outcome;
  const body = make("div", "card", "", [icon(verdict), make("p", "word", say(`verdict-${verdict}`))]);
  body.dataset.verdict = verdict;
  if (verdict === "invalid") {
    body.append(make("p", "help", say(`reason-${reason}`)), make("p", "code", say("reason-code", { code: reason })));
    return body;
  }
  if (!holder) {
    body.append(make("p", "help", say(`help-${verdict}`)));
    return body;
  }
  const rows = holderRows(holder);
  body.append(make("p", "help", say(rows.length > 0 ? `help-${verdict}` : `holder-none-${verdict}`)));
  if (rows.length > 0) {
    body.append(make("dl", "holder", "", rows));
  }
  return body;
}

function holderRows(holder) {
  return [
    ...row("holder-given", holder.givenInitial, initialText),
    ...row("holder-family", holder.familyInitial, initialText),
    ...row("holder-day", holder.birthDay, String),
    ...row("holder-month", holder.birthMonth, monthName),
  ];
}

function row(key, value, inWords) {
  return value === null ? [] : [make("dt", "", say(key)), make("dd", "", inWords(value))];
}

function initialText(latin) {
  const cyrillic = cyrillicOf(latin).join(", ");
  return cyrillic === "" ? latin : say("initial-cyrillic", { latin, cyrillic });
}

function icon(verdict) {
  const drawing = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  drawing.setAttribute("viewBox", "0 0 48 48");
  drawing.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${verdict}`);
  drawing.append(use);
  return drawing;
}

function make(name, className, text, children = []) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  made.append(...children);
  return made;
}

/** Shows the city and how old keys and revocations are, by `state` of judgeData, and whether the page works without network. */
export function drawData(held, state, isOffline, now) {
  element("data").dataset.state = state;
  const isTooOld = state === "cannot-tell" && held !== null;
  element("data-state").textContent = say(isTooOld ? "state-too-old" : `state-${state}`);
  element("data-city").textContent = city(held);
  element("data-keys").textContent = issued(held, held?.bundle, now);
  element("data-revocations").textContent = issued(held, held?.list, now);
  const readiness = state === "fresh" ? "offline-ready" : "offline-ready-old";
  const isReady = isOffline && (state === "fresh" || state === "stale");
  element("offline").textContent = say(isReady ? readiness : "offline-not-ready");
}

/** The city whose passes are checked, and the fingerprint of its root, by which a rogue page's can be told. */
function city(held) {
  if (held === null) {
    return say("data-none");
  }
  return say("data-root", { issuer: held.bundle.issuer, fingerprint: held.bundle.rootFingerprint });
}

function issued(held, signed, now) {
  if (!signed) {
    return say("data-none");
  }
  const when = { moment: moment(signed.issuedAt, held.root.zone), age: age(now - signed.issuedAt) };
  return `${say("data-issued", when)}, ${say("data-numbered", { number: signed.sequence })}`;
}

/** Shows how a refresh went: a text key, and what stands in it. */
export function drawRefresh(key, values = {}) {
  setIfOther("refresh-outcome", key === null ? "" : say(key, values));
}

/** Shows the warning that the server names another root, or removes it. */
export function drawRootWarning(isShown) {
  setIfOther("root-warning", isShown ? say("root-warning") : "");
}

/** Setting the same text again would make a screen reader say it again. */
function setIfOther(id, text) {
  const place = element(id);
  if (place.textContent !== text) {
    place.textContent = text;
  }
}

/** Shows a problem with the camera, a file or the text field; null removes it. */
export function drawProblem(key, values = {}) {
  element("problem").textContent = key === null ? "" : say(key, values);
}

/** Shows the camera's picture, or hides it. */
export function drawCamera(isOn) {
  element("camera").hidden = !isOn;
  element("camera-start").hidden = isOn;
  element("camera-stop").hidden = !isOn;
}
