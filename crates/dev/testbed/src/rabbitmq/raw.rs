//! A bare AMQP 0-9-1 client: publishes hostile messages, with any bytes as routing key, properties
//! and body, where a driver would refuse to encode them; and takes messages as they are.

use std::io::{self, ErrorKind};

use az::SaturatingAs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Types of frames, and the octet at the end of each.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const FRAME_END: u8 = 0xCE;
/// Bytes of a frame beside its payload.
const FRAME_OVERHEAD: usize = 8;
/// Classes and methods, as the two numbers stand in a frame.
const START: u32 = 10 << 16 | 10;
const START_OK: u32 = 10 << 16 | 11;
const TUNE: u32 = 10 << 16 | 30;
const TUNE_OK: u32 = 10 << 16 | 31;
const OPEN: u32 = 10 << 16 | 40;
const OPEN_OK: u32 = 10 << 16 | 41;
const CONNECTION_CLOSE: u32 = 10 << 16 | 50;
const CHANNEL_OPEN: u32 = 20 << 16 | 10;
const CHANNEL_OPEN_OK: u32 = 20 << 16 | 11;
const CHANNEL_CLOSE: u32 = 20 << 16 | 40;
const CONFIRM_SELECT: u32 = 85 << 16 | 10;
const CONFIRM_SELECT_OK: u32 = 85 << 16 | 11;
const BASIC_PUBLISH: u32 = 60 << 16 | 40;
const BASIC_GET: u32 = 60 << 16 | 70;
const BASIC_GET_OK: u32 = 60 << 16 | 71;
const BASIC_ACK: u32 = 60 << 16 | 80;
const BASIC_NACK: u32 = 60 << 16 | 120;
/// Flags of the properties `headers`, `expiration` and `message-id` (AMQP 0-9-1, 4.2.6.1).
const HAS_HEADERS: u16 = 1 << 13;
const HAS_EXPIRATION: u16 = 1 << 8;
const HAS_MESSAGE_ID: u16 = 1 << 7;

/// Reason for which the broker did not take a message.
#[derive(Debug)]
pub enum Refusal {
    /// Channel or connection closed by the broker, with its AMQP code.
    Closed(u16),
    /// Message not taken, such as by a queue that is full.
    Nacked,
    /// Connection lost or not understood.
    Lost(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// A message of any bytes.
#[derive(Debug, Clone, Default)]
pub struct RawMessage {
    /// Name of the exchange.
    pub exchange: Vec<u8>,
    /// Routing key, up to 255 bytes of any kind.
    pub routing_key: Vec<u8>,
    /// Property flags and properties as they stand in the header frame; empty for none.
    pub properties: Vec<u8>,
    /// Body.
    pub body: Vec<u8>,
}

impl RawMessage {
    /// A message without properties.
    #[must_use]
    pub fn new(exchange: &str, routing_key: &str, body: &[u8]) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            properties: Vec::new(),
            body: body.to_vec(),
        }
    }

    /// The message with a table of headers, given as the bytes between the table's length and its
    /// end.
    #[must_use]
    pub fn with_headers(mut self, table: &[u8]) -> Self {
        self.properties = HAS_HEADERS.to_be_bytes().to_vec();
        self.properties.extend(long_string(table));
        self
    }

    /// The message with one header whose text fills the table to `bytes` bytes, length included.
    #[must_use]
    pub fn with_headers_of(self, bytes: usize) -> Self {
        // Key and type take 3 bytes, the two lengths 8.
        let text = vec![b'x'; bytes.saturating_sub(11)];
        self.with_headers(&text_entry(b"x", &text))
    }

    /// The message with headers that are tables in tables, to this depth.
    #[must_use]
    pub fn with_nested_headers(self, depth: usize) -> Self {
        // Lengths stand before contents: written from the innermost table outwards, and turned.
        let mut reversed: Vec<u8> = Vec::new();
        for _ in 0..depth {
            let length: u32 = reversed.len().saturating_as();
            reversed.extend(length.to_le_bytes());
            reversed.extend([b'F', b'k', 1]);
        }
        reversed.reverse();
        self.with_headers(&reversed)
    }

