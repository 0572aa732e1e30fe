//! The content of a file, unpacked where it is packed with gzip, which shows by its first bytes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use flate2::read::MultiGzDecoder;

use crate::gzip::{self, MAGIC};

/// Content of an open file, from its beginning.
pub(super) enum Unpacked<'a> {
    Plain(&'a File),
    Packed {
        decoder: Box<MultiGzDecoder<Counted<'a>>>,
        unpacked: u64,
    },
}

/// A file of which the bytes that were read are counted.
pub(super) struct Counted<'a> {
    file: &'a File,
    count: u64,
}

impl<'a> Unpacked<'a> {
    /// The content of a file of which nothing was read yet.
    pub(super) fn new(file: &'a File) -> io::Result<Self> {
        if !is_packed(file)? {
            return Ok(Self::Plain(file));
        }
        let counted = Counted { file, count: 0 };
        Ok(Self::Packed {
            decoder: Box::new(MultiGzDecoder::new(counted)),
            unpacked: 0,
        })
    }
}

/// True for a file that is packed.
pub(super) fn is_packed(file: &File) -> io::Result<bool> {
    let mut first = [0; MAGIC.len()];
    match file.read_exact_at(&mut first, 0) {
        Ok(()) => Ok(first == MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl Read for Unpacked<'_> {
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] and [`io::ErrorKind::InvalidInput`] for a packed file that
    /// is not whole, [`io::ErrorKind::FileTooLarge`] for one that unpacks to too much.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed { decoder, unpacked } => {
                let read = decoder.read(buffer)?;
                *unpacked += read as u64;
                if gzip::is_too_much(decoder.get_ref().count, *unpacked) {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                Ok(read)
            }
        }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}
