//! Cuts a byte stream into RTSP messages and interleaved frames, without I/O.
//!
//! A [`Framer`] is lent bytes as they arrive and lends back whole messages, whatever the chunks
//! were. It reads no more of a message than it must to find the message's end, each byte of a head
//! once, and holds no more than one unfinished message (at most [`INTERLEAVED_FRAME_BYTES_MAX`] and
//! its prefix) once it has been asked until it answers `None`.

mod base64_decoder;
#[cfg(test)]
mod tests;

pub use base64_decoder::Base64Decoder;

use crate::limits::{
    INTERLEAVED_FRAME_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX,
    RESPONSE_BYTES_MAX, URL_BYTES_MAX,
};
use bytes::Bytes;
use std::fmt;

/// One message of an RTSP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A request, head and body. Of an HTTP request (a tunnel, or a client at the wrong port) the
    /// head only: a tunnel's body is a stream of its own.
    Request(&'a [u8]),
    /// A response, head and body.
    Response(&'a [u8]),
    /// An interleaved frame (RFC 2326 §10.12), without its prefix.
    Interleaved {
        /// The channel it belongs to.
        channel: u8,
        /// One RTP or RTCP packet.
        payload: &'a [u8],
    },
}

/// Why a byte stream cannot be cut any further. The connection is lost: nothing tells where the
/// next message starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingError {
    /// What is wrong.
    pub kind: FramingErrorKind,
    /// The byte of the stream where it went wrong, counted from the first one pushed.
    pub position: u64,
}

/// What is wrong with a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingErrorKind {
    /// Neither an RTSP message nor an interleaved frame starts like this.
    NotRtsp,
    /// The request line exceeds its limit.
    RequestLineTooLarge,
    /// The head exceeds [`REQUEST_HEAD_BYTES_MAX`].
    HeadTooLarge,
    /// There are more than [`REQUEST_HEADERS_MAX`] header lines.
    TooManyHeaders,
    /// A Content-Length is no number, or two of them differ.
    BadContentLength,
    /// Head and body together exceed [`REQUEST_BYTES_MAX`] or [`RESPONSE_BYTES_MAX`].
    BodyTooLarge,
    /// What should be base64 is not. The position is that in the decoded stream.
    NotBase64,
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FramingErrorKind::NotRtsp => "this is not RTSP",
            FramingErrorKind::RequestLineTooLarge => "the request line is too large",
            FramingErrorKind::HeadTooLarge => "the message head is too large",
            FramingErrorKind::TooManyHeaders => "there are too many headers",
            FramingErrorKind::BadContentLength => "Content-Length cannot be read",
            FramingErrorKind::BodyTooLarge => "the message body is too large",
            FramingErrorKind::NotBase64 => "this is not base64",
        };
        write!(f, "{what}, at byte {}", self.position)
    }
}

impl std::error::Error for FramingError {}

/// Cuts one direction of a connection into messages.
#[derive(Debug, Default)]
pub struct Framer {
    /// What was pushed and not yet forgotten; messages up to `start` have been lent out. After an
    /// error the lines before it, and `start` is behind them.
    buffer: Vec<u8>,
    start: usize,
    /// Where `start` lies in the stream.
    position: u64,
    head: HeadScan,
    failure: Option<FramingError>,
    /// What is pushed goes through it, if there is one.
    decoder: Option<Base64Decoder>,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A framer that goes on where another's [`Framer::into_unparsed`] stopped; positions count
    /// from the first of these bytes.
    #[must_use]
    pub fn with_unparsed(unparsed: Bytes) -> Self {
        Self { buffer: unparsed.into(), ..Self::default() }
    }

    /// The same framer for what arrives in base64 from now on, behind what went through `decoder`:
    /// what the client of an HTTP tunnel sends.
    #[must_use]
    pub fn decoding(self, decoder: Base64Decoder) -> Self {
        Self { decoder: Some(decoder), ..self }
    }

    /// The decoder that what is pushed goes through.
    #[must_use]
    pub const fn decoder(&self) -> Option<Base64Decoder> {
        self.decoder
    }

    /// What was pushed and not yet lent out as a message, decoded.
    #[must_use]
    pub fn into_unparsed(mut self) -> Bytes {
        self.buffer.drain(..self.start);
        self.buffer.into()
    }

