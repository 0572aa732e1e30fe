// Cyrillic letters that a Latin initial may stand for.

/** First Latin letter of each Cyrillic letter's transliteration in ICAO Doc 9303, part 3, section 6 B. */
const TRANSLITERATED = {
  А: "A", Б: "B", В: "V", Г: "G", Д: "D", Е: "E", Ё: "E", Ж: "ZH", З: "Z", И: "I", Й: "I", К: "K", Л: "L", М: "M",
  Н: "N", О: "O", П: "P", Р: "R", С: "S", Т: "T", У: "U", Ф: "F", Х: "KH", Ц: "TS", Ч: "CH", Ш: "SH", Щ: "SHCH",
  Ы: "Y", Э: "E", Ю: "IU", Я: "IA",
};

/** Cyrillic letters with which a name may begin whose Latin initial is this one; none for H, J, Q, W and X. */
export function cyrillicOf(initial) {
  return Object.keys(TRANSLITERATED).filter((letter) => TRANSLITERATED[letter].startsWith(initial));
}
