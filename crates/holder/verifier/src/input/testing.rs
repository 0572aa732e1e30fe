//! QR codes as pictures, for tests.

use fast_qr::{ECL, QRBuilder};
use png::{BitDepth, ColorType, Encoder};

/// A PNG picture of pixels in rows.
pub(crate) fn png(width: usize, height: usize, color: ColorType, data: &[u8]) -> Vec<u8> {
    let mut png = Vec::new();
    let width = u32::try_from(width).unwrap();
    let height = u32::try_from(height).unwrap();
    let mut encoder = Encoder::new(&mut png, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    png
}

/// Brightness of each pixel of a code whose modules are `scale` pixels wide, and the width of the
/// picture.
pub(crate) fn drawn(text: &str, scale: usize) -> (usize, Vec<u8>) {
    let code = QRBuilder::new(text).ecl(ECL::Q).build().unwrap();
    let width = code.size * scale;
    let mut pixels = Vec::with_capacity(width * width);
    for y in 0..width {
        for x in 0..width {
            let dark = code[y / scale][x / scale].value();
            pixels.push(if dark { 0 } else { 255 });
        }
    }
    (width, pixels)
}