    /// Appends bytes as they arrived. After an error they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        // Moving only what is smaller than what is forgotten keeps the cost of a byte constant.
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        match &mut self.decoder {
            Some(decoder) => decoder.push(bytes, &mut self.buffer),
            None => self.buffer.extend_from_slice(bytes),
        }
    }

    /// The next whole message; `None` until more bytes are pushed.
    ///
    /// # Errors
    ///
    /// When the stream is not RTSP or exceeds a limit. The framer stays in that error.
    #[expect(clippy::should_implement_trait, reason = "it lends, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Message<'_>>, FramingError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.skip_line_ends();
        let unparsed = &self.buffer[self.start..];
        let cut = if unparsed.first() == Some(&b'$') {
            Ok(cut_interleaved(unparsed))
        } else {
            self.head.cut_message(unparsed)
        };
        match cut {
            Ok(Some(cut)) => {
                let from = self.start;
                self.consume(cut.bytes);
                Ok(Some(cut.lend(&self.buffer[from..self.start])))
            }
            // The messages before it come first.
            Ok(None) if self.decoder.is_some_and(|decoder| decoder.is_broken()) => {
                Err(self.fail(FramingErrorKind::NotBase64, self.unparsed_bytes()))
            }
            Ok(None) => {
                self.forget_if_empty();
                Ok(None)
            }
            Err((kind, offset)) => Err(self.fail(kind, offset)),
        }
    }

    /// After an error, the whole lines before it of the message that has it: what they say may be
    /// needed to refuse it.
    #[must_use]
    pub fn rejected(&self) -> &[u8] {
        if self.failure.is_some() { &self.buffer } else { &[] }
    }

    /// Whether no part of a message waits for the rest of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unparsed_bytes() == 0
    }

    /// How much was pushed and not yet lent out. A caller that does not take every message at once
    /// stops reading by this.
    #[must_use]
    pub fn unparsed_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// How many bytes of the stream have been lent out or skipped.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Skips the line ends that some clients send after a body, or as keep-alive.
    fn skip_line_ends(&mut self) {
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let count = self.buffer[self.start..].iter().take_while(is_line_end).count();
        self.consume_unscanned(count);
    }

    /// Stays in this error, `offset` bytes behind the start of a message.
    fn fail(&mut self, kind: FramingErrorKind, offset: usize) -> FramingError {
        let before = &self.buffer[self.start..self.start + offset];
        let end = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let buffer = before[..end].to_vec();
        let error = FramingError { kind, position: self.position + offset as u64 };
        let (start, position, failure) = (buffer.len(), self.position, Some(error));
        *self = Self { buffer, start, position, failure, ..Self::default() };
        error
    }

    fn consume(&mut self, bytes: usize) {
        self.consume_unscanned(bytes);
        self.head = HeadScan::default();
    }

    fn consume_unscanned(&mut self, bytes: usize) {
        self.start += bytes;
        self.position += bytes as u64;
    }

    /// Gives memory back while nothing is pending: most connections are idle.
    fn forget_if_empty(&mut self) {
        if self.is_empty() {
            // There are many connections, and most of them are idle.
            self.buffer = Vec::new();
            self.start = 0;
        }
    }
}

/// A message found at the start of the unparsed bytes.
#[derive(Clone, Copy)]
struct Cut {
    kind: Kind,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
    Interleaved,
}

impl Cut {
    fn lend(self, message: &[u8]) -> Message<'_> {
        match self.kind {
            Kind::Request => Message::Request(message),
            Kind::Response => Message::Response(message),
            Kind::Interleaved => Message::Interleaved {
                channel: message[1],
                payload: &message[INTERLEAVED_PREFIX_BYTES..],
            },
        }
    }
}

fn cut_interleaved(unparsed: &[u8]) -> Option<Cut> {
    let prefix = unparsed.first_chunk::<INTERLEAVED_PREFIX_BYTES>()?;
    let payload_bytes = usize::from(u16::from_be_bytes([prefix[2], prefix[3]]));
    let bytes = INTERLEAVED_PREFIX_BYTES + payload_bytes;
    (unparsed.len() >= bytes).then_some(Cut { kind: Kind::Interleaved, bytes })
}

/// How far the head of the unfinished message has been read. Offsets count from its first byte.
#[derive(Debug, Default)]
struct HeadScan {
    /// Known from the first word on.
    kind: Option<Kind>,
    /// Where the current line starts, and up to where it has no end.
    line_start: usize,
    scanned: usize,
    lines: usize,
    is_http: bool,
    content_bytes: Option<u64>,
    /// Head and body, known once the head is complete.
    message_bytes: Option<usize>,
}

/// What is wrong, and at which offset from the message's first byte. The same for every way to
/// cut the stream into chunks.
type Located<T> = Result<T, (FramingErrorKind, usize)>;

impl HeadScan {
    fn cut_message(&mut self, unparsed: &[u8]) -> Located<Option<Cut>> {
        let Some(kind) = self.kind_of(unparsed)? else { return Ok(None) };
        while self.message_bytes.is_none() {
            let Some(length) = unparsed[self.scanned..].iter().position(|&byte| byte == b'\n')
            else {
                self.scanned = unparsed.len();
                self.check_size(kind, self.scanned)?;
                return Ok(None);
            };
            let line_end = self.scanned + length + 1;
            self.check_size(kind, line_end)?;
            self.take_line(&unparsed[self.line_start..line_end], kind)?;
            self.line_start = line_end;
            self.scanned = line_end;
        }
        let cut = self.message_bytes.map(|bytes| Cut { kind, bytes });
        Ok(cut.filter(|cut| cut.bytes <= unparsed.len()))
    }

