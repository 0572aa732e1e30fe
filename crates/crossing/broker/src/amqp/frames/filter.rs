//! The filter itself: bytes from the broker in, bytes for the driver out.

use std::collections::HashMap;

use super::rewrite::{self, HEADER_START};
use crate::consumer::MAX_KEPT_OF_LONG;

/// Largest header or method frame that is read whole, in bytes; a larger header passes without
/// properties.
const MAX_COLLECTED: usize = 256 * 1024;

/// Types of frames, and the octet at the end of each (AMQP 0-9-1, 2.3.5).
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xCE;
/// Bytes of a frame before its payload: type, channel, size.
const HEAD: usize = 7;

/// Filter of one connection.
#[derive(Debug)]
pub(super) struct FrameFilter {
    /// Longest body that passes whole, in bytes.
    max_body: u64,
    position: StreamPosition,
    /// Bytes that may still pass of bodies that are too long, by channel.
    cut: HashMap<u16, u64>,
}

/// Position in the stream.
#[derive(Debug)]
enum StreamPosition {
    /// In the first bytes of a frame.
    Head(Vec<u8>),
    /// In a part that passes, followed by one that does not.
    Payload {
        pass: u64,
        /// True if the frame's end is to be added where passing ends.
        end: bool,
        drop: u64,
    },
    /// In a frame that is read whole, or as much of it as is read.
    Collecting {
        kind: u8,
        channel: u16,
        payload: Vec<u8>,
        /// Length of the payload to be read.
        wanted: usize,
        /// Bytes behind it that are dropped, the frame's end included.
        drop: u64,
    },
    /// In something that is not AMQP, which the driver will say.
    Foreign,
}

impl FrameFilter {
    pub(super) fn new(max_body: u64) -> Self {
        Self {
            max_body,
            position: StreamPosition::Head(Vec::new()),
            cut: HashMap::new(),
        }
    }

