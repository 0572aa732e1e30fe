// Draws what the page shows of the portal's answers. Texts go in as text, pictures as pictures: nothing becomes markup.

import { countryName } from "./countries.js";
import { currentLanguage, day, moment, monthName, say } from "./i18n.js";

const element = (id) => document.getElementById(id);
const pictures = new Map();

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

function make(name, { className = "", text = "", ...properties } = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  if (className) {
    made.className = className;
  }
  made.append(text, ...children);
  return made;
}

/** Address of a file that only this tab has; the one before in the same place is given up. */
function address(place, content, type) {
  URL.revokeObjectURL(pictures.get(place));
  pictures.set(place, URL.createObjectURL(new Blob([content], { type })));
  return pictures.get(place);
}

/** Gives up every picture and file. */
export function forgetPictures() {
  for (const made of pictures.values()) {
    URL.revokeObjectURL(made);
  }
  pictures.clear();
}

/** Shows that an answer is waited for, or no more. */
export function drawWaiting(isWaiting) {
  element("waiting").textContent = isWaiting ? say("waiting") : "";
  for (const button of document.querySelectorAll("#ask, [data-action]")) {
    button.disabled = isWaiting;
  }
}

/** Shows what stands in the way, or a note; null removes it. */
export function drawProblem(problem) {
  const place = element("problem");
  place.replaceChildren();
  if (problem === null) {
    return;
  }
  const box = make("div", { className: problem.isNote ? "verdict no" : "problem" });
  if (!problem.isNote) {
    box.append(make("p", { text: say("problem-heading") }));
  }
  box.append(make("p", { text: problem.key ? say(problem.key) : problem[currentLanguage()] }));
  if (problem.retry_after_seconds > 60) {
    const minutes = Math.ceil(problem.retry_after_seconds / 60);
    box.append(make("p", { text: say("problem-minutes", { minutes }) }));
  }
  if (problem.code) {
    box.append(make("p", { className: "hint", text: say("problem-code", { code: problem.code }) }));
  }
  place.append(box);
}

/** Shows a status, with what the door will see; null removes it. */
export function drawStatus(status) {
  element("actions").hidden = status === null || !status.entitled;
  element("certificates").hidden = status === null;
  element("status").replaceChildren(...(status === null ? [] : [verdict(status), ...(status.entitled ? seenByStrips(status.holder) : [])]));
}

function verdict(status) {
  const box = make("div", { className: status.entitled ? "verdict yes" : "verdict no" });
  box.append(make("h3", { text: say(status.entitled ? "status-yes" : "status-no"), tabIndex: -1 }));
  const first = status.covered[0];
  if (status.entitled) {
    const until = first.last === null ? say("status-open") : say("status-last", { last: day(first.last) });
    box.append(make("p", { text: until }));
  } else if (first) {
    box.append(make("p", { text: say("status-later", { from: day(first.from) }) }));
  }
  if (status.reasons.length > 0) {
    box.append(make("p", { text: say("status-reasons") }), reasonList(status.reasons));
  }
  return box;
}

function reasonList(reasons) {
  const items = reasons.map((reason) => make("li", { text: reason[currentLanguage()] }));
  return make("ul", {}, items);
}

function seenByStrips(holder) {
  return [...seenAtTheDoor(holder), make("p", { className: "hint", text: say("holder-note") })];
}

function seenAtTheDoor(holder) {
  const rows = [
    ...row("holder-given", holder.given, initialText),
    ...row("holder-family", holder.family, initialText),
    ...row("holder-day", holder.day, String),
    ...row("holder-month", holder.month, monthName),
  ];
  const shown = rows.length > 0 ? make("dl", { className: "holder" }, rows) : make("p", { text: say("holder-none") });
  return [make("h3", { text: say("holder-heading") }), shown];
}

function row(key, value, inWords) {
  return value === null ? [] : [make("dt", { text: say(key) }), make("dd", { text: inWords(value) })];
}

function initialText({ latin, cyrillic }) {
  const letters = [...cyrillic].join(", ");
  return letters === "" ? latin : say("initial-cyrillic", { latin, cyrillic: letters });
}

