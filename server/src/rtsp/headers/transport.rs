//! Transport (RFC 2326 §12.39): what a client offers, and the one the server chose.

use super::{parse_decimal, split_list, split_unquoted, unquoted};
use crate::rtsp::StatusCode;
use std::fmt;

/// One alternative of a Transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportOffer<'a> {
    /// Protocol, profile and lower transport.
    pub protocol: Protocol,
    /// To one receiver or to a group.
    pub delivery: Delivery,
    /// What the streams are set up for.
    pub mode: Mode,
    /// The channels of RTP and RTCP in the RTSP connection.
    pub interleaved: Option<(u8, u8)>,
    /// The client's unicast ports of RTP and RTCP.
    pub client_port: Option<(u16, u16)>,
    /// The server's unicast ports of RTP and RTCP.
    pub server_port: Option<(u16, u16)>,
    /// The multicast ports of RTP and RTCP.
    pub port: Option<(u16, u16)>,
    /// Where to send; media goes only to the address that asked, so this is never followed.
    pub destination: Option<&'a str>,
    /// Where the media comes from.
    pub source: Option<&'a str>,
    /// The synchronization source; `None` also if it is written in no known way.
    pub ssrc: Option<u32>,
    /// Multicast time to live.
    pub ttl: Option<u8>,
    /// Multicast layers.
    pub layers: Option<u32>,
    /// Whether a recording goes on where one ended.
    pub append: bool,
}

/// Protocol, profile and lower transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `RTP/AVP` or `RTP/AVP/UDP`.
    RtpAvpUdp,
    /// `RTP/AVP/TCP`.
    RtpAvpTcp,
    /// Any other; not usable.
    Other,
}

/// To one receiver or to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To one. Also assumed where nothing is written but parameters that only unicast has.
    Unicast,
    /// To a group: what RFC 2326 assumes where nothing is written.
    Multicast,
}

/// What the streams are set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `PLAY`: the default.
    Play,
    /// `RECORD`, also in a list with others.
    Record,
    /// Any other.
    Other,
}

/// Why a Transport header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// There is no offer in it.
    Empty,
    /// An offer has no `transport/profile`.
    Protocol,
    /// A port is no port, or a pair is incomplete.
    Port,
    /// A channel is no channel.
    Channel,
    /// A time to live or number of layers is no number.
    Number,
}

impl TransportError {
    /// What the client is told.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Transport offers nothing",
            Self::Protocol => "Transport names no protocol",
            Self::Port => "a port in Transport cannot be read",
            Self::Channel => "a channel in Transport cannot be read",
            Self::Number => "a number in Transport cannot be read",
        })
    }
}

impl std::error::Error for TransportError {}

