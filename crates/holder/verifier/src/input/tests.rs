//! Tests of reading.

use std::fs;

use super::{Content, InputError, MAX_FILE_BYTES, MAX_PASSES, Source, read_passes};

fn read(bytes: &[u8]) -> Result<Content, InputError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passes.txt");
    fs::write(&path, bytes).unwrap();
    read_passes(&Source::of(&path))
}

fn texts(bytes: &[u8]) -> Vec<String> {
    match read(bytes).unwrap() {
        Content::Texts(texts) => texts,
        Content::Picture(_) => panic!("a text is no picture"),
    }
}

#[test]
fn a_byte_order_mark_and_line_ends_of_any_system_are_no_part_of_a_pass() {
    assert_eq!(
        texts(b"\xef\xbb\xbfHC1:A \r\n\r\n  HC1:B\rHC1:C\n"),
        ["HC1:A ", "HC1:B", "HC1:C"]
    );
}

#[test]
fn each_unusable_input_is_named() {
    assert!(matches!(read(b""), Err(InputError::Empty(_))));
    assert!(matches!(read(b" \r\n\n"), Err(InputError::Blank(_))));
    assert!(matches!(read(b"HC1:\xc3"), Err(InputError::NotUtf8(_))));
    assert!(matches!(read(b"\xff\xfeH\0"), Err(InputError::Utf16(_))));
    assert!(matches!(
        read(b"%PDF-1.7"),
        Err(InputError::OtherKind(_, _))
    ));
    let folder = tempfile::tempdir().unwrap();
    let read = |path| read_passes(&Source::of(path));
    assert!(matches!(read(folder.path()), Err(InputError::Folder(_))));
    let nothing = folder.path().join("nothing");
    assert!(matches!(read(&nothing), Err(InputError::Missing(_))));
}

#[test]
fn a_file_of_the_greatest_size_is_read_and_one_byte_more_is_refused() {
    let greatest = usize::try_from(MAX_FILE_BYTES).unwrap();
    assert!(greatest >= pass::container::MAX_COSE_BYTES);
    assert_eq!(texts(&vec![b'A'; greatest]).len(), 1);
    let larger = vec![b'A'; greatest + 1];
    assert!(matches!(read(&larger), Err(InputError::TooLarge(_))));
}

#[test]
fn the_greatest_number_of_passes_is_read_and_one_more_is_refused() {
    assert_eq!(
        texts("HC1:A\n".repeat(MAX_PASSES).as_bytes()).len(),
        MAX_PASSES
    );
    let more = "HC1:A\n".repeat(MAX_PASSES + 1);
    assert!(matches!(read(more.as_bytes()), Err(InputError::TooMany(_))));
}
