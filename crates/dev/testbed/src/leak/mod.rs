//! Looks for identities in bytes, in every form a careless program could leave them in.

use std::fs;
use std::io::Read;
use std::path::Path;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use encoding_rs::WINDOWS_1251;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

/// A scanner for a set of canaries.
pub struct Scanner {
    automaton: AhoCorasick,
    labels: Vec<String>,
}

/// A canary that was found: which, in which form, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Canary and the form that it was found in.
    pub what: String,
    /// Place where it was found.
    pub place: String,
}

impl Scanner {
    /// `canaries` are (label, text as the clinic writes it); digits are also looked for with and
    /// without separators.
    ///
    /// # Panics
    /// A canary that is so short that it would be found by chance.
    #[must_use]
    pub fn new(canaries: &[(&str, &str)]) -> Self {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut labels = Vec::new();
        for (label, text) in canaries {
            for spelling in spellings(text) {
                for (form, bytes) in forms(&spelling) {
                    patterns.push(bytes);
                    labels.push(format!("{label} as {form} of {spelling:?}"));
                }
            }
        }
        assert!(
            patterns.iter().all(|pattern| pattern.len() >= 8),
            "a shorter pattern would be found by chance"
        );
        Self {
            automaton: AhoCorasick::new(&patterns).expect("the patterns make an automaton"),
            labels,
        }
    }

    /// Looks through the bytes, and through what zstd frames among them expand to.
    #[must_use]
    pub fn scan(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = self.scan_plain(place, bytes);
        let frames = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| *window == [0x28, 0xb5, 0x2f, 0xfd]);
        for (at, _) in frames {
            let mut expanded = Vec::new();
            // A chance sequence of the four bytes is no frame; what came before the fault is
            // scanned all the same.
            if let Ok(decoder) = zstd::stream::read::Decoder::new(&bytes[at..]) {
                let _not_a_frame = decoder
                    .single_frame()
                    .take(8 << 20)
                    .read_to_end(&mut expanded);
            }
            hits.extend(self.scan_plain(&format!("{place}, expanded"), &expanded));
        }
        hits
    }

    fn scan_plain(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        self.automaton
            .find_overlapping_iter(bytes)
            .map(|found| Hit {
                what: self.labels[found.pattern().as_usize()].clone(),
                place: place.to_owned(),
            })
            .collect()
    }

    /// Every file below a folder, by content and by name. Returns the hits and how many bytes were
    /// read.
    ///
    /// # Panics
    /// A folder that cannot be listed.
    #[must_use]
    pub fn scan_folder(&self, folder: &Path) -> (Vec<Hit>, u64) {
        self.scan_entries(fs::read_dir(folder).expect("the folder can be listed"))
    }

    fn scan_entries(&self, entries: fs::ReadDir) -> (Vec<Hit>, u64) {
        let mut hits = Vec::new();
        let mut read = 0;
        for entry in entries {
            let path = entry.expect("the entry can be read").path();
            let shown = path.display().to_string();
            if path.is_dir() {
                // A server's folder is alive: what is in it may go between listing and reading.
                let Ok(entries) = fs::read_dir(&path) else {
                    continue;
                };
                let (inner, bytes) = self.scan_entries(entries);
                hits.extend(inner);
                read += bytes;
            } else if path.is_file() {
                let Ok(content) = fs::read(&path) else {
                    continue;
                };
                read += content.len() as u64;
                hits.extend(self.scan(&shown, &content));
                hits.extend(self.scan("a file's name", shown.as_bytes()));
            }
        }
        (hits, read)
    }
}

/// The text itself, and for a number: bare digits, and digits by each usual separator.
fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned(), text.to_uppercase(), text.to_lowercase()];
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if bare.len() >= 8 && bare.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        // Even groups, and those in which SNILS and passports are usually written.
        for groups in [
            &[2][..],
            &[3],
            &[4],
            &[4, 6],
            &[2, 2, 6],
            &[3, 3, 5],
            &[3, 3, 3, 2],
        ] {
            for separator in [" ", "-", ".", "№", " № "] {
                all.push(grouped(&bare, groups).join(separator));
            }
        }
        all.push(bare);
    }
    all.sort();
    all.dedup();
    all
}

/// Cut into groups of these sizes, the last one again and again.
fn grouped(bare: &str, sizes: &[usize]) -> Vec<String> {
    let mut rest = bare;
    let mut groups = Vec::new();
    let mut sizes = sizes.iter().copied();
    let mut size = 1;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let (group, after) = rest.split_at(size.min(rest.len()));
        groups.push(group.to_owned());
        rest = after;
    }
    groups
}

fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = text.as_bytes().to_vec();
    let cp1251 = WINDOWS_1251.encode(text).0.into_owned();
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let mut all = vec![
        (
            "UTF-16LE",
            utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        ),
        (
            "UTF-16BE",
            utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        ),
        ("JSON escapes", escaped(text)),
        ("a list of byte values", byte_list(&utf8)),
        (
            "percent encoding",
            utf8.iter()
                .flat_map(|byte| format!("%{byte:02X}").into_bytes())
                .collect(),
        ),
    ];
    let digests: [(&str, &str, Vec<u8>); 3] = [
        ("MD5", "hex MD5", Md5::digest(text).to_vec()),
        ("SHA-1", "hex SHA-1", Sha1::digest(text).to_vec()),
        ("SHA-256", "hex SHA-256", Sha256::digest(text).to_vec()),
    ];
    for (raw, hexed, digest) in digests {
        all.push((hexed, hex::encode(&digest).into_bytes()));
        all.push((hexed, hex::encode_upper(&digest).into_bytes()));
        all.extend(base64_forms(&digest));
        all.push((raw, digest));
    }
    for bytes in [utf8, cp1251] {
        all.push(("hex", hex::encode(&bytes).into_bytes()));
        all.push(("hex", hex::encode_upper(&bytes).into_bytes()));
        all.extend(base64_forms(&bytes));
        all.push(("text", bytes));
    }
    all.retain(|(_, bytes)| bytes.len() >= 8);
    all
}

/// As Rust's `Debug` shows bytes, without the brackets.
fn byte_list(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(", ")
        .into_bytes()
}

fn escaped(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(|unit| match u8::try_from(unit) {
            Ok(ascii @ 0..128) => vec![ascii],
            _ => format!("\\u{unit:04x}").into_bytes(),
        })
        .collect()
}

/// Base64 at each of the three alignments a text may have inside a longer one.
fn base64_forms(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        let padded: Vec<u8> = std::iter::repeat_n(0, before)
            .chain(bytes.iter().copied())
            .collect();
        let skip = (before * 8).div_ceil(6);
        let keep = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            all.push((
                "base64",
                engine.encode(&padded).as_bytes()[skip..keep].to_vec(),
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests;
