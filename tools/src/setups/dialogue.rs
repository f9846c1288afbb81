//! What descriptions say, parsed once a title.

use crate::message::Reply;
use crate::presentation::Presentation;
use crate::socket::UdpPair;
use std::collections::HashMap;

/// What is known of the titles, by the position of their URL.
#[derive(Debug, Default)]
pub(super) struct Titles {
    described: HashMap<usize, Described>,
}

#[derive(Debug)]
struct Described {
    /// As it came: all who ask get the same.
    body: Vec<u8>,
    control_url: String,
    /// URLs of the streams.
    streams: Vec<String>,
}

impl Titles {
    /// Takes a description. Fails if it cannot be used, or is not what others got.
    pub(super) fn described(
        &mut self,
        position: usize,
        url: &str,
        reply: &Reply,
    ) -> Result<(), String> {
        if let Some(known) = self.described.get(&position) {
            let is_same = known.body == reply.body;
            return is_same.then_some(()).ok_or_else(|| "DESCRIBE: not what others got".to_owned());
        }
        let base = reply.header("Content-Base").unwrap_or(url);
        let presentation = Presentation::parse(&reply.body, base)?;
        let streams: Vec<_> =
            presentation.media.into_iter().map(|media| media.control_url).collect();
        if streams.is_empty() {
            return Err("DESCRIBE: no streams on offer".to_owned());
        }
        let (body, control_url) = (reply.body.clone(), presentation.control_url);
        self.described.insert(position, Described { body, control_url, streams });
        Ok(())
    }

    /// The URL of the whole, once it was described.
    pub(super) fn control_url(&self, position: usize) -> &str {
        self.described.get(&position).map_or("", |title| &title.control_url)
    }

    /// The URLs of its streams; none before it was described.
    pub(super) fn streams(&self, position: usize) -> &[String] {
        self.described.get(&position).map_or(&[], |title| &title.streams)
    }
}

/// The Transport header of a stream whose media goes to the sink.
pub(super) fn transport(sink: &UdpPair) -> String {
    let port = sink.rtp_port;
    format!("RTP/AVP;unicast;client_port={port}-{}", port + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> Reply {
        let headers = vec![("Content-Base".to_owned(), "rtsp://h/a/".to_owned())];
        Reply { status: 200, reason: "OK".into(), headers, body: body.into() }
    }

    #[test]
    fn a_description_is_parsed_once_and_the_same_for_all() {
        let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=a\r\nt=0 0\r\na=control:*\r\n\
            m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n";
        let mut titles = Titles::default();
        assert!(titles.streams(3).is_empty());
        titles.described(3, "rtsp://h/a", &reply(body)).unwrap();
        titles.described(3, "rtsp://h/a", &reply(body)).unwrap();
        assert_eq!(titles.streams(3), ["rtsp://h/a/trackID=0"]);
        assert!(titles.control_url(3).starts_with("rtsp://h/a"));
        let other = reply(&body.replace("IP4 127", "IP4 128"));
        assert!(titles.described(3, "rtsp://h/a", &other).is_err());
        assert!(titles.described(4, "rtsp://h/b", &reply("v=0\r\n")).is_err());
    }
}
