// Languages of the page: choosing one, its texts, and dates in words. The choice is kept nowhere.

import { english } from "./text-en.js";
import { russian } from "./text-ru.js";

/** Texts by language tag; each has the same keys. */
export const TEXTS = Object.freeze({ ru: russian, en: english });

let language = navigator.languages.some((tag) => tag.toLowerCase().startsWith("ru")) ? "ru" : "en";

/** Tag of the language in use. */
export function currentLanguage() {
  return language;
}

/** Uses a language from now on. */
export function setLanguage(tag) {
  language = tag;
}

/** The text of a key, with `{name}` replaced by the value of that name. */
export function say(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** A day that is written as YYYY-MM-DD. */
export function day(text) {
  const format = new Intl.DateTimeFormat(locale(), { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return format.format(new Date(`${text}T00:00:00Z`));
}

/** A moment in the zone of the city, whatever the zone of this device. */
export function moment(text, timeZone) {
  const parts = { day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone };
  return new Intl.DateTimeFormat(locale(), parts).format(new Date(text));
}

/** Name of a month from 1 to 12. */
export function monthName(month) {
  const format = new Intl.DateTimeFormat(locale(), { month: "long", timeZone: "UTC" });
  return format.format(new Date(Date.UTC(2000, month - 1, 1)));
}

function locale() {
  return language === "en" ? "en-GB" : language;
}
