//! What requests and responses have in common: a head of header lines, and a body.

/// A message split where its head ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// The request line or status line, without its line end.
    pub(super) first_line: &'a str,
    /// The rest of the head.
    pub(super) headers: Headers<'a>,
    /// What follows the empty line.
    pub(super) body: &'a [u8],
}

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// No empty line ends it.
    Endless,
    /// It is not UTF-8, or contains control characters: they could travel into a reply or a log.
    NotText,
    /// A line has no header name. So has one that is folded (RFC 2068 §2.2): see [`unfolded`].
    NotAHeader,
}

impl<'a> Parts<'a> {
    pub(super) fn split(message: &'a [u8]) -> Result<Self, HeadError> {
        let head_bytes = head_bytes(message).ok_or(HeadError::Endless)?;
        let (head, body) = message.split_at(head_bytes);
        let head = std::str::from_utf8(head).map_err(|_| HeadError::NotText)?;
        let (first_line, headers) = head.split_once('\n').ok_or(HeadError::Endless)?;
        let first_line = first_line.strip_suffix('\r').unwrap_or(first_line);
        for line in std::iter::once(first_line).chain(headers.lines()) {
            if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
                return Err(HeadError::NotText);
            }
        }
        let headers = Headers { text: headers.trim_ascii_end() };
        if headers.text.lines().all(is_header_line) {
            Ok(Self { first_line, headers, body })
        } else {
            Err(HeadError::NotAHeader)
        }
    }
}

/// The message with its folded header lines in one line each (RFC 2326 §15.1): a line end before a
/// space or tab means no more than a space. `None` if it has none. Positions stay.
#[must_use]
pub fn unfolded(message: &[u8]) -> Option<Vec<u8>> {
    let head_bytes = head_bytes(message)?;
    let is_fold = |pair: &[u8]| pair[0] == b'\n' && matches!(pair[1], b' ' | b'\t');
    if !message[..head_bytes].windows(2).any(is_fold) {
        return None;
    }
    let mut unfolded = message.to_vec();
    for at in 0..head_bytes - 1 {
        if is_fold(&message[at..at + 2]) {
            unfolded[at] = b' ';
            if at > 0 && unfolded[at - 1] == b'\r' {
                unfolded[at - 1] = b' ';
            }
        }
    }
    Some(unfolded)
}

/// Bytes up to and with the empty line.
fn head_bytes(message: &[u8]) -> Option<usize> {
    let mut bytes = 0;
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        bytes += line.len();
        if line == b"\n" || line == b"\r\n" {
            return Some(bytes);
        }
    }
    None
}

fn is_header_line(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| {
        let name = name.trim_ascii_end();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// The headers of a message, in the order they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    /// Lines that each have a name and a colon.
    text: &'a str,
}

impl<'a> Headers<'a> {
    /// The value of the first header of this name, in any case, without white space around it.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The values of all headers of this name, in any case.
    pub fn all<'n>(self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// All headers: name as spelled, value without white space around it.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim_ascii_end(), value.trim_ascii()))
    }
}

/// The CSeq of a message that may be broken elsewhere, so that even its refusal can carry it
/// (RFC 2326 §12.17). Digits only: they are echoed as they came.
#[must_use]
pub fn find_cseq(message: &[u8]) -> Option<&str> {
    let head = &message[..head_bytes(message).unwrap_or(message.len())];
    let value = head.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let is_cseq = line[..colon].trim_ascii_end().eq_ignore_ascii_case(b"CSeq");
        is_cseq.then(|| line[colon + 1..].trim_ascii())
    })?;
    let is_number =
        (1..=CSEQ_BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(value).ok())?
}

/// Digits of a CSeq; a 32-bit number has ten.
const CSEQ_BYTES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_lines_become_one() {
        for (folded, expected) in [
            (
                &b"A * B\r\nC: d\r\n e\r\n\tf\r\nG: h\r\n\r\n"[..],
                &b"A * B\r\nC: d   e  \tf\r\nG: h\r\n\r\n"[..],
            ),
            (b"A * B\nC: d\n e\n\nbody\n more", b"A * B\nC: d  e\n\nbody\n more"),
            (b"A * B\r\n C\r\n\r\n", b"A * B   C\r\n\r\n"),
        ] {
            assert_eq!(unfolded(folded).as_deref(), Some(expected));
        }
        for plain in [&b"A * B\r\nC: d\r\n\r\n x"[..], b"A * B\r\n C", b"", b"\n"] {
            assert_eq!(unfolded(plain), None);
        }
    }
}