    /// Request or response, from the first word: `None` while it is incomplete.
    fn kind_of(&mut self, unparsed: &[u8]) -> Located<Option<Kind>> {
        if self.kind.is_none() {
            let word = unparsed.iter().take(METHOD_BYTES_MAX).take_while(|byte| is_token(**byte));
            let word_bytes = word.count();
            self.kind = match unparsed.get(word_bytes) {
                None => None,
                Some(b' ') if word_bytes > 0 => Some(Kind::Request),
                Some(b'/') if unparsed.starts_with(b"RTSP/") => Some(Kind::Response),
                Some(_) => return Err((FramingErrorKind::NotRtsp, word_bytes)),
            };
        }
        Ok(self.kind)
    }

    /// Fails if a head of which `scanned` bytes are known cannot be within the limits.
    fn check_size(&self, kind: Kind, scanned: usize) -> Located<()> {
        if self.lines == 0 && kind == Kind::Request && scanned > REQUEST_LINE_BYTES_MAX {
            Err((FramingErrorKind::RequestLineTooLarge, REQUEST_LINE_BYTES_MAX))
        } else if scanned > REQUEST_HEAD_BYTES_MAX {
            Err((FramingErrorKind::HeadTooLarge, REQUEST_HEAD_BYTES_MAX))
        } else {
            Ok(())
        }
    }

    fn take_line(&mut self, line: &[u8], kind: Kind) -> Located<()> {
        let end = self.line_start + line.len();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.lines == 0 {
            let version =
                line.trim_ascii_end().rsplit(|&byte| byte == b' ').next().unwrap_or_default();
            self.is_http = version.starts_with(b"HTTP/");
        } else if line.is_empty() {
            self.message_bytes = Some(self.message_bytes(end, kind)?);
        } else if self.lines > REQUEST_HEADERS_MAX {
            return Err((FramingErrorKind::TooManyHeaders, self.line_start));
        } else {
            self.take_header(line)?;
        }
        self.lines += 1;
        Ok(())
    }

    fn take_header(&mut self, line: &[u8]) -> Located<()> {
        // One that is folded goes on with the header before it (RFC 2326 §15.1).
        let is_folded = matches!(line.first(), Some(b' ' | b'\t'));
        let colon = line.iter().position(|&byte| byte == b':').filter(|_| !is_folded);
        let Some(colon) = colon else { return Ok(()) };
        if !line[..colon].trim_ascii().eq_ignore_ascii_case(b"Content-Length") {
            return Ok(());
        }
        let bytes = decimal_saturating(line[colon + 1..].trim_ascii());
        if bytes.is_none() || self.content_bytes.is_some_and(|before| Some(before) != bytes) {
            return Err((FramingErrorKind::BadContentLength, self.line_start));
        }
        self.content_bytes = bytes;
        Ok(())
    }

    fn message_bytes(&self, head_bytes: usize, kind: Kind) -> Located<usize> {
        let limit = if kind == Kind::Response { RESPONSE_BYTES_MAX } else { REQUEST_BYTES_MAX };
        let content_bytes = if self.is_http { 0 } else { self.content_bytes.unwrap_or(0) };
        usize::try_from(content_bytes)
            .ok()
            .and_then(|content_bytes| head_bytes.checked_add(content_bytes))
            .filter(|message_bytes| *message_bytes <= limit)
            .ok_or((FramingErrorKind::BodyTooLarge, head_bytes))
    }
}

/// A decimal number, `u64::MAX` if it is larger; `None` if it is none.
fn decimal_saturating(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append =
        |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

/// Whether a method name may contain this byte (RFC 2068 §2.2, `token`).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

/// `$`, channel and length (RFC 2326 §10.12).
const INTERLEAVED_PREFIX_BYTES: usize = 4;
/// The longest word that may be a method; RFC 2326 and 7826 stay below half of it.
const METHOD_BYTES_MAX: usize = 32;
/// Method, URL and version, and what lies between them.
const REQUEST_LINE_BYTES_MAX: usize = METHOD_BYTES_MAX + URL_BYTES_MAX + 16;

const _: () = assert!(REQUEST_LINE_BYTES_MAX < REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(REQUEST_BYTES_MAX <= INTERLEAVED_FRAME_BYTES_MAX);
const _: () = assert!(RESPONSE_BYTES_MAX <= INTERLEAVED_FRAME_BYTES_MAX);
