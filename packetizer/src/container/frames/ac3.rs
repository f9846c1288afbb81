//! AC-3 and Enhanced AC-3 (ETSI TS 102 366): substreams of the same time are one access unit.

use super::{Header, Role};
use crate::codec::CodecConfig;
use crate::codec::ac3::{FRAME_BYTES_MAX, SyncFrame};
use crate::index::SkipReason;
use crate::time::ClockRate;

impl Header for SyncFrame {
    const FRAME_BYTES_MAX: u32 = FRAME_BYTES_MAX;
    const SYNC_BYTE: u8 = 0x0b;

    fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn frame_bytes(&self) -> u32 {
        self.bytes
    }

    /// AC-3 that Enhanced AC-3 substreams extend is delivered without them: its payload format has
    /// no place for them (RFC 4184 §4).
    fn role(&self, first: &Self) -> Role {
        if self.sample_rate != first.sample_rate {
            Role::Foreign
        } else if self.is_dependent && first.is_dependent {
            Role::LeftOut
        } else if self.is_dependent && first.is_enhanced {
            Role::Continuation
        } else if self.is_dependent {
            Role::LeftOut
        } else if self.is_enhanced == first.is_enhanced && self.samples == first.samples {
            Role::Unit
        } else {
            Role::Foreign
        }
    }

    fn codec(&self) -> Result<CodecConfig, SkipReason> {
        let config = self.config();
        Ok(if self.is_enhanced { CodecConfig::EAc3(config) } else { CodecConfig::Ac3(config) })
    }

    fn sample_rate(&self) -> Option<ClockRate> {
        Some(self.sample_rate)
    }

    fn samples(&self) -> u32 {
        u32::from(self.samples)
    }
}
