//! AAC in AudioSyncStreams (LOAS; ISO 14496-3 §1.7.2) as an elementary stream: what the
//! AudioMuxElements hold of it.

use crate::codec::CodecConfig;
use crate::codec::latm::StreamMux;
use crate::time::ClockRate;
use crate::wrapping::latm::MuxElements;

/// Bytes of syncword and length.
pub(super) const HEADER_BYTES: usize = 3;

/// The length of the frame that `bytes` begin with, header included.
pub(in crate::container) fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let [0x56, high, low, ..] = *bytes else { return None };
    let length = usize::from(u16::from_be_bytes([high & 0x1f, low]));
    (high & 0xe0 == 0xe0 && length > 0).then_some(HEADER_BYTES + length)
}

/// What the elements so far have told. The stream is what the first configuration says; elements
/// before it, and of others, are left out.
#[derive(Debug, Default)]
pub(super) struct Elements {
    mux: Option<StreamMux>,
    /// Why the first configuration cannot be delivered.
    refused: Option<&'static str>,
    /// Whether the last configuration is not the first.
    is_other: bool,
    has_others: bool,
}

/// What is in an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Bytes of its access unit; 0 if it is left out.
    pub(super) media_bytes: u32,
    /// Samples that it lasts; 0 if that is not known.
    pub(super) samples: u32,
    pub(super) sample_rate: ClockRate,
}

impl Elements {
    pub(super) fn take(&mut self, element: &[u8]) -> Element {
        match (StreamMux::parse(element).transpose(), &self.mux) {
            (Ok(Some(mux)), None) => self.mux = Some(mux),
            (Ok(Some(mux)), Some(first)) => self.is_other = mux != *first,
            (Err(error), None) => self.refused = self.refused.or(Some(error.0)),
            (Err(_), Some(_)) => self.is_other = true,
            (Ok(None), _) => {}
        }
        self.has_others |= self.is_other;
        let Some(mux) = &self.mux else {
            return Element { media_bytes: 0, samples: 0, sample_rate: ClockRate::VIDEO };
        };
        let found = self.wrapped().filter(|_| !self.is_other).and_then(|it| it.find(element));
        Element {
            media_bytes: found.and_then(|(_, bytes)| u32::try_from(bytes).ok()).unwrap_or(0),
            samples: u32::from(mux.config.unit_samples),
            sample_rate: mux.config.rtp_rate,
        }
    }

    /// How access units lie in elements, once a configuration has told.
    pub(super) fn wrapped(&self) -> Option<MuxElements> {
        self.mux.as_ref().map(|mux| MuxElements { config_bits: mux.bits })
    }

    pub(super) fn config(&self) -> Result<CodecConfig, &'static str> {
        let why = self.refused.unwrap_or("no frame tells its configuration");
        self.mux.as_ref().map(|mux| CodecConfig::Aac(mux.config.clone())).ok_or(why)
    }

    /// Whether elements of other configurations were left out.
    pub(super) const fn has_others(&self) -> bool {
        self.has_others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with the configuration of AAC-LC at 44.1 kHz, and one without, with an access
    /// unit of 4 and of 2 bytes.
    const WITH: [u8; 11] = [0x20, 0, 0x12, 0x10, 0x1f, 0xe0, 0x20, 0x08, 0x10, 0x18, 0x20];
    const WITHOUT: [u8; 4] = [0x81, 0x04, 0x82, 0x80];

    #[test]
    fn elements_are_of_the_first_configuration_or_left_out() {
        let mut other = WITH;
        other[3] ^= 0x80; // another sampling rate
        let layers = [0x20, 0x01, 0x12, 0x10, 0, 0, 0];
        let mut elements = Elements::default();
        assert_eq!(elements.config(), Err("no frame tells its configuration"));
        for (element, media_bytes, samples, has_others) in [
            (&WITHOUT[..], 0, 0, false),
            (&WITH, 4, 1024, false),
            (&WITHOUT, 2, 1024, false),
            (&WITHOUT[..3], 0, 1024, false), // cut short
            (&other, 0, 1024, true),
            (&WITHOUT, 0, 1024, true),
            (&WITH, 4, 1024, true),
            (&layers, 0, 1024, true),
            (&WITH, 4, 1024, true),
        ] {
            let found = elements.take(element);
            assert_eq!((found.media_bytes, found.samples), (media_bytes, samples), "{element:x?}");
            assert_eq!(elements.has_others(), has_others, "{element:x?}");
        }
        let CodecConfig::Aac(config) = elements.config().unwrap() else { panic!("AAC") };
        assert_eq!(config.audio_specific_config, [0x12, 0x10]);
        let mut refused = Elements::default();
        assert_eq!(refused.take(&layers).samples, 0);
        let why = refused.config().unwrap_err();
        assert!(why.contains("programmes or layers"), "{why}");
        assert_eq!(refused.take(&WITH).media_bytes, 4, "what follows may be delivered");
    }

    #[test]
    fn frames_tell_their_length() {
        for (bytes, expected) in [
            (&[0x56, 0xe0, 4, 9][..], Some(7)),
            (&[0x56, 0xff, 0xff], Some(3 + 0x1fff)),
            (&[0x56, 0xe0, 0], None),
            (&[0x56, 0xc0, 4], None),
            (&[0x56, 0xe0], None),
            (&[0x57, 0xe0, 4], None),
        ] {
            assert_eq!(frame_bytes(bytes), expected, "{bytes:x?}");
        }
    }
}