/// The offers of all Transport headers of a request, most wanted first. Offers that cannot be read
/// are left out if there are others; at most 256 are looked at.
///
/// # Errors
///
/// Why the first offer cannot be read, if none can.
pub fn parse_offers<'a>(
    values: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<TransportOffer<'a>>, TransportError> {
    let mut offers = Vec::new();
    let mut first_error = None;
    for spec in values.into_iter().flat_map(split_list).take(OFFERS_MAX) {
        match TransportOffer::parse(spec) {
            Ok(offer) => offers.push(offer),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    if offers.is_empty() { Err(first_error.unwrap_or(TransportError::Empty)) } else { Ok(offers) }
}

/// Offers looked at in one request. Players send one to three, and a head holds some hundreds.
const OFFERS_MAX: usize = 256;

impl<'a> TransportOffer<'a> {
    /// Reads one offer, or the Transport header of a response.
    ///
    /// # Errors
    ///
    /// If it names no protocol, or a known parameter is malformed. Unknown parameters and an SSRC
    /// in an unknown spelling are passed over.
    pub fn parse(spec: &'a str) -> Result<Self, TransportError> {
        let mut parameters = split_unquoted(spec, ';');
        let protocol = parameters.next().ok_or(TransportError::Empty)?;
        let mut offer = Self::of(Protocol::parse(protocol)?);
        let mut delivery = None;
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let name = name.trim_ascii().to_ascii_lowercase();
            match name.as_str() {
                "unicast" => delivery = delivery.or(Some(Delivery::Unicast)),
                "multicast" => delivery = delivery.or(Some(Delivery::Multicast)),
                _ => offer.take_parameter(&name, unquoted(value.trim_ascii()))?,
            }
        }
        let has_unicast_parameter = offer.client_port.is_some() || offer.interleaved.is_some();
        offer.delivery = match delivery {
            Some(delivery) => delivery,
            None if has_unicast_parameter => Delivery::Unicast,
            None => Delivery::Multicast,
        };
        Ok(offer)
    }

    fn of(protocol: Protocol) -> Self {
        Self {
            protocol,
            delivery: Delivery::Multicast,
            mode: Mode::Play,
            interleaved: None,
            client_port: None,
            server_port: None,
            port: None,
            destination: None,
            source: None,
            ssrc: None,
            ttl: None,
            layers: None,
            append: false,
        }
    }

    fn take_parameter(&mut self, name: &str, value: &'a str) -> Result<(), TransportError> {
        let port_pair = || pair(value, u16::MAX).filter(|(rtp, rtcp)| *rtp > 0 && *rtcp > 0);
        match name {
            "mode" => self.mode = Mode::parse(value),
            "interleaved" => {
                let channels = pair(value, u16::from(u8::MAX)).ok_or(TransportError::Channel)?;
                let [rtp, rtcp] = [channels.0, channels.1].map(u8::try_from);
                self.interleaved = rtp.ok().zip(rtcp.ok());
            }
            "client_port" => self.client_port = Some(port_pair().ok_or(TransportError::Port)?),
            "server_port" => self.server_port = Some(port_pair().ok_or(TransportError::Port)?),
            "port" => self.port = Some(port_pair().ok_or(TransportError::Port)?),
            "destination" => self.destination = (!value.is_empty()).then_some(value),
            "source" => self.source = (!value.is_empty()).then_some(value),
            "ssrc" => self.ssrc = u32::from_str_radix(value, 16).ok(),
            "ttl" => self.ttl = Some(parse_decimal(value).ok_or(TransportError::Number)?),
            "layers" => self.layers = Some(parse_decimal(value).ok_or(TransportError::Number)?),
            "append" => self.append = true,
            _ => {}
        }
        Ok(())
    }
}

/// `a-b`, or `a` alone for `a` and the number above it.
fn pair(value: &str, max: u16) -> Option<(u16, u16)> {
    let (first, second) = match value.split_once('-') {
        Some((first, second)) => {
            (parse_decimal(first.trim_ascii())?, parse_decimal(second.trim_ascii())?)
        }
        None => {
            let first: u16 = parse_decimal(value)?;
            (first, first.checked_add(1)?)
        }
    };
    (first <= max && second <= max).then_some((first, second))
}

impl Protocol {
    fn parse(text: &str) -> Result<Self, TransportError> {
        if !text.contains('/') {
            return Err(TransportError::Protocol);
        }
        let known = [
            ("RTP/AVP", Self::RtpAvpUdp),
            ("RTP/AVP/UDP", Self::RtpAvpUdp),
            ("RTP/AVP/TCP", Self::RtpAvpTcp),
        ];
        let found = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        Ok(found.map_or(Self::Other, |(_, protocol)| protocol))
    }
}

impl Mode {
    fn parse(value: &str) -> Self {
        let has = |mode: &str| split_list(value).any(|other| other.eq_ignore_ascii_case(mode));
        // receive: what FFmpeg wrote for RECORD before version 0.9.
        if has("RECORD") || has("RECEIVE") {
            Self::Record
        } else if has("PLAY") || value.is_empty() {
            Self::Play
        } else {
            Self::Other
        }
    }
}

