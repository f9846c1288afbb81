use super::*;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Request(Vec<u8>),
    Response(Vec<u8>),
    Interleaved(u8, Vec<u8>),
}

fn request(text: &str) -> Owned {
    Owned::Request(text.into())
}

/// What a framer makes of a stream that arrives in these chunks.
fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Owned>, Option<FramingError>) {
    let mut framer = Framer::new();
    let mut messages = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.next().map(owned) {
                Ok(None) => break,
                Ok(Some(message)) => messages.push(message),
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn owned(message: Option<Message<'_>>) -> Option<Owned> {
    Some(match message? {
        Message::Request(message) => Owned::Request(message.into()),
        Message::Response(message) => Owned::Response(message.into()),
        Message::Interleaved { channel, payload } => Owned::Interleaved(channel, payload.into()),
    })
}

fn error_of(stream: &[u8]) -> Option<FramingError> {
    cut([stream]).1
}

const MIXED: &[u8] = b"\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n\
    $\x01\x00\x04\r\n\r\n$\x00\x00\x00\
    SET_PARAMETER rtsp://h/t RTSP/1.0\nCSeq: 2\ncontent-LENGTH : 5\n\na\n\nb$\
    RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 2\r\n\r\n$$\n\
    POST /t HTTP/1.0\r\nx-sessioncookie: a\r\nContent-Length: 32767\r\n\r\n\
    PLAY rtsp://h/t RTSP/1.0\r\nCSeq: 3\r\n\r\n";

fn mixed_messages() -> Vec<Owned> {
    vec![
        request("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        Owned::Interleaved(1, b"\r\n\r\n".into()),
        Owned::Interleaved(0, Vec::new()),
        request("SET_PARAMETER rtsp://h/t RTSP/1.0\nCSeq: 2\ncontent-LENGTH : 5\n\na\n\nb$"),
        Owned::Response(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\nContent-Length: 2\r\n\r\n$$".into()),
        request("POST /t HTTP/1.0\r\nx-sessioncookie: a\r\nContent-Length: 32767\r\n\r\n"),
        request("PLAY rtsp://h/t RTSP/1.0\r\nCSeq: 3\r\n\r\n"),
    ]
}

#[test]
fn every_chunk_size_gives_the_same_messages() {
    for size in 1..=MIXED.len() {
        assert_eq!(cut(MIXED.chunks(size)), (mixed_messages(), None), "chunks of {size}");
    }
}

#[test]
fn every_hand_over_gives_the_same_messages() {
    for split in 0..=MIXED.len() {
        let mut framer = Framer::new();
        framer.push(&MIXED[..split]);
        let mut count = 0;
        while framer.next().unwrap().is_some() {
            count += 1;
        }
        let rest = split as u64 - framer.position();
        assert_eq!(framer.unparsed_bytes() as u64, rest);
        assert_eq!(framer.is_empty(), rest == 0);
        let mut heir = Framer::with_unparsed(framer.into_unparsed());
        heir.push(&MIXED[split..]);
        while heir.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, mixed_messages().len(), "handed over at {split}");
        assert!(heir.is_empty());
    }
}

#[test]
fn what_is_not_rtsp_is_told_at_its_byte() {
    let fails_at = |stream: &[u8], kind, position| {
        assert_eq!(error_of(stream), Some(FramingError { kind, position }));
    };
    use FramingErrorKind::{BadContentLength, NotRtsp};
    fails_at(b"\x16\x03\x01\x02\x00", NotRtsp, 0); // TLS
    fails_at(b"\0\0\0\0", NotRtsp, 0);
    fails_at(b" OPTIONS * RTSP/1.0\r\n", NotRtsp, 0);
    fails_at(b"OPTIONS\r\n\r\n", NotRtsp, 7);
    fails_at(b"HTTP/1.1 200 OK\r\n\r\n", NotRtsp, 4);
    fails_at(b"\r\n$\0\0\x01xRTSP:", NotRtsp, 11);
    fails_at(&[b'A'; 100], NotRtsp, 32);
    fails_at(b"\xff\xfe", NotRtsp, 0);
    for length in ["", "-1", "5x", "0x5", "5\r\nContent-Length: 6"] {
        let stream = format!("PLAY * RTSP/1.0\r\nContent-Length: {length}\r\n\r\n");
        let line = if length.contains("Content") { 17 + 19 } else { 17 };
        fails_at(stream.as_bytes(), BadContentLength, line);
    }
    assert_eq!(
        error_of(b"PLAY * RTSP/1.0\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        None
    );
}

#[test]
fn a_failed_framer_stays_failed_and_holds_nothing() {
    let mut framer = Framer::new();
    framer.push(b"OPTIONS * RTSP/1.0\r\n\r\n\0junk");
    assert!(framer.next().unwrap().is_some());
    let error = framer.next().unwrap_err();
    assert_eq!(error.to_string(), "this is not RTSP, at byte 22");
    framer.push(b"OPTIONS * RTSP/1.0\r\n\r\n");
    assert_eq!(framer.next(), Err(error));
    assert_eq!((framer.buffer.capacity(), framer.unparsed_bytes()), (0, 0));
}

/// Pushes up to `total_bytes` of `pattern` behind `start`; the error, and the most bytes held.
fn flood(start: &[u8], pattern: &[u8], total_bytes: usize) -> (Option<FramingError>, usize) {
    let chunk = pattern.repeat(4096 / pattern.len());
    let mut framer = Framer::new();
    framer.push(start);
    let mut held_bytes = 0;
    for _ in 0..total_bytes / chunk.len() {
        framer.push(&chunk);
        loop {
            match framer.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (Some(error), held_bytes),
            }
        }
        held_bytes = held_bytes.max(framer.buffer.capacity());
    }
    (None, held_bytes)
}

#[test]
fn floods_end_in_an_error_within_bounded_memory() {
    use FramingErrorKind::{BodyTooLarge, HeadTooLarge, RequestLineTooLarge, TooManyHeaders};
    let head = b"PLAY * RTSP/1.0\r\n";
    let table: [(&[u8], &[u8], Option<FramingErrorKind>); 10] = [
        (b"PLAY ", b"x", Some(RequestLineTooLarge)),
        (head, b"x", Some(HeadTooLarge)),
        (head, b"\0", Some(HeadTooLarge)),
        (b"RTSP/1.0 200 ", b"x", Some(HeadTooLarge)),
        (head, b"a:b\r\n", Some(TooManyHeaders)),
        (head, b"\xff\xff\r\n", Some(TooManyHeaders)),
        (b"PLAY * RTSP/1.0\r\nContent-Length: 4294967296\r\n\r\n", b"x", Some(BodyTooLarge)),
        (
            b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"x",
            Some(BodyTooLarge),
        ),
        (b"", b"\r\n", None),
        (b"", b"$\x00\x0f\xfc", None),
    ];
    for (start, pattern, kind) in table {
        let (error, held_bytes) = flood(start, pattern, 10 << 20);
        assert_eq!(error.map(|error| error.kind), kind, "{start:?}");
        assert!(held_bytes <= 4 * INTERLEAVED_FRAME_BYTES_MAX, "{held_bytes} for {start:?}");
    }
}

#[test]
fn limits_are_inclusive() {
    let head = |bytes: usize| {
        let line = "PLAY * RTSP/1.0\r\n";
        format!("{line}X: {}\r\n\r\n", "x".repeat(bytes - line.len() - 7))
    };
    assert_eq!(head(100).len(), 100);
    assert_eq!(error_of(head(REQUEST_HEAD_BYTES_MAX).as_bytes()), None);
    let error = error_of(head(REQUEST_HEAD_BYTES_MAX + 1).as_bytes()).unwrap();
    assert_eq!(error.kind, FramingErrorKind::HeadTooLarge);

    let headers = |count: usize| format!("PLAY * RTSP/1.0\r\n{}\r\n", "a:b\r\n".repeat(count));
    assert_eq!(error_of(headers(REQUEST_HEADERS_MAX).as_bytes()), None);
    let error = error_of(headers(REQUEST_HEADERS_MAX + 1).as_bytes()).unwrap();
    assert_eq!(error.kind, FramingErrorKind::TooManyHeaders);

    let body = |line: &str, limit: usize, excess: usize| {
        let digits_bytes = 5;
        let head_bytes = line.len() + "\r\nContent-Length: \r\n\r\n".len() + digits_bytes;
        let length = limit - head_bytes + excess;
        format!("{line}\r\nContent-Length: {length:05}\r\n\r\n{}", "x".repeat(length))
    };
    for (line, limit) in
        [("PLAY * RTSP/1.0", REQUEST_BYTES_MAX), ("RTSP/1.0 200 OK", RESPONSE_BYTES_MAX)]
    {
        assert_eq!(error_of(body(line, limit, 0).as_bytes()), None);
        let error = error_of(body(line, limit, 1).as_bytes()).unwrap();
        assert_eq!(error.kind, FramingErrorKind::BodyTooLarge);
    }
}

#[test]
fn an_idle_framer_gives_its_memory_back() {
    let mut framer = Framer::new();
    framer.push(&[b"$\0\xff\xff".as_slice(), &[7; 65_535]].concat());
    assert!(framer.next().unwrap().is_some());
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.buffer.capacity(), 0);
}

/// Pieces of streams, whole and broken.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &'static str| Just(text.as_bytes().to_vec());
    prop_oneof![
        text("PLAY rtsp://h/t RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        text("SET_PARAMETER * RTSP/1.0\nContent-Length: 3\n\n$\r\n"),
        text("RTSP/1.0 200 OK\r\nContent-Length:4\r\n\r\n\r\n\r\n"),
        text("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"),
        text("Content-Length: 1\r\n"),
        text("\r\n"),
        text("$\x02\x00\x03abc"),
        text("$\x02\x00"),
        prop::collection::vec(any::<u8>(), 0..6),
        (0_usize..9000).prop_map(|count| vec![b'x'; count]),
    ]
}

proptest! {
    #[test]
    fn chunks_do_not_matter(
        pieces in prop::collection::vec(piece(), 0..12),
        sizes in prop::collection::vec(1_usize..400, 1..8),
    ) {
        let stream = pieces.concat();
        let mut rest = stream.as_slice();
        let chunks = sizes.iter().cycle().map_while(|&size| {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            (!chunk.is_empty()).then_some(chunk)
        });
        prop_assert_eq!(cut(chunks), cut([stream.as_slice()]));
    }
}

#[test]
fn base64_in_any_chunks_gives_the_same_messages() {
    // The messages encoded apart, as clients do, with and without line ends between them.
    let parts = MIXED.split_inclusive(|&byte| byte == b'$');
    let encoded: Vec<String> = parts.map(|part| BASE64_STANDARD.encode(part)).collect();
    for encoded in [encoded.concat(), encoded.join("\r\n")] {
        for chunk_bytes in 1..=encoded.len() {
            let mut framer = Framer::new().decoding(Base64Decoder::new());
            let mut messages = Vec::new();
            for chunk in encoded.as_bytes().chunks(chunk_bytes) {
                framer.push(chunk);
                messages.extend(std::iter::from_fn(|| owned(framer.next().unwrap())));
            }
            assert_eq!(messages, mixed_messages());
            assert!(framer.is_empty());
        }
    }
}

#[test]
fn what_is_not_base64_is_an_error_behind_the_messages_before_it() {
    let whole = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    let half = "PLAY * RTSP/1.0\r\nCSeq: 2\r\nSess";
    let encoded = BASE64_STANDARD.encode(format!("{whole}{half}")) + "!";
    for chunk_bytes in 1..=encoded.len() {
        let mut framer = Framer::new().decoding(Base64Decoder::new());
        let mut chunks = encoded.as_bytes().chunks(chunk_bytes);
        let mut messages = Vec::new();
        let error = loop {
            match framer.next().map(owned) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => framer.push(chunks.next().unwrap()),
                Err(error) => break error,
            }
        };
        assert_eq!(messages, [request(whole)]);
        let position = (whole.len() + half.len()) as u64;
        assert_eq!(error, FramingError { kind: FramingErrorKind::NotBase64, position });
        assert_eq!(framer.rejected(), b"PLAY * RTSP/1.0\r\nCSeq: 2\r\n");
        framer.push(b"QUJD");
        assert_eq!(framer.next(), Err(error));
    }
}

#[test]
fn decoding_goes_on_in_another_framer() {
    let message = "OPTIONS * RTSP/1.0\r\nCSeq: 123\r\n\r\n";
    let encoded = BASE64_STANDARD.encode(message);
    for at in 0..encoded.len() {
        let mut first = Framer::new().decoding(Base64Decoder::new());
        first.push(&encoded.as_bytes()[..at]);
        assert_eq!(first.next(), Ok(None));
        let decoder = first.decoder().unwrap();
        let mut second = Framer::with_unparsed(first.into_unparsed()).decoding(decoder);
        second.push(&encoded.as_bytes()[at..]);
        assert_eq!(second.next(), Ok(Some(Message::Request(message.as_bytes()))), "cut at {at}");
    }
}
