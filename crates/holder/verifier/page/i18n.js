// Languages of the page: choosing one, its texts, and times in words.

import { english } from "./text-en.js";
import { russian } from "./text-ru.js";

/** Texts by language tag; each has the same keys. */
export const TEXTS = Object.freeze({ ru: russian, en: english });
const KEPT_AS = "language";

let language = TEXTS[localStorage.getItem(KEPT_AS)] ? localStorage.getItem(KEPT_AS) : preferred();

function preferred() {
  return navigator.languages.some((tag) => tag.toLowerCase().startsWith("ru")) ? "ru" : "en";
}

/** Tag of the language in use. */
export function currentLanguage() {
  return language;
}

/** Uses a language from now on, and at the next visit. */
export function setLanguage(tag) {
  language = tag;
  localStorage.setItem(KEPT_AS, tag);
}

/** The text of a key, with `{name}` replaced by the value of that name. */
export function say(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** An age in seconds, in whole minutes, hours or days. */
export function age(seconds) {
  const format = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
  const minutes = Math.floor(seconds / 60);
  if (Math.abs(minutes) < 60) {
    return format.format(-minutes, "minute");
  }
  const hours = Math.floor(minutes / 60);
  return Math.abs(hours) < 72 ? format.format(-hours, "hour") : format.format(-Math.floor(hours / 24), "day");
}

/** A moment in unix seconds, as day and time of the zone. */
export function moment(seconds, timeZone) {
  const parts = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone };
  return new Intl.DateTimeFormat(language, parts).format(new Date(seconds * 1000));
}

/** Name of a month from 1 to 12. */
export function monthName(month) {
  const format = new Intl.DateTimeFormat(language, { month: "long", timeZone: "UTC" });
  return format.format(new Date(Date.UTC(2000, month - 1, 1)));
}