/// The transport that the server chose, as SETUP answers it: only what the client needs, never
/// `destination` (interop: common denominator 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RTP/AVP over UDP unicast.
    Udp {
        /// The client's ports, as it offered them.
        client_port: (u16, u16),
        /// The shard's pair.
        server_port: (u16, u16),
        /// The stream's synchronization source.
        ssrc: u32,
    },
    /// Interleaved in the RTSP connection (RFC 2326 §10.12).
    Interleaved {
        /// The channels of RTP and RTCP.
        channels: (u8, u8),
        /// The stream's synchronization source.
        ssrc: u32,
    },
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp { client_port, server_port, ssrc } => write!(
                f,
                "RTP/AVP;unicast;client_port={}-{};server_port={}-{};ssrc={ssrc:08X}",
                client_port.0, client_port.1, server_port.0, server_port.1
            ),
            Self::Interleaved { channels: (rtp, rtcp), ssrc } => {
                write!(f, "RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn udp(client_port: (u16, u16)) -> TransportOffer<'static> {
        let offer = TransportOffer::of(Protocol::RtpAvpUdp);
        TransportOffer { delivery: Delivery::Unicast, client_port: Some(client_port), ..offer }
    }

    fn tcp(interleaved: (u8, u8)) -> TransportOffer<'static> {
        let offer = TransportOffer::of(Protocol::RtpAvpTcp);
        TransportOffer { delivery: Delivery::Unicast, interleaved: Some(interleaved), ..offer }
    }

    fn offers(text: &str, expected: &[TransportOffer<'_>]) {
        assert_eq!(parse_offers([text]).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn rfc_2326_examples() {
        let multicast = TransportOffer {
            destination: None,
            ttl: Some(127),
            ..TransportOffer::of(Protocol::RtpAvpUdp)
        };
        // §12.39
        offers(
            "RTP/AVP;multicast;ttl=127;mode=\"PLAY\",\n RTP/AVP;unicast;client_port=3456-3457;mode=\"PLAY\"",
            &[multicast, udp((3456, 3457))],
        );
        // §10.12, §14.1, §14.2, §14.6
        offers("RTP/AVP/TCP;interleaved=0-1", &[tcp((0, 1))]);
        offers("RTP/AVP/UDP;unicast;client_port=3056-3057", &[udp((3056, 3057))]);
        let answered = TransportOffer { server_port: Some((5000, 5001)), ..udp((3056, 3057)) };
        offers("RTP/AVP/UDP;unicast;client_port=3056-3057;server_port=5000-5001", &[answered]);
        let group = TransportOffer {
            destination: Some("224.2.0.1"),
            port: Some((3456, 3457)),
            ttl: Some(16),
            ..TransportOffer::of(Protocol::RtpAvpUdp)
        };
        offers("RTP/AVP;multicast;destination=224.2.0.1; port=3456-3457;ttl=16", &[group]);
        let record = TransportOffer { mode: Mode::Record, ..udp((6000, 6001)) };
        offers("RTP/AVP;unicast;client_port=6000-6001;mode=record", &[record]);
    }

    #[test]
    fn what_clients_send() {
        offers("RTP/AVP/TCP;unicast;interleaved=0-1", &[tcp((0, 1))]); // FFmpeg, mpv, GStreamer
        offers("RTP/AVP/UDP;unicast;client_port=20654-20655", &[udp((20654, 20655))]); // FFmpeg
        offers("RTP/AVP;unicast;client_port=35392-35393", &[udp((35392, 35393))]); // GStreamer
        let ssrc = |ssrc, offer| TransportOffer { ssrc: Some(ssrc), ..offer };
        // Hikvision, as retina met it
        offers(
            "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= 4cacc3d1;mode=\"play\"",
            &[ssrc(0x4cac_c3d1, tcp((0, 1)))],
        );
        // live555 with a port alone, QuickTime with other words
        offers("RTP/AVP;unicast;client_port=6970", &[udp((6970, 6971))]);
        offers("rtp/avp/Tcp ; UNICAST ; Interleaved = 4 - 5 ; x-ice ; mode=Play", &[tcp((4, 5))]);
        // Both transports in one header, and one in another profile
        offers(
            "RTP/SAVPF;unicast,RTP/AVP/TCP;unicast;interleaved=2,RTP/AVP;unicast;client_port=8-9",
            &[
                TransportOffer {
                    delivery: Delivery::Unicast,
                    ..TransportOffer::of(Protocol::Other)
                },
                tcp((2, 3)),
                udp((8, 9)),
            ],
        );
        let record = TransportOffer { mode: Mode::Record, append: true, ..tcp((0, 1)) };
        offers("RTP/AVP/TCP;interleaved=0-1;append;mode=\"PLAY, RECORD\"", &[record]);
        let receive = TransportOffer { mode: Mode::Record, ..tcp((0, 1)) };
        offers("RTP/AVP/TCP;interleaved=0-1;mode=receive", &[receive]);
    }

    #[test]
    fn what_cannot_be_read() {
        for (text, error) in [
            ("", TransportError::Empty),
            (" , ;", TransportError::Empty),
            ("unicast", TransportError::Protocol),
            ("RTP/AVP;unicast;client_port=0-1", TransportError::Port),
            ("RTP/AVP;unicast;client_port=65535", TransportError::Port),
            ("RTP/AVP;unicast;client_port=65536-65537", TransportError::Port),
            ("RTP/AVP;unicast;client_port=5000-", TransportError::Port),
            ("RTP/AVP;unicast;client_port=-5000", TransportError::Port),
            ("RTP/AVP;unicast;client_port", TransportError::Port),
            ("RTP/AVP;unicast;client_port=5000-5001-5002", TransportError::Port),
            ("RTP/AVP/TCP;interleaved=255", TransportError::Channel),
            ("RTP/AVP/TCP;interleaved=255-256", TransportError::Channel),
            ("RTP/AVP/TCP;interleaved=x", TransportError::Channel),
            ("RTP/AVP;multicast;ttl=256", TransportError::Number),
            ("RTP/AVP;multicast;layers=-1", TransportError::Number),
        ] {
            assert_eq!(parse_offers([text]), Err(error), "{text}");
            assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        }
        offers("nonsense,RTP/AVP;client_port=0,RTP/AVP;client_port=8-9", &[udp((8, 9))]);
        let no_ssrc = "RTP/AVP/TCP;interleaved=254-255;ssrc=123456789";
        offers(no_ssrc, &[tcp((254, 255))]);
    }

    #[test]
    fn offers_of_all_headers_count_up_to_a_limit() {
        let many = "RTP/AVP;client_port=8-9,".repeat(1000);
        assert_eq!(parse_offers([many.as_str(), many.as_str()]).unwrap().len(), OFFERS_MAX);
        let both = parse_offers(["RTP/AVP;client_port=8-9", "RTP/AVP/TCP;interleaved=0-1"]);
        assert_eq!(both, Ok(vec![udp((8, 9)), tcp((0, 1))]));
    }

    #[test]
    fn the_chosen_transport_is_exactly_this() {
        let chosen =
            Transport::Udp { client_port: (20654, 20655), server_port: (6970, 6971), ssrc: 0xabc };
        assert_eq!(
            chosen.to_string(),
            "RTP/AVP;unicast;client_port=20654-20655;server_port=6970-6971;ssrc=00000ABC"
        );
        let chosen = Transport::Interleaved { channels: (0, 1), ssrc: 0xdead_beef };
        assert_eq!(chosen.to_string(), "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=DEADBEEF");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            client in 1_u16.., server in 1_u16.., ssrc: u32, rtp: u8, rtcp: u8,
        ) {
            let client_port = (client, client ^ 1);
            let server_port = (server, server ^ 1);
            prop_assume!(client_port.1 > 0 && server_port.1 > 0);
            let text = Transport::Udp { client_port, server_port, ssrc }.to_string();
            let offer = TransportOffer {
                server_port: Some(server_port),
                ssrc: Some(ssrc),
                ..udp(client_port)
            };
            prop_assert_eq!(TransportOffer::parse(&text), Ok(offer));
            let text = Transport::Interleaved { channels: (rtp, rtcp), ssrc }.to_string();
            let offer = TransportOffer { ssrc: Some(ssrc), ..tcp((rtp, rtcp)) };
            prop_assert_eq!(TransportOffer::parse(&text), Ok(offer));
        }
    }
}
