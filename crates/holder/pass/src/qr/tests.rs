//! Tests of codes: an independent reader reads what is drawn, also blurred and of low contrast.

use chrono::{TimeZone, Utc};
use chrono_tz::Europe::Moscow;
use ring::digest::{SHA512, digest};
use rqrr::PreparedImage;
use secrecy::SecretString;

use super::*;
use crate::claims::{CityClaims, ClaimsFault};
use crate::container::{ToSign, from_text, to_text};
use crate::holder::{BirthDate, HolderAttributes, Initial, Person};
use crate::keys::SigningKey;
use crate::pass_id::PassId;

/// Strip with a signature that is always the same, so that the readers' tests always see one code.
/// It looks random, but no key made it.
fn strip(issuer: &str, holder: HolderAttributes) -> String {
    let claims = CityClaims {
        issuer: issuer.into(),
        not_before: Utc.with_ymd_and_hms(2026, 11, 28, 21, 0, 0).unwrap(),
        expires: Utc.with_ymd_and_hms(2026, 12, 5, 21, 0, 0).unwrap(),
        id: PassId(*b"a pass's"),
        holder,
    };
    let mut signature = [0; 64];
    signature.copy_from_slice(digest(&SHA512, b"any signature").as_ref());
    to_text(&ToSign::new(claims.encode(), b"any kid_").with_signature(&signature))
}

fn everything() -> HolderAttributes {
    HolderAttributes::new(
        Initial::try_from('S').ok(),
        Initial::try_from('Q').ok(),
        BirthDate::new(Some(14), Some(3)).unwrap(),
    )
}

/// Grey picture; light is 255.
struct Picture {
    side: usize,
    grey: Vec<u8>,
}

