//! List of record versions, as the auditor hands it to the registry: a text with a checksum.
//!
//! README.md describes the form.

use std::fmt::Write as _;

use contract::Version;
use sha2::{Digest as _, Sha256};

use crate::entry::StatedRecord;

/// Most lines of records in a list.
pub const MAX_LISTED: usize = 2_000_000;

const HEADER: &str = "clinic-gateway record list 1";
const COUNT: &str = "records ";
const CHECKSUM: &str = "sha256 ";

/// Versions of records, sorted by record and version, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordList(Vec<StatedRecord>);

/// Text that is no list of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Text that begins otherwise.
    #[error("this is no list of records: it would begin with `{HEADER}`")]
    Header,
    /// Text whose checksum is missing, or is that of another text.
    #[error(
        "the list is cut off or was changed: its checksum does not fit; have it written or copied \
         again"
    )]
    Checksum,
    /// Line that is none of the form, or does not stand where it should.
    #[error("line {line} is not as a list of records has it")]
    Line {
        /// Number of the line, from 1.
        line: usize,
    },
    /// More than [`MAX_LISTED`] records.
    #[error("a list holds at most {MAX_LISTED} versions of records: ask for a shorter period")]
    TooLong,
}

impl RecordList {
    /// Makes a list.
    ///
    /// # Errors
    /// [`ListError::TooLong`].
    pub fn new(mut records: Vec<StatedRecord>) -> Result<Self, ListError> {
        records.sort_unstable();
        records.dedup();
        if records.len() > MAX_LISTED {
            return Err(ListError::TooLong);
        }
        Ok(Self(records))
    }

    /// Versions of records, sorted.
    #[must_use]
    pub fn records(&self) -> &[StatedRecord] {
        &self.0
    }

    /// Writes the text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (text, checksum) = self.body_and_checksum();
        text + CHECKSUM + &checksum + "\n"
    }

    /// SHA-256 of the text before its last line, which states it, in hexadecimal digits. Whoever
    /// changes the text can write another; so it is compared over a second channel.
    #[must_use]
    pub fn checksum(&self) -> String {
        self.body_and_checksum().1
    }

    fn body_and_checksum(&self) -> (String, String) {
        let mut text = format!("{HEADER}\n{COUNT}{}\n", self.0.len());
        for stated in &self.0 {
            let record = hex::encode(stated.record);
            writeln!(text, "{record} {}", stated.version.to_u64()).expect("memory takes text");
        }
        let checksum = hex::encode(Sha256::digest(&text));
        (text, checksum)
    }

    /// Reads the text, and refuses one that is not exactly as [`Self::to_text`] writes it.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn from_text(text: &str) -> Result<Self, ListError> {
        if !text.starts_with(HEADER) {
            return Err(ListError::Header);
        }
        let body = text.strip_suffix('\n').ok_or(ListError::Checksum)?;
        let (body, checksum) = body.rsplit_once('\n').ok_or(ListError::Checksum)?;
        let digest = Sha256::new_with_prefix(body).chain_update("\n").finalize();
        if checksum.strip_prefix(CHECKSUM) != Some(hex::encode(digest).as_str()) {
            return Err(ListError::Checksum);
        }
        let mut lines = body.lines().skip(1);
        let count = lines.next().and_then(|line| line.strip_prefix(COUNT));
        let count: usize = count
            .and_then(|count| count.parse().ok())
            .ok_or(ListError::Line { line: 2 })?;
        if count > MAX_LISTED {
            return Err(ListError::TooLong);
        }
        let mut records = Vec::with_capacity(count);
        for (place, line) in lines.enumerate() {
            let line_number = ListError::Line { line: place + 3 };
            records.push(record(line).ok_or(line_number)?);
        }
        let list = Self::new(records)?;
        // In order, each once, in digits as they are written here, and as many as it says.
        if list.0.len() != count || list.to_text() != text {
            return Err(ListError::Line { line: 2 });
        }
        Ok(list)
    }
}

fn record(line: &str) -> Option<StatedRecord> {
    let (digits, version) = line.split_once(' ')?;
    let mut record = [0; 32];
    hex::decode_to_slice(digits, &mut record).ok()?;
    let version = Version::new(version.parse().ok()?)?;
    Some(StatedRecord { record, version })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stated(record: u8, version: u64) -> StatedRecord {
        StatedRecord {
            record: [record; 32],
            version: Version::new(version).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn lists_are_read_as_they_are_written(records in prop::collection::vec((any::<u8>(), 1..9_u64), 0..20)) {
            let records = records.into_iter().map(|(record, version)| stated(record, version));
            let list = RecordList::new(records.collect()).unwrap();
            prop_assert_eq!(RecordList::from_text(&list.to_text()), Ok(list));
        }

        #[test]
        fn a_changed_list_is_refused(place in 0..400_usize, byte in any::<u8>()) {
            let text = RecordList::new(vec![stated(1, 5), stated(2, 7)]).unwrap().to_text();
            let mut bytes = text.clone().into_bytes();
            let place = place % bytes.len();
            bytes[place] = byte;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(changed == text || RecordList::from_text(&changed).is_err());
            }
            prop_assert!(RecordList::from_text(&text[..place]).is_err());
        }
    }

    #[test]
    fn a_list_is_canonical() {
        let list = RecordList::new(vec![stated(2, 7), stated(1, 5), stated(2, 7)]).unwrap();
        assert_eq!(list.records(), [stated(1, 5), stated(2, 7)]);
        let written = list.to_text();
        let swapped: Vec<&str> = written.lines().collect();
        let body = format!(
            "{}\n{}\n{}\n{}\n",
            swapped[0], swapped[1], swapped[3], swapped[2]
        );
        let checksum = hex::encode(Sha256::digest(&body));
        let swapped = format!("{body}{CHECKSUM}{checksum}\n");
        assert!(matches!(
            RecordList::from_text(&swapped),
            Err(ListError::Line { .. })
        ));
        assert_eq!(RecordList::from_text("x"), Err(ListError::Header));
    }
}
