//! QR codes in PNG pictures.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use rqrr::PreparedImage;
use thiserror::Error;

use super::MAX_FILE_BYTES;

/// Greatest number of pixels of a picture.
pub(crate) const MAX_PIXELS: usize = 16 * 1024 * 1024;

/// First eight bytes of every PNG file (PNG specification, section 5.2).
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Width of the white frame that is put around a picture, in pixels: the reader wants a quiet zone,
/// and pictures are often cut at the code's edge.
const FRAME: usize = 16;

/// Factors that a picture is enlarged by until a code is found: in small ones a module is one or
/// two pixels wide, which the reader does not find.
const ENLARGEMENTS: [usize; 3] = [1, 3, 6];

/// Brightness from which on a pixel is counted as white paper.
const WHITE: u8 = 255;

/// Fault of a picture or of the QR code in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PictureFault {
    /// The bytes are no PNG picture.
    #[error("this is no PNG picture, or a damaged one")]
    NotPng,
    /// The picture has more than [`MAX_PIXELS`].
    #[error("the picture has more than {MAX_PIXELS} pixels; make it smaller")]
    TooLarge,
    /// Nothing in the picture looks like a QR code.
    #[error("there is no QR code in the picture")]
    NoCode,
    /// There is a code, but more of it is damaged than its error correction can mend.
    #[error("the QR code in the picture is damaged")]
    Damaged,
}

/// Brightness of a picture's pixels, row by row.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Whether the bytes begin as a PNG picture does.
pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG_SIGNATURE)
}

/// Texts of the QR codes in a PNG picture, at least one.
pub(crate) fn codes(png: &[u8]) -> Result<Vec<String>, PictureFault> {
    let picture = decode(png)?;
    let mut fault = PictureFault::NoCode;
    for enlargement in ENLARGEMENTS {
        let fits = picture.pixels.len() * enlargement * enlargement <= MAX_PIXELS;
        if enlargement > 1 && !fits {
            break;
        }
        for inverted in [false, true] {
            match read(&picture, enlargement, inverted) {
                Ok(texts) => return Ok(texts),
                Err(PictureFault::Damaged) => fault = PictureFault::Damaged,
                Err(_) => {}
            }
        }
    }
    Err(fault)
}

fn read(
    picture: &Picture,
    enlargement: usize,
    inverted: bool,
) -> Result<Vec<String>, PictureFault> {
    let width = picture.width * enlargement + 2 * FRAME;
    let height = picture.height * enlargement + 2 * FRAME;
    let pixel = |x: usize, y: usize| {
        let inside = |at: usize, length: usize| {
            let at = at.checked_sub(FRAME)? / enlargement;
            (at < length).then_some(at)
        };
        let column = inside(x, picture.width);
        let row = inside(y, picture.height);
        match (column, row) {
            (Some(column), Some(row)) => {
                let brightness = picture.pixels[row * picture.width + column];
                if inverted {
                    WHITE - brightness
                } else {
                    brightness
                }
            }
            _ => WHITE,
        }
    };
    let mut prepared = PreparedImage::prepare_from_greyscale(width, height, pixel);
    let grids = prepared.detect_grids();
    if grids.is_empty() {
        return Err(PictureFault::NoCode);
    }
    let read = grids.iter().filter_map(|grid| grid.decode().ok());
    let texts: Vec<String> = read.map(|(_, text)| text).collect();
    if texts.is_empty() {
        return Err(PictureFault::Damaged);
    }
    Ok(texts)
}

fn decode(png: &[u8]) -> Result<Picture, PictureFault> {
    let bytes = usize::try_from(MAX_FILE_BYTES).map_err(|_| PictureFault::TooLarge)?;
    let limits = Limits {
        bytes: bytes + 8 * MAX_PIXELS,
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(png), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|_| PictureFault::NotPng)?;
    let header = reader.info();
    let width = usize::try_from(header.width).map_err(|_| PictureFault::TooLarge)?;
    let height = usize::try_from(header.height).map_err(|_| PictureFault::TooLarge)?;
    if width
        .checked_mul(height)
        .is_none_or(|pixels| pixels > MAX_PIXELS)
    {
        return Err(PictureFault::TooLarge);
    }
    let size = reader.output_buffer_size().ok_or(PictureFault::TooLarge)?;
    let mut buffer = vec![0; size];
    let frame = reader
        .next_frame(&mut buffer)
        .map_err(|_| PictureFault::NotPng)?;
    if frame.bit_depth != BitDepth::Eight {
        return Err(PictureFault::NotPng);
    }
    let data = &buffer[..frame.buffer_size()];
    let pixels: Vec<u8> = match frame.color_type {
        ColorType::Grayscale => data.to_vec(),
        ColorType::GrayscaleAlpha => map_pixels(data, |[grey, alpha]| on_white(grey, alpha)),
        ColorType::Rgb => map_pixels(data, brightness),
        ColorType::Rgba => map_pixels(data, |[red, green, blue, alpha]| {
            on_white(brightness([red, green, blue]), alpha)
        }),
        ColorType::Indexed => return Err(PictureFault::NotPng),
    };
    if pixels.len() != width * height {
        return Err(PictureFault::NotPng);
    }
    Ok(Picture {
        width,
        height,
        pixels,
    })
}

fn map_pixels<const N: usize>(data: &[u8], brightness: impl Fn([u8; N]) -> u8) -> Vec<u8> {
    let (pixels, _rest) = data.as_chunks::<N>();
    pixels.iter().map(|pixel| brightness(*pixel)).collect()
}

/// Brightness of a colour, by the weights of ITU-R BT.601 in 256ths.
fn brightness([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue);
    u8::try_from(sum / 256).unwrap_or(WHITE)
}

/// Brightness of a pixel that lets white paper shine through.
fn on_white(brightness: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    let full = u32::from(WHITE);
    let sum = u32::from(brightness) * alpha + full * (full - alpha);
    u8::try_from(sum / full).unwrap_or(WHITE)
}

#[cfg(test)]
mod tests;
