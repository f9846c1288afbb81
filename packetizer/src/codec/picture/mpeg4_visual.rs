//! MPEG-4 Visual: where access units begin and the order of display (ISO 14496-2 §6.2, §6.3.5).

use super::{FieldRate, Role, Shown};
use crate::codec::mpeg4_visual::{Layer, Mpeg4VisualConfig, Plane, code};

/// Bytes of headers that are kept at most.
const HEADERS_BYTES_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Syntax {
    layer: Option<Layer>,
    profile_level: Option<u8>,
    /// The headers in front of the first picture.
    headers: Vec<u8>,
    has_pictures: bool,
    /// Seconds of the last picture that is no B-VOP, and of the one before.
    seconds: i64,
    seconds_before: i64,
    /// The least difference of two pictures' times, which is a picture's duration.
    increment: Option<i64>,
    last_order: Option<i64>,
}

impl Syntax {
    pub(super) fn role(&mut self, coded: &[u8]) -> Role {
        let Some((kind, body)) = coded.split_first() else { return Role::Other };
        if code::OBJECT.contains(kind) || code::LAYER.contains(kind) {
            self.keep_header(coded);
            if code::LAYER.contains(kind) {
                self.layer = Layer::parse(body).or(self.layer);
            }
            return Role::Begins;
        }
        match *kind {
            code::SEQUENCE => {
                self.profile_level = body.first().copied().or(self.profile_level);
                self.keep_header(coded);
                Role::Begins
            }
            code::VISUAL_OBJECT => {
                self.keep_header(coded);
                Role::Begins
            }
            code::GROUP | code::USER_DATA => Role::Begins,
            code::PICTURE => self.picture(body),
            _ => Role::Other,
        }
    }

    fn keep_header(&mut self, coded: &[u8]) {
        if !self.has_pictures && self.headers.len() + coded.len() + 3 <= HEADERS_BYTES_MAX {
            self.headers.extend_from_slice(&[0, 0, 1]);
            self.headers.extend_from_slice(coded);
        }
    }

    fn picture(&mut self, body: &[u8]) -> Role {
        let layer = self.layer.unwrap_or(Layer { ticks_per_second: 1, fixed_increment: None });
        let Some(plane) = Plane::parse(body, layer) else { return Role::Other };
        let base = if plane.is_bidirectional { self.seconds_before } else { self.seconds };
        let seconds = base + i64::from(plane.seconds);
        if !plane.is_bidirectional {
            (self.seconds_before, self.seconds) = (self.seconds, seconds);
        }
        let order = seconds * i64::from(layer.ticks_per_second) + i64::from(plane.increment);
        if let Some(last) = self.last_order.replace(order).filter(|last| *last != order) {
            let apart = (order - last).abs();
            self.increment = Some(self.increment.map_or(apart, |least| least.min(apart)));
        }
        let restarts = !std::mem::replace(&mut self.has_pictures, true);
        Role::Picture(Shown { order, restarts, sync: plane.is_intra, fields: 2 })
    }

    pub(super) fn field_rate(&self) -> Option<FieldRate> {
        let layer = self.layer?;
        let increment = layer.fixed_increment.map(i64::from).or(self.increment)?;
        let ticks = u64::from(layer.ticks_per_second) * 2;
        FieldRate::plausible(ticks, u64::try_from(increment).ok()?)
    }

    pub(super) fn config(&self) -> Result<Mpeg4VisualConfig, &'static str> {
        if self.layer.is_none() {
            return Err("MPEG-4 Visual without a video object layer");
        }
        let profile_level = self.profile_level.unwrap_or(1);
        Ok(Mpeg4VisualConfig { profile_level, headers: self.headers.clone() })
    }
}
