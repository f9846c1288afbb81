//! How big a viewer's packets may be.

use crate::limits::{PACKET_BYTES_CLASSES, PACKET_BYTES_MAX_IPV6, PACKET_BYTES_MIN};
use crate::rtsp::headers::Blocksize;
use packetizer::codec::CodecConfig;
use packetizer::image::{Framing, PayloadClass};
use packetizer::rtp;
use std::iter;
use std::net::IpAddr;

/// The payload classes of a viewer's streams, by how they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PayloadSizes {
    datagram: PayloadClass,
    interleaved: PayloadClass,
    /// Packets that cannot be cut are too big for datagrams.
    is_too_big: bool,
}

impl PayloadSizes {
    /// Packets are as big as configured, but not bigger than an Ethernet frame carries to `peer`
    /// and, as datagrams, than `path_mtu` (an IP packet, headers included) carries whole; or of the
    /// class below what Blocksize asks for. Who asks for less than the least gets that (RFC 2326
    /// §12.7: the server may override it).
    pub(super) fn choose(
        configured: PayloadClass,
        peer: IpAddr,
        path_mtu: Option<u32>,
        blocksize: Option<Blocksize>,
    ) -> Self {
        let headers = UDP_HEADER_BYTES + if peer.is_ipv6() { 40 } else { 20 };
        let configured = match peer {
            IpAddr::V6(_) => configured.packet_bytes_max.min(PACKET_BYTES_MAX_IPV6),
            IpAddr::V4(_) => configured.packet_bytes_max,
        };
        let asked = blocksize.map_or(usize::MAX, |Blocksize(payload)| {
            usize::try_from(payload).unwrap_or(usize::MAX).saturating_add(rtp::HEADER_BYTES)
        });
        let carried = path_mtu.map_or(usize::MAX, |mtu| {
            usize::try_from(mtu.saturating_sub(headers)).unwrap_or(usize::MAX)
        });
        let class = |most: usize| {
            let fits = |bytes: &u16| usize::from(*bytes) <= most;
            let packet_bytes_max = iter::once(configured)
                .chain(PACKET_BYTES_CLASSES)
                .find(fits)
                .unwrap_or(PACKET_BYTES_MIN);
            PayloadClass { packet_bytes_max: packet_bytes_max.min(configured) }
        };
        let (datagram, interleaved) = (class(asked.min(carried)), class(asked));
        Self { datagram, interleaved, is_too_big: false }
    }

    /// Those for a track of this codec. Packets that a hint track plans are as big as they are:
    /// what is too big for a datagram still goes in a connection.
    pub(super) const fn for_codec(self, codec: &CodecConfig) -> Self {
        let CodecConfig::Hinted(config) = codec else { return self };
        let planned = PayloadClass { packet_bytes_max: config.packet_bytes };
        let is_too_big = config.packet_bytes > self.datagram.packet_bytes_max;
        Self { datagram: planned, interleaved: planned, is_too_big }
    }

    /// Whether a stream may travel so.
    pub(super) fn allow(&self, framing: Framing) -> bool {
        framing != Framing::Datagram || !self.is_too_big
    }

    /// The class of a stream that travels so.
    pub(super) const fn of(&self, framing: Framing) -> PayloadClass {
        match framing {
            Framing::Datagram => self.datagram,
            Framing::Interleaved => self.interleaved,
        }
    }
}

const UDP_HEADER_BYTES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use packetizer::codec::hinted::HintedConfig;
    use packetizer::time::ClockRate;

    #[test]
    fn packets_are_as_big_as_everybody_takes() {
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        for (configured, peer, path_mtu, blocksize, datagram, interleaved) in [
            (1400, v4, None, None, 1400, 1400),
            (1472, v4, Some(1500), None, 1472, 1472),
            (1472, v6, Some(1500), None, 1452, 1452),
            (1400, v4, Some(65_536), None, 1400, 1400),
            (1400, v4, Some(1428), None, 1400, 1400),
            (1400, v4, Some(1427), None, 1200, 1400),
            (1400, v6, Some(1448), None, 1400, 1400),
            (1400, v6, Some(1447), None, 1200, 1400),
            (1400, v4, Some(1280), None, 1200, 1400),
            (1400, v6, Some(1280), None, 1200, 1400),
            (1400, v4, Some(1200), None, 800, 1400),
            (1400, v4, Some(576), None, 512, 1400),
            (1400, v4, Some(0), None, 512, 1400),
            (1400, v4, Some(1280), Some(1000), 800, 800),
            (1400, v4, Some(900), Some(1300), 800, 1200),
            (1400, v4, None, Some(1388), 1400, 1400),
            (1400, v4, None, Some(1387), 1200, 1200),
            (1400, v4, None, Some(1), 512, 512),
            (700, v4, Some(1280), Some(1000), 700, 700),
        ] {
            let configured = PayloadClass { packet_bytes_max: configured };
            let sizes = PayloadSizes::choose(
                configured,
                peer.parse().unwrap(),
                path_mtu,
                blocksize.map(Blocksize),
            );
            let bytes = [Framing::Datagram, Framing::Interleaved]
                .map(|framing| sizes.of(framing).packet_bytes_max);
            assert_eq!(bytes, [datagram, interleaved], "{peer} {path_mtu:?} {blocksize:?}");
        }
    }
    #[test]
    fn planned_packets_are_as_big_as_they_are() {
        let codec = |packet_bytes| {
            CodecConfig::Hinted(HintedConfig {
                is_video: true,
                static_type: None,
                encoding: "X-SV3V-ES".into(),
                rtp_rate: ClockRate::VIDEO,
                channels: None,
                parameters: None,
                attributes: [].into(),
                packet_bytes,
            })
        };
        for (configured, path_mtu, packet_bytes, in_datagrams) in [
            (1400, None, 1400, true),
            (1400, None, 1401, false),
            (1472, None, 1472, true),
            (1472, Some(1499), 1472, false),
            (1400, Some(1280), 1200, true),
        ] {
            let configured = PayloadClass { packet_bytes_max: configured };
            let peer = "192.0.2.1".parse().unwrap();
            let sizes = PayloadSizes::choose(configured, peer, path_mtu, None);
            assert!(sizes.for_codec(&CodecConfig::Vp8) == sizes && sizes.allow(Framing::Datagram));
            let sizes = sizes.for_codec(&codec(packet_bytes));
            assert_eq!(sizes.allow(Framing::Datagram), in_datagrams, "{path_mtu:?} {packet_bytes}");
            assert!(sizes.allow(Framing::Interleaved));
            assert_eq!(sizes.of(Framing::Interleaved).packet_bytes_max, packet_bytes);
        }
    }
}