    /// Takes bytes from the broker, and appends what passes to `out`: at most as many, and some
    /// 100 more.
    pub(super) fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() {
            match &mut self.position {
                StreamPosition::Foreign => {
                    out.extend(input);
                    return;
                }
                StreamPosition::Head(head) => {
                    if head.is_empty() && !is_frame(input) {
                        self.position = StreamPosition::Foreign;
                        continue;
                    }
                    head.extend(take(&mut input, HEAD - head.len()));
                    if let Ok(whole) = <[u8; HEAD]>::try_from(head.as_slice()) {
                        self.begin(whole, out);
                    }
                }
                StreamPosition::Payload { pass, end, drop } => {
                    if *pass > 0 {
                        let passed = take(&mut input, usize::try_from(*pass).unwrap_or(usize::MAX));
                        *pass -= passed.len() as u64;
                        out.extend(passed);
                    } else {
                        let dropped =
                            take(&mut input, usize::try_from(*drop).unwrap_or(usize::MAX));
                        *drop -= dropped.len() as u64;
                    }
                    if *pass == 0 && std::mem::take(end) {
                        out.push(FRAME_END);
                    }
                    if *pass == 0 && *drop == 0 {
                        self.position = StreamPosition::Head(Vec::new());
                    }
                }
                StreamPosition::Collecting {
                    payload, wanted, ..
                } => {
                    payload.extend(take(&mut input, *wanted - payload.len()));
                    if payload.len() == *wanted {
                        self.finish(out);
                    }
                }
            }
        }
    }

    /// Appends what is left at the end of the connection.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let StreamPosition::Head(head) = &mut self.position {
            out.append(head);
        }
    }

    fn begin(&mut self, head: [u8; HEAD], out: &mut Vec<u8>) {
        let [kind, c1, c2, s1, s2, s3, s4] = head;
        let channel = u16::from_be_bytes([c1, c2]);
        let size = u32::from_be_bytes([s1, s2, s3, s4]);
        let collected = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(MAX_COLLECTED);
        let is_short_method = kind == METHOD && (1..=MAX_COLLECTED).contains(&collected);
        if kind == METHOD {
            // Whatever body was on its way on this channel has ended.
            self.cut.remove(&channel);
        }
        self.position = if is_short_method || kind == HEADER && collected >= HEADER_START {
            StreamPosition::Collecting {
                kind,
                channel,
                payload: Vec::with_capacity(collected.min(1024)),
                wanted: collected,
                drop: u64::from(size) - collected as u64 + 1,
            }
        } else if let Some(left) = self.cut.get_mut(&channel).filter(|_| kind == BODY) {
            let pass = u32::try_from(*left).unwrap_or(u32::MAX).min(size);
            *left -= u64::from(pass);
            if pass > 0 {
                push_head(out, kind, channel, pass);
            }
            StreamPosition::Payload {
                pass: pass.into(),
                end: pass > 0,
                drop: u64::from(size - pass) + 1,
            }
        } else {
            out.extend(head);
            StreamPosition::Payload {
                pass: u64::from(size) + 1,
                end: false,
                drop: 0,
            }
        };
    }

    /// Lets a frame pass that was read.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let position = std::mem::replace(&mut self.position, StreamPosition::Foreign);
        let StreamPosition::Collecting {
            kind,
            channel,
            payload,
            drop,
            ..
        } = position
        else {
            return;
        };
        let rewritten = if kind == HEADER {
            self.rewrite_header(channel, &payload)
        } else {
            rewrite::method(&payload).unwrap_or(payload)
        };
        let size = u32::try_from(rewritten.len()).unwrap_or(u32::MAX);
        push_head(out, kind, channel, size);
        out.extend(rewritten);
        out.push(FRAME_END);
        self.position = StreamPosition::Payload {
            pass: 0,
            end: false,
            drop,
        };
    }

    fn rewrite_header(&mut self, channel: u16, payload: &[u8]) -> Vec<u8> {
        let length = rewrite::body_length(payload).unwrap_or_default();
        let kept = if length > self.max_body {
            self.cut.insert(channel, MAX_KEPT_OF_LONG as u64);
            MAX_KEPT_OF_LONG as u64
        } else {
            length
        };
        rewrite::header(payload, length, kept)
    }
}

fn is_frame(input: &[u8]) -> bool {
    matches!(input.first(), Some(&(METHOD | HEADER | BODY | HEARTBEAT)))
}

fn push_head(out: &mut Vec<u8>, kind: u8, channel: u16, size: u32) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend(size.to_be_bytes());
}

