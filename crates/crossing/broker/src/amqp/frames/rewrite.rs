//! Method and header frames written anew, without what a message's sender may choose freely
//! (AMQP 0-9-1, sections 1.8.3 and 4.2.6).

/// Header with the broker's count of deliveries, of quorum queues.
pub(in crate::amqp) const DELIVERY_COUNT_HEADER: &str = "x-delivery-count";
/// Header with the broker's reason for the first dead-lettering.
pub(in crate::amqp) const FIRST_DEATH_HEADER: &str = "x-first-death-reason";
/// Header with this program's reason for dead-lettering.
pub(in crate::amqp) const REASON_HEADER: &str = "x-reason";
/// Header with the length of a message of which the beginning alone passes, in bytes. Made here:
/// one that a sender wrote does not pass.
pub(in crate::amqp) const LENGTH_HEADER: &str = "x-whole-length";

/// Headers that pass.
const KEPT: [&str; 3] = [DELIVERY_COUNT_HEADER, FIRST_DEATH_HEADER, REASON_HEADER];
/// Longest text of a header that passes, in bytes.
const MAX_TEXT: usize = 64;
/// Length of a batch id in hex.
const ID_CHARS: usize = 32;
/// Bytes of a header frame's payload before the properties: class, weight, body size.
pub(super) const HEADER_START: usize = 12;
/// Class `basic`, and its methods with a routing key.
const BASIC: u16 = 60;
const DELIVER: u16 = 60;
const GET_OK: u16 = 71;
/// Flags of the properties before `message-id`, in their order, and that of a further flags word.
const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const MORE_FLAGS: u16 = 1;

/// Reads bytes from the front; `None` where there are too few.
struct ByteCursor<'a>(&'a [u8]);

impl<'a> ByteCursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn short_string(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    fn long_string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    /// Passes over a field's value of this type; tables and arrays say how long they are.
    fn value(&mut self, kind: u8) -> Option<&'a [u8]> {
        match kind {
            b't' | b'b' | b'B' => self.take(1),
            b's' | b'u' | b'U' => self.take(2),
            b'I' | b'i' | b'f' => self.take(4),
            b'D' => self.take(5),
            b'l' | b'L' | b'd' | b'T' => self.take(8),
            b'V' => self.take(0),
            b'S' | b'x' | b'A' | b'F' => self.long_string(),
            _ => None,
        }
    }
}

/// Payload of a method frame, without the routing key where the sender chose it.
pub(super) fn method(payload: &[u8]) -> Option<Vec<u8>> {
    let mut reader = ByteCursor(payload);
    let class = reader.u16()?;
    let method = reader.u16()?;
    if class != BASIC || !matches!(method, DELIVER | GET_OK) {
        return None;
    }
    if method == DELIVER {
        reader.short_string()?;
    }
    // Delivery tag, redelivered.
    reader.take(9)?;
    reader.short_string()?;
    let before = payload.len() - reader.0.len();
    reader.short_string()?;
    let mut rewritten = payload.get(..before)?.to_vec();
    rewritten.push(0);
    rewritten.extend(reader.0);
    Some(rewritten)
}

/// Length of the body that a header frame's payload announces.
pub(super) fn body_length(payload: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(
        payload.get(4..HEADER_START)?.try_into().ok()?,
    ))
}

/// Payload of a header frame with the properties that count; `kept` of the body's `length` bytes
/// will pass.
pub(super) fn header(payload: &[u8], length: u64, kept: u64) -> Vec<u8> {
    let known = payload.get(HEADER_START..).and_then(properties);
    let Properties { mut headers, id } = known.unwrap_or_default();
    if kept < length {
        headers.push(LENGTH_HEADER.len().to_be_bytes()[size_of::<usize>() - 1]);
        headers.extend(LENGTH_HEADER.as_bytes());
        headers.push(b'l');
        headers.extend(length.min(i64::MAX.unsigned_abs()).to_be_bytes());
    }
    let mut rewritten = payload.get(..4).unwrap_or_default().to_vec();
    rewritten.extend(kept.to_be_bytes());
    let flag = |set: bool, flag: u16| if set { flag } else { 0 };
    let flags = flag(!headers.is_empty(), HEADERS) | flag(id.is_some(), MESSAGE_ID);
    rewritten.extend(flags.to_be_bytes());
    if !headers.is_empty() {
        // A few short entries: far below 4 GiB.
        let bytes = u32::try_from(headers.len()).unwrap_or_default();
        rewritten.extend(bytes.to_be_bytes());
        rewritten.extend(headers);
    }
    if let Some(id) = id {
        rewritten.push(id.len().to_be_bytes()[size_of::<usize>() - 1]);
        rewritten.extend(id);
    }
    rewritten
}

/// Properties that pass.
#[derive(Default)]
struct Properties<'a> {
    /// Entries of the table of headers.
    headers: Vec<u8>,
    id: Option<&'a [u8]>,
}

fn properties(bytes: &[u8]) -> Option<Properties<'_>> {
    let mut reader = ByteCursor(bytes);
    let flags = reader.u16()?;
    if flags & MORE_FLAGS != 0 {
        return None;
    }
    let mut kept = Properties::default();
    for flag in [CONTENT_TYPE, CONTENT_ENCODING] {
        if flags & flag != 0 {
            reader.short_string()?;
        }
    }
    if flags & HEADERS != 0 {
        kept.headers = headers(reader.long_string()?);
    }
    for flag in [DELIVERY_MODE, PRIORITY] {
        if flags & flag != 0 {
            reader.u8()?;
        }
    }
    for flag in [CORRELATION_ID, REPLY_TO, EXPIRATION] {
        if flags & flag != 0 {
            reader.short_string()?;
        }
    }
    if flags & MESSAGE_ID != 0 {
        let id = reader.short_string()?;
        let is_hex = id.len() == ID_CHARS && id.iter().all(u8::is_ascii_hexdigit);
        kept.id = is_hex.then_some(id);
    }
    Some(kept)
}

/// Entries of a table that pass, up to the first that cannot be read.
fn headers(table: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut seen = [false; KEPT.len()];
    let mut rest = ByteCursor(table);
    loop {
        let entry = rest.0;
        let Some((key, kind, value)) = next_entry(&mut rest) else {
            return kept;
        };
        let position = KEPT.iter().position(|name| name.as_bytes() == key);
        let Some(seen) = position.and_then(|position| seen.get_mut(position)) else {
            continue;
        };
        let passes = match kind {
            b'l' | b'I' | b'i' => true,
            b'S' => value.len() <= MAX_TEXT && value.is_ascii(),
            _ => false,
        };
        if passes && !std::mem::replace(seen, true) {
            kept.extend(&entry[..entry.len() - rest.0.len()]);
        }
    }
}

fn next_entry<'a>(reader: &mut ByteCursor<'a>) -> Option<(&'a [u8], u8, &'a [u8])> {
    let key = reader.short_string()?;
    let kind = reader.u8()?;
    Some((key, kind, reader.value(kind)?))
}
