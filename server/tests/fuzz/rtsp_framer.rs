//! A byte stream cut into RTSP messages, and what is parsed and answered of them.

use server::framing::{Framer, FramingError, Message};
use server::rtsp::{ControlUrl, ReceivedResponse, Request, Response};

/// The first byte chooses the chunks, the rest is the stream: chunks do not matter, memory is
/// bounded, positions only grow, and what is cut can be parsed or refused.
pub(crate) fn check(data: &[u8]) {
    let Some((&chunk_bytes, stream)) = data.split_first() else { return };
    let whole = cut(stream, stream.len().max(1));
    assert_eq!(cut(stream, usize::from(chunk_bytes).max(1)), whole);
}

/// The messages of a stream, and the error that ended it.
type Messages = (Vec<Vec<u8>>, Option<FramingError>);

fn cut(stream: &[u8], chunk_bytes: usize) -> Messages {
    let mut framer = Framer::new();
    let mut messages = Vec::new();
    for chunk in stream.chunks(chunk_bytes) {
        framer.push(chunk);
        loop {
            let before = framer.position();
            match framer.next() {
                Ok(None) => break,
                Ok(Some(message)) => messages.push(taken(message)),
                Err(error) => {
                    assert_eq!(framer.next(), Err(error));
                    assert!(error.position <= stream.len() as u64);
                    assert!(framer.is_empty());
                    return (messages, Some(error));
                }
            }
            assert!(framer.position() > before);
        }
        assert!(framer.unparsed_bytes() < 4 + 65_535 + 1);
    }
    (messages, None)
}

fn taken(message: Message<'_>) -> Vec<u8> {
    match message {
        Message::Request(bytes) => {
            match Request::parse(bytes) {
                Ok(request) => respond_to(&request),
                Err(error) => {
                    let response = Response::new(error.status(), error.cseq).into_bytes();
                    ReceivedResponse::parse(&response).unwrap();
                }
            }
            bytes.to_vec()
        }
        Message::Response(bytes) => {
            let _ = ReceivedResponse::parse(bytes);
            bytes.to_vec()
        }
        Message::Interleaved { channel, payload } => [&[b'$', channel], payload].concat(),
    }
}

/// Whatever a request holds may be put into a response, and comes out again.
fn respond_to(request: &Request<'_>) {
    let target = request.uri.url().map_or("*", |url| url.as_str());
    let response = Response::new(server::rtsp::StatusCode::OK, Some(request.cseq))
        .header("Content-Base", target)
        .into_bytes();
    let response = ReceivedResponse::parse(&response).unwrap();
    assert_eq!(response.header("CSeq"), Some(request.cseq));
    if let Some(Ok(control_url)) = request.uri.url().map(ControlUrl::split) {
        assert!(!control_url.title.split('/').any(|component| component == ".."));
        assert!(!control_url.title.starts_with('/'));
    }
}
