//! Transport headers of any text.

use server::rtsp::headers::{Transport, TransportOffer, parse_offers};

/// An offer's ports are ports, and what is written of it reads back.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(offers) = parse_offers([text]) else { return };
    assert!((1..=256).contains(&offers.len()));
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