/** Shows one of the codes of today; null removes it. `next` shows another. */
export function drawCodes(codes, at, zone, next) {
  const place = element("codes");
  place.replaceChildren();
  if (codes === null) {
    return;
  }
  const panel = make("div", { className: "panel" }, [make("h3", { text: say("codes-heading"), tabIndex: -1 })]);
  const code = codes[at];
  if (!code) {
    panel.append(make("p", { className: "warning", text: say("code-over") }));
    place.append(panel);
    return;
  }
  const until = moment(code.until, zone);
  const figure = make("figure", {}, [
    make("img", { className: "code", src: address("code", code.svg, "image/svg+xml"), alt: say("code-picture", { until }) }),
    make("figcaption", { className: "until", text: say("code-until", { until }) }),
  ]);
  const text = make("textarea", { id: "code-text", readOnly: true, rows: 4, value: code.text });
  panel.append(figure, make("details", {}, [
    make("summary", { text: say("code-text") }),
    make("label", { htmlFor: "code-text", text: say("certificate-text") }),
    text,
  ]));
  if (codes.length > 1) {
    panel.append(make("p", { className: "hint", text: say("code-once") }));
    panel.append(make("p", { className: "hint", text: say("code-number", { number: at + 1, count: codes.length }) }));
    const button = make("button", { type: "button", id: "code-next", text: say(at + 1 < codes.length ? "code-next" : "code-first") });
    button.addEventListener("click", next);
    panel.append(button);
  }
  place.append(panel);
}

/** Shows the sheet of paper; null removes it. */
export function drawSheet(sheet) {
  const place = element("sheet");
  place.replaceChildren();
  element("print").replaceChildren();
  if (sheet === null) {
    return;
  }
  const from = moment(sheet.from, sheet.zone);
  const until = moment(sheet.until, sheet.zone);
  const picture = address("sheet", sheet.svg, "image/svg+xml");
  const pdf = Uint8Array.from(atob(sheet.pdf), (letter) => letter.charCodeAt(0));
  const print = make("button", { type: "button", id: "sheet-print", text: say("sheet-print") });
  print.addEventListener("click", () => window.print());
  const link = make("a", {
    className: "button main", id: "sheet-pdf", text: say("sheet-pdf"),
    href: address("pdf", pdf, "application/pdf"), download: "pass.pdf",
  });
  place.append(make("div", { className: "panel" }, [
    make("h3", { text: say("sheet-heading"), tabIndex: -1 }),
    make("figure", {}, [
      make("img", { className: "sheet", src: picture, alt: say("sheet-picture", { until }) }),
      make("figcaption", { className: "until", text: say("sheet-window", { from, until }) }),
    ]),
    make("div", { className: "buttons" }, [link, print]),
  ]));
  element("print").append(make("img", { src: picture, alt: "" }));
}

/** Shows a certificate; null removes it. */
export function drawCertificate(certificate) {
  const place = element("certificate");
  place.replaceChildren();
  if (certificate === null) {
    return;
  }
  const until = moment(certificate.until, certificate.zone);
  const picture = address("certificate", certificate.svg, "image/svg+xml");
  const text = make("textarea", { id: "certificate-text", readOnly: true, rows: 5, value: certificate.text });
  place.append(make("div", { className: "panel" }, [
    make("h3", { text: say("certificate-heading"), tabIndex: -1 }),
    make("p", { id: "certificate-states", text: states(certificate.states, certificate.zone) }),
    ...(isIncomplete(certificate.states) ? [make("p", { className: "warning", text: say("certificate-incomplete") })] : []),
    make("figure", {}, [
      make("img", { className: "code", src: picture, alt: say("certificate-picture", { until }) }),
      make("figcaption", { className: "until", text: say("code-until", { until }) }),
    ]),
    ...seenAtTheDoor(certificate.holder),
    make("label", { htmlFor: "certificate-text", text: say("certificate-text") }),
    text,
  ]));
}

/** Returns whether a certificate is of a dose that more doses have to follow. */
function isIncomplete({ kind, dose, doses }) {
  return kind === "vaccination" && dose < doses;
}

function states({ kind, method, date, first_positive: firstPositive, sampled, country, ...others }, zone) {
  const key = kind === "test" ? method : kind;
  const shown = sampled ? moment(sampled, zone) : day(date ?? firstPositive);
  return say(`certificate-${key}`, { ...others, date: shown, country: countryName(country) });
}

/** Leads to what has just appeared in a place, so that a screen reader goes on from there. */
export function leadTo(id) {
  const heading = element(id).querySelector("h3[tabindex]") ?? element("answer-heading");
  heading.focus({ preventScroll: true });
  element(id).scrollIntoView({ block: "nearest" });
}
