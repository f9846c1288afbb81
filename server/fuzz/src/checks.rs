//! One check a target: no panic, and what must hold for any input.

use server::framing::{Framer, FramingError, Message};
use server::rtsp::headers::{NptRange, NptStart, Transport, TransportOffer, parse_offers};
use server::rtsp::{ControlUrl, ReceivedResponse, Request, Response};

/// The first byte chooses the chunks, the rest is the stream: chunks do not matter, memory is
/// bounded, positions only grow, and what is cut can be parsed or refused.
pub fn rtsp_framer(data: &[u8]) {
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

/// An offer's ports are ports, and what is written of it reads back.
pub fn transport_header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(offers) = parse_offers([text]) else { return };
    assert!((1..=16).contains(&offers.len()));
    for offer in offers {
        let ssrc = offer.ssrc.unwrap_or(1);
        if let Some(client_port) = offer.client_port {
            assert!(client_port.0 > 0 && client_port.1 > 0);
            let chosen =
                Transport::Udp { client_port, server_port: (6970, 6971), ssrc }.to_string();
            let read = TransportOffer::parse(&chosen).unwrap();
            assert_eq!((read.client_port, read.ssrc), (Some(client_port), Some(ssrc)));
        }
        if let Some(channels) = offer.interleaved {
            let chosen = Transport::Interleaved { channels, ssrc }.to_string();
            assert_eq!(TransportOffer::parse(&chosen).unwrap().interleaved, Some(channels));
        }
    }
}

/// A range that exists is in order, and what is written of it is the same range to the millisecond.
pub fn range_header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(range) = text.parse::<NptRange>() else { return };
    if let (NptStart::At(start), Some(end)) = (range.start(), range.end()) {
        assert!(start <= end);
    }
    let written = range.to_string();
    let read: NptRange = written.parse().unwrap();
    assert_eq!(read.to_string(), written);
}