    /// The message with the header `CC`, by which RabbitMQ routes it to further keys.
    #[must_use]
    pub fn with_copies_to(self, routing_key: &str) -> Self {
        let mut entry = vec![b'S'];
        entry.extend(long_string(routing_key.as_bytes()));
        let mut table = vec![2, b'C', b'C', b'A'];
        table.extend(long_string(&entry));
        self.with_headers(&table)
    }

    /// The message with a time to live, in milliseconds, and nothing else.
    #[must_use]
    pub fn with_expiration(mut self, milliseconds: &str) -> Self {
        self.properties = HAS_EXPIRATION.to_be_bytes().to_vec();
        self.properties
            .extend(short_string(milliseconds.as_bytes()));
        self
    }

    /// The message with an id of any bytes and nothing else.
    #[must_use]
    pub fn with_message_id(mut self, id: &[u8]) -> Self {
        self.properties = HAS_MESSAGE_ID.to_be_bytes().to_vec();
        self.properties.extend(short_string(id));
        self
    }
}

/// An entry of a table of headers: a key with a text.
#[must_use]
pub fn text_entry(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut entry = short_string(key);
    entry.push(b'S');
    entry.extend(long_string(text));
    entry
}

fn short_string(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![text.len().saturating_as::<u8>()];
    bytes.extend(text);
    bytes
}

fn long_string(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.len().saturating_as::<u32>().to_be_bytes().to_vec();
    bytes.extend(text);
    bytes
}

/// A connection with one channel in confirm mode.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    frame_max: usize,
    published: u64,
    confirmed: u64,
}

impl RawClient {
    /// Connects to the vhost `/` of a broker on 127.0.0.1 and logs in.
    pub async fn connect(port: u16, user: &str, password: &str) -> Result<Self, Refusal> {
        let mut client = Self {
            stream: TcpStream::connect(("127.0.0.1", port)).await?,
            frame_max: 4096,
            published: 0,
            confirmed: 0,
        };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        client.expect(START).await?;
        let mut start_ok = 0_u32.to_be_bytes().to_vec();
        start_ok.extend(short_string(b"PLAIN"));
        start_ok.extend(long_string(format!("\0{user}\0{password}").as_bytes()));
        start_ok.extend(short_string(b"en_US"));
        client.method(0, START_OK, &start_ok).await?;
        let tune = client.expect(TUNE).await?;
        let frame_max = tune.get(2..6).and_then(|bytes| bytes.try_into().ok());
        client.frame_max = u32::from_be_bytes(frame_max.unwrap_or_default()).saturating_as();
        let mut tune_ok = tune.get(..6).unwrap_or_default().to_vec();
        tune_ok.extend([0, 0]);
        client.method(0, TUNE_OK, &tune_ok).await?;
        client.method(0, OPEN, b"\x01/\x00\x00").await?;
        client.expect(OPEN_OK).await?;
        client.method(1, CHANNEL_OPEN, b"\x00").await?;
        client.expect(CHANNEL_OPEN_OK).await?;
        client.method(1, CONFIRM_SELECT, b"\x00").await?;
        client.expect(CONFIRM_SELECT_OK).await?;
        Ok(client)
    }

    /// Publishes one message, and waits until the broker has taken it; one that no queue takes
    /// counts as taken.
    pub async fn publish(&mut self, message: &RawMessage) -> Result<(), Refusal> {
        self.send(message).await?;
        self.flush().await
    }

