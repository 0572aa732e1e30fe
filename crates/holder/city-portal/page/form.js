// The form: what was typed, and the fault of each field.

import { countries } from "./countries.js";
import { currentLanguage, say } from "./i18n.js";

/** Fields of the form, in their order on the page. */
const FIELDS = ["country", "number", "family_name", "given_name", "birth_date"];

/** Documents that count only with the country that issued them. */
const WITH_COUNTRY = ["national-id", "passport-foreign"];

const element = (id) => document.getElementById(id);
let faults = [];

function chosenDocument() {
  return document.querySelector("[name=document]:checked").value;
}

/** What was typed, as the portal takes it. */
export function typed() {
  const kind = chosenDocument();
  const citizen = { document: kind };
  for (const field of FIELDS) {
    citizen[field] = element(field).value;
  }
  if (!WITH_COUNTRY.includes(kind)) {
    delete citizen.country;
  }
  return citizen;
}

/** Puts the texts that depend on the language and on the document. */
export function drawForm() {
  const kind = chosenDocument();
  element("number-label").textContent = say(`number-${kind}`);
  element("number-hint").textContent = say(`hint-${kind}`);
  element("number").inputMode = WITH_COUNTRY.includes(kind) ? "text" : "numeric";
  element("country-field").hidden = !WITH_COUNTRY.includes(kind);
  drawCountries();
  drawFaults();
}

function drawCountries() {
  const list = element("country");
  const chosen = list.value;
  const option = ([code, name]) => new Option(name, code, false, code === chosen);
  list.replaceChildren(option(["", say("country-choose")]), ...countries().map(option));
}

/** Shows faults as the portal told them, and leads to the first. */
export function showFaults(told) {
  faults = told;
  drawFaults();
  if (faults.length > 0) {
    element("faults").focus();
    element("faults").scrollIntoView({ block: "nearest" });
  }
}

function drawFaults() {
  const sentence = (fault) => fault[currentLanguage()];
  for (const field of FIELDS) {
    const fault = faults.find((one) => one.field === field);
    element(`${field}-fault`).textContent = fault ? sentence(fault) : "";
    element(field).toggleAttribute("aria-invalid", false);
    if (fault) {
      element(field).setAttribute("aria-invalid", "true");
    }
  }
  element("faults").hidden = faults.length === 0;
  const inOrder = FIELDS.flatMap((field) => faults.filter((fault) => fault.field === field));
  element("fault-list").replaceChildren(...inOrder.map((fault) => faultLink(fault.field, sentence(fault))));
}

function faultLink(field, text) {
  const link = document.createElement("a");
  link.href = `#${field}`;
  link.textContent = text;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    element(field).focus();
  });
  const item = document.createElement("li");
  item.append(link);
  return item;
}

/** Empties every field. */
export function clearForm() {
  element("form").reset();
  faults = [];
  drawForm();
}
