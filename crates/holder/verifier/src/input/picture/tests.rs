//! Tests of the QR reader.

use png::ColorType;

use super::{MAX_PIXELS, Picture, PictureFault, codes, decode};
use crate::input::testing::{drawn, png as encode};

const TEXT: &str = "HC1:6BF+70790T9WJWG.FKY*4GO0.O1CV2 O5 N2FBBRW1*70HS8WY04AC*WIFN0AHCD8KD97TK0F90KECTHGWJC0FDC:5AIA%G7X+AQB9746HS8+A";

#[test]
fn codes_without_a_quiet_zone_and_of_any_size_are_read() {
    for scale in [1, 2, 4, 8] {
        let (width, pixels) = drawn(TEXT, scale);
        let png = encode(width, width, ColorType::Grayscale, &pixels);
        assert_eq!(codes(&png).unwrap(), [TEXT], "{scale} pixels a module");
    }
}

#[test]
fn transparent_paper_and_white_ink_are_read() {
    let (width, pixels) = drawn(TEXT, 4);
    let transparent: Vec<u8> = pixels
        .iter()
        .flat_map(|pixel| [0, 0, 0, WHITE - pixel])
        .collect();
    let png = encode(width, width, ColorType::Rgba, &transparent);
    assert_eq!(codes(&png).unwrap(), [TEXT]);
    let inverted: Vec<u8> = pixels.iter().map(|pixel| WHITE - pixel).collect();
    let png = encode(width, width, ColorType::Grayscale, &inverted);
    assert_eq!(codes(&png).unwrap(), [TEXT]);
}

const WHITE: u8 = super::WHITE;

#[test]
fn each_fault_of_a_picture_is_named() {
    let (width, mut pixels) = drawn(TEXT, 4);
    let png = encode(width, width, ColorType::Grayscale, &pixels);
    assert_eq!(codes(&png[..png.len() / 2]), Err(PictureFault::NotPng));
    let blank = encode(
        width,
        width,
        ColorType::Grayscale,
        &vec![WHITE; width * width],
    );
    assert_eq!(codes(&blank), Err(PictureFault::NoCode));
    // The middle is painted over; the three finder patterns stay.
    for y in width / 3..width * 9 / 10 {
        for x in width / 3..width * 9 / 10 {
            pixels[y * width + x] = WHITE;
        }
    }
    let damaged = encode(width, width, ColorType::Grayscale, &pixels);
    assert_eq!(codes(&damaged), Err(PictureFault::Damaged));
}

#[test]
fn a_picture_of_the_greatest_size_is_read_and_a_row_more_is_refused() {
    let width = 4096;
    let greatest = MAX_PIXELS / width;
    let blank = |height: usize| {
        let pixels = vec![WHITE; width * height];
        encode(width, height, ColorType::Grayscale, &pixels)
    };
    assert!(decode(&blank(greatest)).is_ok());
    assert!(matches!(
        decode(&blank(greatest + 1)),
        Err(PictureFault::TooLarge)
    ));
}

#[test]
fn the_threshold_parts_two_levels_and_is_told_for_one() {
    let of = |pixels: &[u8]| {
        let picture = Picture {
            width: pixels.len(),
            height: 1,
            pixels: pixels.to_vec(),
        };
        picture.threshold()
    };
    assert!((100..180).contains(&of(&[100, 100, 180, 180, 180, 181])));
    assert_eq!(of(&[9, 9]), WHITE / 2);
}

#[test]
fn noise_is_no_code() {
    let mut state: u32 = 7;
    for _ in 0..4 {
        let mut noise = Vec::with_capacity(200 * 200);
        for _ in 0..200 * 200 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push(state.to_be_bytes()[0]);
        }
        let png = encode(200, 200, ColorType::Grayscale, &noise);
        assert!(codes(&png).is_err());
    }
}
