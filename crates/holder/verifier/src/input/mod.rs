//! Input of the program: files and standard input, their limits and their faults.

mod picture;
#[cfg(test)]
pub(crate) mod testing;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

pub(crate) use picture::codes;

/// Greatest size of a file that is read, in bytes: that of the greatest revocation list.
pub(crate) const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Greatest number of passes in one input.
pub(crate) const MAX_PASSES: usize = 10_000;

/// Name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// First bytes of files that people take for a text, and what to call them.
const OTHER_KINDS: [(&[u8], &str); 5] = [
    (b"\xff\xd8\xff", "a JPEG picture: convert it to PNG"),
    (b"GIF8", "a GIF picture: convert it to PNG"),
    (b"%PDF", "a PDF document: make a PNG picture of the page"),
    (b"<svg", "an SVG drawing: make a PNG picture of it"),
    (
        b"<?xml",
        "an XML document: make a PNG picture of it if it is a drawing",
    ),
];

/// Input that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    /// Path that no file has.
    #[error("{0}: there is no such file; give the path of a file, or - for standard input")]
    Missing(String),
    /// A folder was given.
    #[error("{0}: this is a folder; give a file in it")]
    Folder(String),
    /// The file holds nothing.
    #[error("{0}: the file is empty")]
    Empty(String),
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("{0}: the file is larger than {MAX_FILE_BYTES} bytes; give a smaller one")]
    TooLarge(String),
    /// The system refuses to read the file.
    #[error("{0}: the file cannot be read: {1}")]
    Unreadable(String, ErrorKind),
    /// The text is not in UTF-8.
    #[error(
        "{0}: this is no text in UTF-8 and no PNG picture; save it as UTF-8 without formatting"
    )]
    NotUtf8(String),
    /// The text is in UTF-16.
    #[error("{0}: this text is in UTF-16; save it as UTF-8")]
    Utf16(String),
    /// The file is of a kind that is not read.
    #[error("{0}: this is {1}")]
    OtherKind(String, &'static str),
    /// Text of blank lines only.
    #[error("{0}: there are only blank lines")]
    Blank(String),
    /// More lines than [`MAX_PASSES`].
    #[error("{0}: there are more than {MAX_PASSES} passes; split the file")]
    TooMany(String),
    /// The content is not what the argument asks for.
    #[error("{0}: {1}")]
    Unfit(String, String),
}

/// Place that is read from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Standard input.
    StandardInput,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Place that an argument names; `-` is standard input.
    pub(crate) fn of(argument: &Path) -> Self {
        if argument == Path::new(STANDARD_INPUT) {
            Self::StandardInput
        } else {
            Self::File(argument.to_owned())
        }
    }

    /// Name of the place in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::StandardInput => "standard input".to_owned(),
            Self::File(path) => program::terminal::visible(&path.to_string_lossy()).into_owned(),
        }
    }

    /// Reads all of it, at most [`MAX_FILE_BYTES`].
    pub(crate) fn read(&self) -> Result<Vec<u8>, InputError> {
        let bytes = match self {
            Self::StandardInput => read_bounded(io::stdin().lock()),
            Self::File(path) => File::open(path).and_then(read_bounded),
        };
        let bytes = bytes.map_err(|error| self.fault(error.kind()))?;
        if bytes.is_empty() {
            return Err(InputError::Empty(self.name()));
        }
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(InputError::TooLarge(self.name()));
        }
        Ok(bytes)
    }

    /// Reads all of it as text.
    pub(crate) fn read_text(&self) -> Result<String, InputError> {
        text(self, self.read()?)
    }

    fn fault(&self, kind: ErrorKind) -> InputError {
        match kind {
            ErrorKind::NotFound => InputError::Missing(self.name()),
            ErrorKind::IsADirectory => InputError::Folder(self.name()),
            other => InputError::Unreadable(self.name(), other),
        }
    }
}

/// Content of an input for passes.
#[derive(Debug)]
pub(crate) enum Content {
    /// Texts, one for each line that is not blank.
    Texts(Vec<String>),
    /// A PNG picture.
    Picture(Vec<u8>),
}

/// Reads passes: a PNG picture, or a text with one pass on each line.
pub(crate) fn read_passes(source: &Source) -> Result<Content, InputError> {
    let bytes = source.read()?;
    if picture::is_png(&bytes) {
        return Ok(Content::Picture(bytes));
    }
    let text = text(source, bytes)?;
    let lines: Vec<String> = lines(&text).map(str::to_owned).collect();
    match lines.len() {
        0 => Err(InputError::Blank(source.name())),
        count if count > MAX_PASSES => Err(InputError::TooMany(source.name())),
        _ => Ok(Content::Texts(lines)),
    }
}

/// Lines that are not blank. Spaces at the end of a line stay: the last character of base45 may be
/// one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split(['\n', '\r']).map(str::trim_start);
    lines.filter(|line| !line.is_empty())
}

fn text(source: &Source, bytes: Vec<u8>) -> Result<String, InputError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(InputError::Utf16(source.name()));
    }
    if let Some((_, kind)) = OTHER_KINDS
        .iter()
        .find(|(start, _)| bytes.starts_with(start))
    {
        return Err(InputError::OtherKind(source.name(), kind));
    }
    let text = String::from_utf8(bytes).map_err(|_| InputError::NotUtf8(source.name()))?;
    // Editors on Windows put a byte order mark before the text.
    Ok(match text.strip_prefix('\u{feff}') {
        Some(unmarked) => unmarked.to_owned(),
        None => text,
    })
}

/// Reads one byte more than is allowed, so that a file that is too large shows.
fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