    /// Publishes one message without waiting for its confirm.
    pub async fn send(&mut self, message: &RawMessage) -> Result<(), Refusal> {
        let mut publish = vec![0, 0];
        publish.extend(short_string(&message.exchange));
        publish.extend(short_string(&message.routing_key));
        publish.push(0);
        let mut header = vec![0, 60, 0, 0];
        let size: u64 = message.body.len().saturating_as();
        header.extend(size.to_be_bytes());
        if message.properties.is_empty() {
            header.extend([0, 0]);
        } else {
            header.extend(&message.properties);
        }
        let mut bytes = Vec::new();
        push_method(&mut bytes, 1, BASIC_PUBLISH, &publish);
        push_frame(&mut bytes, HEADER, 1, &header);
        for chunk in message.body.chunks(self.frame_max - FRAME_OVERHEAD) {
            push_frame(&mut bytes, BODY, 1, chunk);
        }
        self.published += 1;
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Waits until the broker has taken everything sent.
    pub async fn flush(&mut self) -> Result<(), Refusal> {
        while self.confirmed < self.published {
            let (method, arguments) = self.next_method().await?;
            let tag = arguments.get(..8).and_then(|bytes| bytes.try_into().ok());
            let tag = u64::from_be_bytes(tag.unwrap_or_default());
            match method {
                BASIC_ACK if arguments.get(8) == Some(&1) => self.confirmed = tag,
                BASIC_ACK => self.confirmed += 1,
                BASIC_NACK => {
                    self.confirmed += 1;
                    return Err(Refusal::Nacked);
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn method(&mut self, channel: u16, method: u32, arguments: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        push_method(&mut bytes, channel, method, arguments);
        self.stream.write_all(&bytes).await
    }

    async fn expect(&mut self, wanted: u32) -> Result<Vec<u8>, Refusal> {
        match self.next_method().await? {
            (method, arguments) if method == wanted => Ok(arguments),
            _ => Err(io::Error::from(ErrorKind::InvalidData).into()),
        }
    }

    /// Takes the first message of a queue out of it; `None` where there is none. Of its routing
    /// key and exchange nothing is read.
    pub async fn take(&mut self, queue: &str) -> Result<Option<RawMessage>, Refusal> {
        let mut get = vec![0, 0];
        get.extend(short_string(queue.as_bytes()));
        // No acknowledgement.
        get.push(1);
        self.method(1, BASIC_GET, &get).await?;
        if self.next_method().await?.0 != BASIC_GET_OK {
            return Ok(None);
        }
        let invalid = || Refusal::from(io::Error::from(ErrorKind::InvalidData));
        let (_, header) = self.next_frame().await?;
        let (head, properties) = header.split_at_checked(12).ok_or_else(invalid)?;
        let length = head.last_chunk::<8>().ok_or_else(invalid)?;
        let length: usize = u64::from_be_bytes(*length).saturating_as();
        let mut message = RawMessage {
            properties: properties.to_vec(),
            ..RawMessage::default()
        };
        while message.body.len() < length {
            message.body.extend(self.next_frame().await?.1);
        }
        Ok(Some(message))
    }

    /// Reads the next frame: its type and payload.
    async fn next_frame(&mut self) -> Result<(u8, Vec<u8>), Refusal> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).await?;
        let [kind, _, _, size @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes(size).saturating_as::<usize>() + 1];
        self.stream.read_exact(&mut payload).await?;
        payload.pop();
        Ok((kind, payload))
    }

    /// Reads the next method frame, and passes over all others.
    async fn next_method(&mut self) -> Result<(u32, Vec<u8>), Refusal> {
        loop {
            let (kind, payload) = self.next_frame().await?;
            let Some((method, rest)) = payload.split_first_chunk::<4>() else {
                continue;
            };
            let method = u32::from_be_bytes(*method);
            let code = rest.first_chunk::<2>().copied().unwrap_or_default();
            match (kind, method) {
                (METHOD, CONNECTION_CLOSE | CHANNEL_CLOSE) => {
                    return Err(Refusal::Closed(u16::from_be_bytes(code)));
                }
                (METHOD, _) => return Ok((method, rest.to_vec())),
                _ => {}
            }
        }
    }
}

fn push_method(bytes: &mut Vec<u8>, channel: u16, method: u32, arguments: &[u8]) {
    let mut payload = method.to_be_bytes().to_vec();
    payload.extend(arguments);
    push_frame(bytes, METHOD, channel, &payload);
}

fn push_frame(bytes: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    let size: u32 = payload.len().saturating_as();
    bytes.push(kind);
    bytes.extend(channel.to_be_bytes());
    bytes.extend(size.to_be_bytes());
    bytes.extend(payload);
    bytes.push(FRAME_END);
}