/// Takes up to `count` bytes from the front.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 10_000;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_head(&mut bytes, kind, 1, u32::try_from(payload.len()).unwrap());
        bytes.extend(payload);
        bytes.push(FRAME_END);
        bytes
    }

    fn header(length: u64, properties: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0];
        payload.extend(length.to_be_bytes());
        payload.extend(properties);
        frame(HEADER, &payload)
    }

    fn filtered(input: &[u8], chunk: usize) -> Vec<u8> {
        let mut filter = FrameFilter::new(MAX);
        let mut out = Vec::new();
        for part in input.chunks(chunk) {
            filter.push(part, &mut out);
        }
        filter.end(&mut out);
        out
    }

    fn text(key: &str, value: &[u8]) -> Vec<u8> {
        let mut entry = vec![u8::try_from(key.len()).unwrap()];
        entry.extend(key.as_bytes());
        entry.push(b'S');
        entry.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        entry.extend(value);
        entry
    }

    fn with_headers(entries: &[Vec<u8>]) -> Vec<u8> {
        let table = entries.concat();
        let mut properties = (1_u16 << 13).to_be_bytes().to_vec();
        properties.extend(u32::try_from(table.len()).unwrap().to_be_bytes());
        properties.extend(table);
        properties
    }

    #[test]
    fn of_headers_and_ids_only_ours_pass() {
        let reason = text("x-reason", b"not-a-batch");
        let sent = with_headers(&[
            text("x-whole-length", b"1"),
            text("x", &[0xff; 200_000]),
            reason.clone(),
            text("x-reason", b"another"),
        ]);
        assert_eq!(
            filtered(&header(0, &sent), 999),
            header(0, &with_headers(&[reason]))
        );
        let id = |id: &[u8]| {
            let mut properties = vec![0, 0x80, u8::try_from(id.len()).unwrap()];
            properties.extend(id);
            properties
        };
        let good = header(5, &id(&[b'a'; 32]));
        assert_eq!(filtered(&good, 7), good);
        for bad in [&b"\xff\x1b"[..], &[b'z'; 32]] {
            assert_eq!(filtered(&header(5, &id(bad)), 7), header(5, &[0, 0]));
        }
    }

    #[test]
    fn a_header_larger_than_is_read_passes_without_properties() {
        let sent = with_headers(&[text("x-reason", b"word"), text("x", &[1; MAX_COLLECTED])]);
        let next = frame(METHOD, &[0, 60, 0, 80]);
        let input = [header(3, &sent), frame(BODY, b"abc"), next.clone()].concat();
        let expected = [header(3, &[0, 0]), frame(BODY, b"abc"), next].concat();
        assert_eq!(filtered(&input, 4096), expected);
    }

    #[test]
    fn of_a_long_body_the_beginning_passes_with_its_length() {
        let body: Vec<u8> = (0..MAX).map(|at| at.to_be_bytes()[7]).collect();
        let whole = [header(MAX, &[0, 0]), frame(BODY, &body)].concat();
        assert_eq!(filtered(&whole, 100), whole, "at the limit");

        let mut long = body.clone();
        long.push(1);
        let mut input = header(MAX + 1, &[0, 0]);
        for part in long.chunks(3000) {
            input.extend(frame(BODY, part));
        }
        input.extend(&whole);
        let mut length = vec![14];
        length.extend(b"x-whole-lengthl");
        length.extend((MAX + 1).to_be_bytes());
        let expected = [
            header(4096, &with_headers(&[length])),
            frame(BODY, &body[..3000]),
            frame(BODY, &body[3000..4096]),
        ]
        .concat();
        // The next message's method ends the first one's body; here it is missing.
        assert!(filtered(&input, 1234).starts_with(&expected));
    }

    #[test]
    fn a_routing_key_is_left_out() {
        let deliver = |key: &[u8]| {
            let mut payload = vec![0, 60, 0, 60, 3];
            payload.extend(b"tag\0\0\0\0\0\0\0\x01\x01\x02ex");
            payload.push(u8::try_from(key.len()).unwrap());
            payload.extend(key);
            frame(METHOD, &payload)
        };
        assert_eq!(filtered(&deliver(b"\xff\xfe"), 5), deliver(b""));
    }

    #[test]
    fn what_is_not_amqp_passes_as_it_is() {
        for input in [&b"AMQP\0\0\x09\x01"[..], b"HTTP/1.1 400", &[21, 3, 3]] {
            assert_eq!(filtered(input, 3), input);
        }
    }

    fn some_frame() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::collection::vec(any::<u8>(), 0..200);
        prop_oneof![
            (1..=3_u8, payload.clone()).prop_map(|(kind, payload)| frame(kind, &payload)),
            (0..3 * MAX, payload.clone()).prop_map(|(length, rest)| header(length, &rest)),
            payload,
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_pass_in_any_pieces_alike_and_never_grow_much(
            frames in prop::collection::vec(some_frame(), 0..20),
            chunk in 1..300_usize,
        ) {
            let input = frames.concat();
            let whole = filtered(&input, input.len().max(1));
            prop_assert!(whole.len() <= input.len() + 100 * frames.len());
            prop_assert_eq!(filtered(&input, chunk), whole);
        }
    }
}
