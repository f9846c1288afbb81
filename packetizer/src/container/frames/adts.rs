//! AAC in ADTS (ISO 14496-3 §1.A.2): access units with a header each, which is left out.

use super::{Header, Role};
use crate::codec::CodecConfig;
use crate::codec::aac::AdtsHeader;
use crate::index::SkipReason;
use crate::time::ClockRate;

impl Header for AdtsHeader {
    const FRAME_BYTES_MAX: u32 = Self::FRAME_BYTES_MAX;
    const SYNC_BYTE: u8 = 0xff;

    fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn frame_bytes(&self) -> u32 {
        self.frame_bytes
    }

    fn left_out_bytes(&self) -> u32 {
        self.header_bytes
    }

    fn role(&self, first: &Self) -> Role {
        let is_alike = self.audio_specific_config == first.audio_specific_config
            && self.unit_count == first.unit_count;
        if is_alike { Role::Unit } else { Role::Foreign }
    }

    fn codec(&self) -> Result<CodecConfig, SkipReason> {
        if self.unit_count != 1 {
            return Err(SkipReason::Codec("AAC with several access units in an ADTS frame".into()));
        }
        self.config().map(CodecConfig::Aac).map_err(|error| SkipReason::Config(error.0))
    }

    fn sample_rate(&self) -> Option<ClockRate> {
        self.config().ok().map(|config| config.rtp_rate)
    }

    fn samples(&self) -> u32 {
        1024
    }
}
