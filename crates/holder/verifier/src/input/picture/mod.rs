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

/// Sizes in which a picture is read until a code is found. In a small one a module is one or two
/// pixels wide, which the reader does not find; in a large one, blur and noise spread over many.
const SIZES: [Size; 5] = [
    Size::AsIs,
    Size::Shrunk(2),
    Size::Shrunk(3),
    Size::Enlarged(3),
    Size::Enlarged(6),
];

/// Least width and height of a picture that was made smaller, in pixels.
const LEAST_SHRUNK: usize = 100;

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
    /// Picture in which nothing looks like a QR code.
    #[error("there is no QR code in the picture")]
    NoCode,
    /// Code of which more is damaged than its error correction can mend.
    #[error("the QR code in the picture is damaged")]
    Damaged,
}

/// Brightness of a picture's pixels, row by row.
struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// True where the bytes begin as a PNG picture does.
pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(PNG_SIGNATURE)
}

/// Size that a picture is read in.
#[derive(Clone, Copy)]
enum Size {
    /// Size that the picture has.
    AsIs,
    /// Smaller: a pixel is the mean of a square of this side.
    Shrunk(usize),
    /// Larger: a pixel becomes a square of this side.
    Enlarged(usize),
}

/// Rule by which pixels of a picture are dark.
#[derive(Clone, Copy)]
enum Reading {
    /// Pixels that are darker than what is around them.
    Local,
    /// Pixels that are lighter than what is around them: white ink.
    Inverted,
    /// Pixels below one threshold for the whole picture.
    Global,
}

/// Readings in the order in which they are tried.
const READINGS: [Reading; 3] = [Reading::Local, Reading::Global, Reading::Inverted];

impl Picture {
    /// Brightness that parts dark from light best: the one with the greatest variance between both
    /// (N. Otsu, A threshold selection method from gray-level histograms, 1979).
    fn threshold(&self) -> u8 {
        let mut histogram = [0_u64; 256];
        for pixel in &self.pixels {
            histogram[usize::from(*pixel)] += 1;
        }
        let levels = || (0_u8..=WHITE).zip(histogram);
        let all: u64 = levels().map(|(_, count)| count).sum();
        let whole: u64 = levels()
            .map(|(level, count)| u64::from(level) * count)
            .sum();
        let mut dark = 0;
        let mut dark_sum = 0;
        let mut best = 0;
        let mut chosen = WHITE / 2;
        for (level, count) in levels() {
            dark += count;
            dark_sum += u64::from(level) * count;
            let light = all - dark;
            if dark == 0 || light == 0 {
                continue;
            }
            let distance = ((whole - dark_sum) / light).abs_diff(dark_sum / dark);
            let variance = u128::from(dark) * u128::from(light) * u128::from(distance).pow(2);
            if variance > best {
                best = variance;
                chosen = level;
            }
        }
        chosen
    }

    /// The picture in a size, or `None` if that would be too small or too large.
    fn sized(&self, size: Size) -> Option<Self> {
        match size {
            Size::AsIs => Some(Self::of_size(self.width, self.height, |x, y| self.at(x, y))),
            Size::Shrunk(side) => {
                let width = self.width / side;
                let height = self.height / side;
                let fits = width >= LEAST_SHRUNK && height >= LEAST_SHRUNK;
                fits.then(|| Self::of_size(width, height, |x, y| self.mean(x, y, side)))
            }
            Size::Enlarged(side) => {
                let fits = self.pixels.len() * side * side <= MAX_PIXELS;
                let enlarged = |x: usize, y: usize| self.at(x / side, y / side);
                fits.then(|| Self::of_size(self.width * side, self.height * side, enlarged))
            }
        }
    }

    fn of_size(width: usize, height: usize, at: impl Fn(usize, usize) -> u8) -> Self {
        let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            pixels: rows.map(|(x, y)| at(x, y)).collect(),
        }
    }

    fn at(&self, x: usize, y: usize) -> u8 {
        self.pixels[y * self.width + x]
    }

    /// Mean brightness of the square of this side that becomes the pixel at x and y.
    fn mean(&self, x: usize, y: usize, side: usize) -> u8 {
        let rows = (y * side..(y + 1) * side).map(|row| row * self.width + x * side);
        let pixels = rows.flat_map(|start| &self.pixels[start..start + side]);
        let sum: usize = pixels.map(|pixel| usize::from(*pixel)).sum();
        u8::try_from(sum / (side * side)).unwrap_or(WHITE)
    }
}

/// Texts of the QR codes in a PNG picture, at least one.
pub(crate) fn codes(png: &[u8]) -> Result<Vec<String>, PictureFault> {
    let picture = decode(png)?;
    let mut fault = PictureFault::NoCode;
    for sized in SIZES.into_iter().filter_map(|size| picture.sized(size)) {
        for reading in READINGS {
            match read(&sized, reading) {
                Ok(texts) => return Ok(texts),
                Err(PictureFault::Damaged) => fault = PictureFault::Damaged,
                Err(_) => {}
            }
        }
    }
    Err(fault)
}

/// Reads a picture with a white frame around it.
fn read(picture: &Picture, reading: Reading) -> Result<Vec<String>, PictureFault> {
    let width = picture.width + 2 * FRAME;
    let height = picture.height + 2 * FRAME;
    let threshold = picture.threshold();
    let pixel = |x: usize, y: usize| {
        let inside = |at: usize, length: usize| at.checked_sub(FRAME).filter(|at| *at < length);
        match (inside(x, picture.width), inside(y, picture.height)) {
            (Some(x), Some(y)) => match reading {
                Reading::Local => picture.at(x, y),
                Reading::Inverted => WHITE - picture.at(x, y),
                Reading::Global if picture.at(x, y) <= threshold => 0,
                Reading::Global => WHITE,
            },
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
