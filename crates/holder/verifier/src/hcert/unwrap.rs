//! From the text of a QR code to the bytes of the signed message: prefix, base45, zlib.

use pass::container::{self, ContainerFault, PREFIX};

use super::report::{Report, Step};

/// Length of every context identifier, such as `HC2:` (hCert specification, section 4.2).
const PREFIX_LENGTH: usize = 4;

/// Takes the message out of the text of a QR code. A text with another prefix, or without one, is
/// opened all the same, as is a message that was not compressed: what follows may have faults of
/// its own.
pub(crate) fn unwrap(text: &str, report: &mut Report) -> Option<Vec<u8>> {
    let rest = strip_prefix(text.trim_matches(['\r', '\n']), report);
    without_prefix(rest, report)
}

/// Takes the message out of what follows the prefix, and notes the steps "base45" and "zlib".
pub(crate) fn without_prefix(rest: &str, report: &mut Report) -> Option<Vec<u8>> {
    let fault = match container::from_text(&format!("{PREFIX}{rest}")) {
        Ok(message) => {
            report.ok(Step::Base45, format!("{} characters", rest.chars().count()));
            report.ok(Step::Zlib, format!("{} bytes inflated", message.len()));
            return Some(message);
        }
        Err(fault) => fault,
    };
    if fault.step() != container::Step::Zlib {
        report.fault(Step::Base45, fault.to_string());
        return None;
    }
    report.ok(Step::Base45, format!("{} characters", rest.chars().count()));
    report.fault(Step::Zlib, fault.to_string());
    if fault == ContainerFault::Uncompressed {
        base45::decode(rest).ok()
    } else {
        None
    }
}

fn strip_prefix<'a>(text: &'a str, report: &mut Report) -> &'a str {
    if let Some(rest) = text.strip_prefix(PREFIX) {
        report.ok(Step::Prefix, PREFIX);
        return rest;
    }
    let other = text
        .split_at_checked(PREFIX_LENGTH)
        .filter(|(start, _)| is_context(start));
    if let Some((start, rest)) = other {
        report.fault(
            Step::Prefix,
            format!("the text begins with {start} instead of {PREFIX}"),
        );
        rest
    } else {
        report.fault(
            Step::Prefix,
            format!("the text does not begin with {PREFIX}"),
        );
        text
    }
}

/// True where four characters look like a context identifier: three letters or digits, and a colon.
fn is_context(start: &str) -> bool {
    start.strip_suffix(':').is_some_and(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}
