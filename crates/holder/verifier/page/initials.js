// Cyrillic letters that a Latin initial may stand for.

/**
 * Cyrillic capital letters by the first letter of their transliteration (ICAO Doc 9303, part 3, section 6 B, with the row
 * for Russian where languages differ), and by the passports of Kazakhstan and Tajikistan for letters that ICAO leaves out.
 * The letters of Russian come first.
 */
const CYRILLIC = {
  A: "АӘ", B: "Б", C: "ЧЋ", D: "ДЂЅЏ", E: "ЕЁЭ", F: "Ф", G: "ГЃҐҒ", H: "ҲҺ", I: "ИЙЮЯЪІЇЄӢ", J: "ЈҶ", K: "КХЌҚ", L: "ЛЉ",
  M: "М", N: "НЊҢ", O: "ОӨ", P: "П", Q: "", R: "Р", S: "СШЩ", T: "ТЦ", U: "УЎҮҰӮѪ", V: "В", W: "", X: "", Y: "ЫѴ", Z: "ЖЗ",
};

/** Cyrillic letters with which a name may begin whose Latin initial is this one; none for Q, W and X. */
export function cyrillicOf(initial) {
  return [...CYRILLIC[initial]];
}
