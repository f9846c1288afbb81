//! From the presentation description to the first PLAY.

use super::{Step, Viewer};
use crate::client::Lower;
use crate::clock::MonoTime;
use crate::headers::parse_transport;
use crate::lenient;
use crate::load::options::Options;
use crate::load::stream::Stream;
use crate::load::tally::{Failure, failed};
use crate::message::Reply;
use crate::presentation::Presentation;
use crate::socket::UdpPair;
use std::io;

impl Viewer {
    /// DESCRIBE was answered: sockets are made for the streams on offer.
    pub(super) fn described(
        &mut self,
        now: MonoTime,
        reply: &Reply,
        options: &Options,
    ) -> Result<(), Failure> {
        let base = reply.header("Content-Base").unwrap_or(&self.dialogue.url);
        let presentation = Presentation::parse(&reply.body, base).map_err(|why| failed(&why))?;
        self.dialogue.url.clone_from(&presentation.control_url);
        self.duration = presentation.duration;
        self.start_millis = options.start.millis(presentation.duration, self.random);
        for (media, channel) in presentation.media.iter().zip((0..=u8::MAX).step_by(2)) {
            let pair = match self.role.lower {
                Lower::Tcp => None,
                Lower::Udp => Some(self.bind().map_err(|error| failed(&error.to_string()))?),
            };
            self.streams.push(Stream::new(media, pair, (channel, channel + 1)));
        }
        self.ask_setup(now, 0)
    }

    fn bind(&self) -> io::Result<UdpPair> {
        let pair = UdpPair::bind(self.connection.local_addr()?.ip())?;
        if self.role.is_sink {
            pair.ignore_media()?;
        }
        Ok(pair)
    }

    fn ask_setup(&mut self, now: MonoTime, position: usize) -> Result<(), Failure> {
        let stream = self.streams.get(position).ok_or_else(|| failed("no streams on offer"))?;
        let offer = match &stream.pair {
            Some(pair) => {
                let (rtp, rtcp) = (pair.rtp_port, pair.rtp_port + 1);
                format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}")
            }
            None => {
                let (rtp, rtcp) = stream.channels;
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}")
            }
        };
        self.step = Step::SettingUp(position);
        let headers = [("Transport", offer.as_str())];
        self.dialogue.ask_at((now, now), "SETUP", &stream.control_url, &headers);
        Ok(())
    }

    /// SETUP was answered: the next stream, or PLAY.
    pub(super) fn set_up(&mut self, now: MonoTime, reply: &Reply) -> Result<(), Failure> {
        let Step::SettingUp(position) = self.step else { return Err(failed("a stray reply")) };
        let session = reply.header("Session").and_then(lenient::session);
        self.dialogue.session = Some(session.ok_or_else(|| failed("no usable Session"))?);
        let transport = reply.header("Transport").and_then(parse_transport);
        let transport = transport.ok_or_else(|| failed("no usable Transport"))?;
        if let Some(ssrc) = transport.ssrc {
            self.streams[position].announce_source(ssrc);
        }
        // The server may choose others.
        if let Some(channels) = transport.interleaved {
            self.streams[position].channels = channels;
        }
        if let Some(pair) = &self.streams[position].pair {
            let ports = transport.server_port.ok_or_else(|| failed("no server_port"))?;
            pair.connect(self.server.ip(), ports).map_err(|error| failed(&error.to_string()))?;
        }
        if position + 1 < self.streams.len() {
            return self.ask_setup(now, position + 1);
        }
        self.play((now, now), Some(self.start_millis));
        Ok(())
    }
}
