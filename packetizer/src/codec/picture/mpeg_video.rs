//! MPEG-1 and MPEG-2 video: where access units begin (ISO 11172-2 §2.4.2, 13818-2 §6.2).

use super::{FieldRate, Role, Shown};
use crate::codec::CodecConfig;
use crate::codec::mpeg_video::{
    PictureCodingExtension, PictureHeader, PictureStructure, SequenceExtension, SequenceHeader,
    code,
};

#[derive(Debug, Default)]
pub(super) struct Syntax {
    sequence: Option<SequenceHeader>,
    extension: Option<SequenceExtension>,
    /// The last picture; a field waits for the second of its frame.
    last: Option<PictureHeader>,
    is_field_open: bool,
    /// Whether a sequence or group header came after the last picture.
    is_group_new: bool,
}

impl Syntax {
    pub(super) fn role(&mut self, coded: &[u8]) -> Role {
        let Some((kind, body)) = coded.split_first() else { return Role::Other };
        match *kind {
            code::SEQUENCE => {
                let parsed = SequenceHeader::parse(body);
                self.sequence = parsed.or(self.sequence);
                self.begin_group()
            }
            code::GROUP => self.begin_group(),
            code::EXTENSION => {
                if let Some(extension) = SequenceExtension::parse(body) {
                    self.extension = Some(extension);
                } else if let Some(picture) = PictureCodingExtension::parse(body) {
                    self.is_field_open =
                        !self.is_field_open && picture.structure == PictureStructure::Field;
                }
                Role::Other
            }
            code::PICTURE => {
                PictureHeader::parse(body).map_or(Role::Other, |new| self.picture(new))
            }
            _ => Role::Other,
        }
    }

    fn begin_group(&mut self) -> Role {
        (self.is_group_new, self.is_field_open) = (true, false);
        Role::Begins
    }

    fn picture(&mut self, header: PictureHeader) -> Role {
        let before = self.last.map(|last| last.temporal_reference);
        if self.is_field_open && before == Some(header.temporal_reference) {
            return Role::More;
        }
        self.is_field_open = false;
        self.last = Some(header);
        let restarts = std::mem::take(&mut self.is_group_new);
        Role::Picture(Shown {
            order: i64::from(header.temporal_reference),
            restarts,
            sync: header.is_intra,
            fields: 2,
        })
    }

    pub(super) const fn field_rate(&self) -> Option<FieldRate> {
        let Some(sequence) = self.sequence else { return None };
        let Some((fields, seconds)) = sequence.fields_per_seconds(self.extension) else {
            return None;
        };
        Some(FieldRate { fields, seconds })
    }

    pub(super) const fn config(&self) -> Result<CodecConfig, &'static str> {
        if self.sequence.is_none() {
            return Err("MPEG video without a sequence header");
        }
        Ok(CodecConfig::MpegVideo)
    }
}
