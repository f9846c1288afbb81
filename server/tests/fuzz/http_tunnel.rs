//! What clients send by the halves of an HTTP tunnel: heads, base64 in one POST after the other.

use server::framing::{Base64Decoder, Framer, FramingError, Message};
use server::rtsp::StatusCode;
use server::rtsp::http::{TunnelRequest, is_http, refusal};

/// Bytes of messages that one framer may hold: an interleaved frame that is not whole.
const HELD_BYTES_MAX: usize = 4 + 65_535 + 1;

/// The first byte chooses the chunks, the second where the stream goes on in another POST, read by
/// another framer, as on a shard. The rest begins with the head of a request; what follows it is
/// the body. Neither chunks nor POSTs matter, memory is bounded, and a head opens something or is
/// refused in words.
pub(crate) fn check(data: &[u8]) {
    let [chunk_bytes, cut, stream @ ..] = data else { return };
    let mut framer = Framer::new();
    framer.push(stream);
    let body = match framer.next() {
        Ok(Some(Message::Request(head))) => {
            check_head(head);
            framer.into_unparsed()
        }
        Ok(_) | Err(_) => stream.to_vec().into(),
    };
    let whole = cut_messages(&body, body.len().max(1), body.len());
    let cut = usize::from(*cut) * body.len() / 255;
    assert_eq!(cut_messages(&body, usize::from(*chunk_bytes).max(1), cut), whole);
    check_decoder(&body);
}

fn check_head(head: &[u8]) {
    match TunnelRequest::parse(head) {
        Ok(TunnelRequest::Get { cookie } | TunnelRequest::Post { cookie }) => {
            assert!(is_http(head));
            assert!((1..=128).contains(&cookie.len()));
            assert!(cookie.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Err(refused) => {
            assert!(refused.status() != StatusCode::OK);
            let response =
                refusal(refused.status(), refused.hint(), "Thu, 01 Jan 1970 00:00:00 GMT");
            let text = std::str::from_utf8(&response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.0 {}\r\n", refused.status())));
            assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())));
        }
    }
}

/// The messages of a body, and the error that ended it.
type Messages = (Vec<Vec<u8>>, Option<FramingError>);

/// Cuts the body in chunks; from `cut` on, another framer goes on.
fn cut_messages(body: &[u8], chunk_bytes: usize, cut: usize) -> Messages {
    let mut framer = Framer::new().decoding(Base64Decoder::new());
    let mut messages = Vec::new();
    let (before, after) = body.split_at(cut);
    let mut position = 0;
    for (number, part) in [before, after].into_iter().enumerate() {
        if number > 0 {
            position = framer.position();
            let decoder = framer.decoder().unwrap();
            framer = Framer::with_unparsed(framer.into_unparsed()).decoding(decoder);
        }
        // A part without bytes still may end in an error.
        for chunk in part.chunks(chunk_bytes).chain([&b""[..]]) {
            framer.push(chunk);
            loop {
                match framer.next() {
                    Ok(None) => break,
                    Ok(Some(Message::Request(bytes) | Message::Response(bytes))) => {
                        messages.push(bytes.to_vec());
                    }
                    Ok(Some(Message::Interleaved { channel, payload })) => {
                        messages.push([&[b'$', channel], payload].concat());
                    }
                    Err(error) => {
                        assert_eq!(framer.next(), Err(error));
                        let position = position + error.position;
                        return (messages, Some(FramingError { position, ..error }));
                    }
                }
            }
            assert!(framer.unparsed_bytes() < HELD_BYTES_MAX);
        }
    }
    (messages, None)
}

/// Three bytes come of four symbols at most, and what follows an error does nothing.
fn check_decoder(body: &[u8]) {
    let (mut decoder, mut decoded) = (Base64Decoder::new(), Vec::new());
    decoder.push(body, &mut decoded);
    assert!(decoded.len() <= body.len() / 4 * 3 + 2);
    if decoder.is_broken() {
        let before = decoded.len();
        decoder.push(b"QUJD", &mut decoded);
        assert_eq!((decoded.len(), decoder.is_broken()), (before, true));
    }
}
