//! A pass on paper: a sheet of A6 with the code and what its reader will see, in Russian and
//! English. It names no kind of fact and no institution.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::claims::{Claims, ClaimsFault};
use crate::container::{ContainerFault, Envelope, from_text};
use crate::holder::{HolderAttributes, Initial};
use crate::qr::{QrCode, QrFault};

/// Width of the sheet in millimetres: A6.
pub const SHEET_WIDTH_MM: u32 = 105;

/// Height of the sheet in millimetres: A6.
pub const SHEET_HEIGHT_MM: u32 = 148;

/// Side of the code in millimetres, without its quiet zone. Readers want 35 at least.
pub const CODE_MM: u32 = 60;

/// Distance of the code's white square from the sheet's upper edge in millimetres.
pub const CODE_TOP_MM: f64 = 22.0;

/// Distance of the first line below the code from the sheet's upper edge in millimetres, and
/// between lines.
const LINES_TOP_MM: f64 = 98.0;
const LINE_MM: f64 = 5.6;

/// Size of the letters of these lines in millimetres; the longest line has 50 characters.
const LINE_FONT_MM: f64 = 3.4;

/// Reason why a text has no sheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetFault {
    /// The text is no pass.
    #[error(transparent)]
    Container(#[from] ContainerFault),
    /// The pass's claims are not as they must be.
    #[error(transparent)]
    Claims(#[from] ClaimsFault),
    /// The text has no code.
    #[error(transparent)]
    Qr(#[from] QrFault),
}

/// Line of a sheet: its text, centred on the sheet's width.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetLine {
    /// Text of the line.
    pub text: String,
    /// Distance of the letters' base line from the sheet's upper edge, in millimetres.
    pub baseline_mm: f64,
    /// Size of the letters in millimetres.
    pub font_mm: f64,
}

/// Sheet of a pass: its code, and lines of what a reader will see.
#[derive(Clone, PartialEq)]
pub struct PaperSheet {
    code: QrCode,
    lines: Vec<SheetLine>,
}

impl PaperSheet {
    /// Sheet of the text of a pass; times are those of the zone. What is printed is read from the
    /// pass itself.
    ///
    /// # Errors
    /// The text is no pass, or too long for a code.
    pub fn of_text(text: &str, zone: Tz) -> Result<Self, SheetFault> {
        let claims = Claims::decode(&Envelope::open(&from_text(text)?)?.payload)?;
        let code = QrCode::of_text(text.trim_matches(['\r', '\n']))?;
        let line = |baseline_mm, font_mm, text: String| SheetLine {
            text,
            baseline_mm,
            font_mm,
        };
        let mut lines = vec![
            line(12.0, 7.0, "Пропуск · Pass".to_owned()),
            line(
                18.5,
                3.6,
                "Покажите с документом · Show with a document".to_owned(),
            ),
        ];
        for (words, number) in words(&claims, zone).into_iter().zip(0_u32..) {
            let baseline = LINES_TOP_MM + LINE_MM * f64::from(number);
            lines.push(line(baseline, LINE_FONT_MM, words));
        }
        Ok(Self { code, lines })
    }

    /// Code of the pass.
    #[must_use]
    pub fn code(&self) -> &QrCode {
        &self.code
    }

    /// Lines of the sheet, from its upper edge down.
    #[must_use]
    pub fn lines(&self) -> &[SheetLine] {
        &self.lines
    }

    /// Side of a module of the code in millimetres.
    #[must_use]
    pub fn module_mm(&self) -> f64 {
        f64::from(CODE_MM) / number(self.code.side())
    }

    /// Distance of the quiet zone from the sheet's left edge in millimetres; the code is in the
    /// middle of the sheet's width.
    #[must_use]
    pub fn code_left_mm(&self) -> f64 {
        let whole = self.module_mm() * number(self.code.whole_side());
        (f64::from(SHEET_WIDTH_MM) - whole) / 2.0
    }

    /// The sheet as an SVG document.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let lines: String = self.lines.iter().map(svg_line).collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{SHEET_WIDTH_MM}mm\" \
             height=\"{SHEET_HEIGHT_MM}mm\" viewBox=\"0 0 {SHEET_WIDTH_MM} {SHEET_HEIGHT_MM}\" \
             font-family=\"sans-serif\" text-anchor=\"middle\">\n\
             <rect width=\"{SHEET_WIDTH_MM}\" height=\"{SHEET_HEIGHT_MM}\" fill=\"#fff\"/>\n\
             <g transform=\"translate({:.4} {CODE_TOP_MM}) scale({:.6})\">\n{}</g>\n\
             {lines}</svg>\n",
            self.code_left_mm(),
            self.module_mm(),
            self.code.svg_parts(),
        )
    }
}

/// Sheet of the text of a pass as an SVG document; times are those of the zone.
///
/// # Errors
/// The text is no pass, or too long for a code.
pub fn paper_sheet(text: &str, zone: Tz) -> Result<String, SheetFault> {
    Ok(PaperSheet::of_text(text, zone)?.to_svg())
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

fn svg_line(line: &SheetLine) -> String {
    let middle = f64::from(SHEET_WIDTH_MM) / 2.0;
    let y = line.baseline_mm;
    let size = line.font_mm;
    let text = escaped(&line.text);
    format!("<text x=\"{middle}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"#000\">{text}</text>\n")
}

fn words(claims: &Claims, zone: Tz) -> Vec<String> {
    let from = claims.from();
    let until = claims.expires();
    let mut lines = vec![
        format!(
            "Действует с {} до {}",
            russian(from, zone),
            russian(until, zone)
        ),
        format!(
            "Valid from {} until {}",
            english(from, zone),
            english(until, zone)
        ),
        format!("{} · {zone}", claims.issuer()),
    ];
    lines.extend(holder_lines(claims.holder()));
    lines
}

fn russian(time: DateTime<Utc>, zone: Tz) -> String {
    time.with_timezone(&zone)
        .format("%d.%m.%Y %H:%M")
        .to_string()
}

fn english(time: DateTime<Utc>, zone: Tz) -> String {
    time.with_timezone(&zone)
        .format("%Y-%m-%d %H:%M")
        .to_string()
}

fn holder_lines(holder: HolderAttributes) -> Vec<String> {
    let birth = holder.birth();
    let initial = |initial: Initial| match initial.cyrillic_letters() {
        "" => initial.as_str().to_owned(),
        letters => format!("{} ({letters})", initial.as_str()),
    };
    let attributes = [
        (
            "Имя на · Given name begins with",
            holder.given_initial().map(initial),
        ),
        (
            "Фамилия на · Family name begins with",
            holder.family_initial().map(initial),
        ),
        (
            "Число рождения · Day of birth",
            birth.day().map(|day| day.to_string()),
        ),
        (
            "Месяц рождения · Month of birth",
            birth.month().map(|month| month.to_string()),
        ),
    ];
    let disclosed: Vec<String> = attributes
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}: {}", value?)))
        .collect();
    if disclosed.is_empty() {
        vec!["Сведений о владельце нет · No attributes of the holder".to_owned()]
    } else {
        disclosed
    }
}

/// Text inside an element of XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Other control characters cannot stand in XML at all.
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