impl Picture {
    /// Rectangles of an SVG path of ours, scaled and shifted, in a square picture.
    fn of_path(svg: &str, side: usize, scale: f64, left: f64, top: f64) -> Self {
        let path = svg
            .split(" d=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let mut grey = vec![255; side * side];
        for rectangle in path.split_terminator('z') {
            let numbers: Vec<f64> = rectangle
                .split(['M', ' ', 'h', 'v', '-'])
                .filter_map(|number| number.parse().ok())
                .collect();
            let [x, y, width, height, back] = numbers[..] else {
                panic!("{rectangle}");
            };
            assert_eq!([height, back], [1.0, width]);
            for row in pixels(top + y * scale, scale) {
                for column in pixels(left + x * scale, width * scale) {
                    grey[row * side + column] = 0;
                }
            }
        }
        Self { side, grey }
    }

    /// Mean over a square of pixels around each.
    fn blurred(&self, radius: usize) -> Self {
        let mut grey = Vec::with_capacity(self.grey.len());
        for y in 0..self.side {
            for x in 0..self.side {
                let rows = y.saturating_sub(radius)..(y + radius + 1).min(self.side);
                let columns = x.saturating_sub(radius)..(x + radius + 1).min(self.side);
                let count = rows.len() * columns.len();
                let sum: usize = rows
                    .flat_map(|row| columns.clone().map(move |column| row * self.side + column))
                    .map(|place| usize::from(self.grey[place]))
                    .sum();
                grey.push(u8::try_from(sum / count).unwrap());
            }
        }
        Self {
            side: self.side,
            grey,
        }
    }

    /// Dark and light brought near to each other.
    fn between(&self, dark: u8, light: u8) -> Self {
        let span = u16::from(light - dark);
        let near = |grey: &u8| dark + u8::try_from(u16::from(*grey) * span / 255).unwrap();
        Self {
            side: self.side,
            grey: self.grey.iter().map(near).collect(),
        }
    }

    fn read(&self) -> String {
        let grey = |x, y| self.grey[y * self.side + x];
        let mut image = PreparedImage::prepare_from_greyscale(self.side, self.side, grey);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        let (meta, content) = grids[0].decode().unwrap();
        // Level Q has the number 3 in the format information.
        assert_eq!(meta.ecc_level, 3);
        content
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pictures of tests are small and begin at 0"
)]
fn pixels(from: f64, length: f64) -> std::ops::Range<usize> {
    from.round() as usize..(from + length).round() as usize
}

fn drawn(text: &str) -> Picture {
    let code = QrCode::of_text(text).unwrap();
    let side = code.whole_side() * PIXELS_PER_MODULE;
    Picture::of_path(&code.to_svg(), side, 8.0, 0.0, 0.0)
}

#[test]
fn an_independent_reader_reads_the_svg() {
    let text = strip("RU-MOW", everything());
    assert_eq!(drawn(&text).read(), text);
}

/// Of 200 random strips the reader finds every one that is sharp, of any contrast here, 97 in 100
/// at a blur of five pixels, and 83 in 100 at one of seven; a camera sees many pictures.
#[test]
fn the_code_is_read_after_blur_and_with_low_contrast() {
    let text = strip("RU-MOW", everything());
    let picture = drawn(&text);
    // Five and seven pixels wide, where a module has eight.
    assert_eq!(picture.blurred(2).read(), text);
    assert_eq!(picture.blurred(3).read(), text);
    assert_eq!(picture.between(110, 150).read(), text);
    assert_eq!(picture.blurred(2).between(90, 160).read(), text);
}

/// Length of the COSE structure and of the text, and the code's version.
fn sizes(holder: HolderAttributes) -> [usize; 3] {
    let text = strip("RU-MOW", holder);
    let cose = from_text(&text).unwrap();
    let version = QrCode::of_text(&text).unwrap().version();
    [cose.len(), text.len(), version]
}

#[test]
fn a_strip_of_what_people_disclose_is_short_and_its_code_small() {
    for [given, family] in [["Александр", "Кузнецов"], ["Ян", "Цой"], ["Xi", "Qu"]]
    {
        for birth in [
            BirthDate::default(),
            BirthDate::new(Some(31), Some(12)).unwrap(),
        ] {
            let [given, family] = [given, family].map(SecretString::from);
            let holder = HolderAttributes::disclosed_for(Person {
                given_name: Some(&given),
                family_name: Some(&family),
                birth,
            });
            let [cose, text, version] = sizes(holder);
            assert!((122..=130).contains(&cose), "{cose}");
            assert!((204..=216).contains(&text), "{text}");
            assert_eq!(version, 10);
        }
    }
}

#[test]
fn a_strip_with_every_attribute_is_not_much_longer() {
    assert_eq!(sizes(everything()), [132, 219, 10]);
}

#[test]
fn the_terminal_shows_the_same_modules() {
    let text = strip("RU-MOW", everything());
    let code = QrCode::of_text(&text).unwrap();
    let side = code.whole_side();
    for colours in [TerminalColours::Explicit, TerminalColours::DarkBackground] {
        let shown = code.to_terminal(colours);
        let explicit = colours == TerminalColours::Explicit;
        assert_eq!(shown.contains('\u{1b}'), explicit);
        let plain = shown
            .replace("\u{1b}[38;5;16;48;5;231m", "")
            .replace("\u{1b}[0m", "");
        let lines: Vec<Vec<char>> = plain.lines().map(|line| line.chars().collect()).collect();
        assert_eq!(lines.len(), side.div_ceil(2));
        for (line, upper) in lines.iter().zip((0..side).step_by(2)) {
            assert_eq!(line.len(), side);
            for (x, drawn) in line.iter().enumerate() {
                let halves = ["█▀".contains(*drawn), "█▄".contains(*drawn)];
                let dark = [upper, upper + 1].map(|y| code.is_dark_in_whole(x, y));
                assert_eq!(halves.map(|drawn| drawn == explicit), dark);
            }
        }
    }
}

#[test]
fn the_quiet_zone_is_four_modules_on_every_side() {
    let code = QrCode::of_text("HC1:").unwrap();
    let last = code.whole_side() - 1;
    for along in 0..=last {
        for depth in 0..QUIET_ZONE {
            assert!(!code.is_dark_in_whole(along, depth));
            assert!(!code.is_dark_in_whole(along, last - depth));
            assert!(!code.is_dark_in_whole(depth, along));
            assert!(!code.is_dark_in_whole(last - depth, along));
        }
    }
    assert!(code.is_dark_in_whole(QUIET_ZONE, QUIET_ZONE));
    assert!(code.is_dark_in_whole(last - QUIET_ZONE, QUIET_ZONE));
}

#[test]
fn characters_of_no_pass_and_too_many_are_refused() {
    for bad in ["HC1:a", "HC1:Ж", "HC1:\n"] {
        assert_eq!(QrCode::of_text(bad).err(), Some(QrFault::Character));
    }
    // Version 40 at level Q holds 2420 characters (ISO/IEC 18004 table 7).
    assert_eq!(QrCode::of_text(&"A".repeat(2420)).unwrap().version(), 40);
    let more = QrCode::of_text(&"A".repeat(2421));
    assert_eq!(more.err(), Some(QrFault::TooLong));
}

#[test]
fn the_sheet_is_read_as_it_is_printed() {
    let text = strip("RU-MOW", everything());
    let sheet = paper_sheet(&text, Moscow).unwrap();
    assert!(sheet.contains("width=\"105mm\" height=\"148mm\" viewBox=\"0 0 105 148\""));
    let transform = sheet.split("transform=\"translate(").nth(1).unwrap();
    let numbers: Vec<f64> = transform
        .split(['(', ')', ' ', '"'])
        .filter_map(|number| number.parse().ok())
        .take(3)
        .collect();
    let [left, top, scale] = numbers[..] else {
        panic!("{transform}");
    };
    let code = QrCode::of_text(&text).unwrap();
    let modules = f64::from(u32::try_from(code.side()).unwrap());
    let wide = modules * scale;
    assert!(wide >= 35.0, "{wide}");
    assert!(left >= 5.0 && left + wide + 8.0 * scale <= 100.0);
    // Nine pixels for each millimetre: 230 dots per inch.
    let picture = Picture::of_path(&sheet, 945, scale * 9.0, left * 9.0, top * 9.0);
    assert_eq!(picture.read(), text);
    assert_eq!(picture.blurred(4).between(100, 170).read(), text);
}

#[test]
fn the_sheet_says_the_window_in_the_citys_time_and_what_is_disclosed() {
    let sheet = paper_sheet(&strip("RU-MOW", everything()), Moscow).unwrap();
    for line in [
        "Действует с 29.11.2026 00:00 до 06.12.2026 00:00",
        "Valid from 2026-11-29 00:00 until 2026-12-06 00:00",
        "RU-MOW · Europe/Moscow",
        "Имя на · Given name begins with: S (СШЩ)",
        "Фамилия на · Family name begins with: Q",
        "Число рождения · Day of birth: 14",
        "Месяц рождения · Month of birth: 3",
    ] {
        assert!(
            sheet.contains(&format!(">{line}</text>")),
            "{line}\n{sheet}"
        );
    }
    let none = paper_sheet(&strip("RU-MOW", HolderAttributes::NONE), Moscow).unwrap();
    assert!(none.contains("No attributes of the holder"));
    assert!(!none.contains("birth"));
}

#[test]
fn the_sheet_stays_xml_whatever_the_issuer_is_called() {
    let sheet = paper_sheet(&strip("<a & b>\u{1}", everything()), Moscow).unwrap();
    assert!(sheet.contains(">&lt;a &amp; b&gt;\u{fffd} · Europe/Moscow</text>"));
}

#[test]
fn what_is_no_pass_has_no_sheet() {
    let fault = paper_sheet("HC1:ABC", Moscow).unwrap_err();
    assert!(matches!(fault, SheetFault::Container(_)));
    let other = to_text(&SigningKey::generate().seal(vec![0xa0]));
    let fault = paper_sheet(&other, Moscow).unwrap_err();
    assert_eq!(fault, SheetFault::Claims(ClaimsFault::NoProduct));
}
