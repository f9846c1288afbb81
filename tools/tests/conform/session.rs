//! A session of the scripted server: frames on a clock, with reports.

use crate::scripted_server::{Fault, World};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tools::clock::{Clock, MonoTime};

pub(crate) const TITLE_SECONDS: u32 = 30;
pub(crate) const FRAMES_PER_SECOND: u32 = 50;
/// Bytes and ticks of a frame.
const FRAME: u32 = 160;
const FRAME_NANOS: u64 = 20_000_000;

pub(crate) struct Session {
    world: Arc<World>,
    writer: Arc<Mutex<TcpStream>>,
    channel: u8,
    clock: Clock,
    play: Mutex<Play>,
}

struct Play {
    is_playing: bool,
    has_ended: bool,
    /// The next frame, and the one that is not played any more.
    frame: u32,
    end: u32,
    /// When the next frame is due.
    due: MonoTime,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    packets: u32,
    since_cue: u32,
    /// A report is due.
    reports: bool,
    /// Some packets of before a seek, still to be sent.
    stale: Vec<Vec<u8>>,
}

impl Session {
    pub(crate) fn open(world: Arc<World>, writer: Arc<Mutex<TcpStream>>, channel: u8) -> Arc<Self> {
        let clock = Clock::start();
        let play = Mutex::new(Play {
            is_playing: false,
            has_ended: false,
            frame: 0,
            end: TITLE_SECONDS * FRAMES_PER_SECOND,
            due: clock.now(),
            sequence: fastrand::u16(2..),
            timestamp: fastrand::u32(1..),
            ssrc: fastrand::u32(..),
            packets: 0,
            since_cue: 0,
            reports: false,
            stale: Vec::new(),
        });
        let session = Arc::new(Self { world, writer, channel, clock, play });
        let sender = Arc::clone(&session);
        std::thread::spawn(move || sender.send_in_time());
        session
    }

    pub(crate) fn announced_ssrc(&self) -> u32 {
        let other = u32::from(self.world.has(Fault::SsrcOther));
        self.play.lock().unwrap().ssrc.wrapping_add(other)
    }

    /// Moves to a range, or goes on; start and end in seconds, number and time of the first packet.
    pub(crate) fn cue(&self, range: Option<(u32, u32)>) -> (f64, f64, u16, u32) {
        let mut play = self.play.lock().unwrap();
        if let Some((first, last)) = range {
            (play.frame, play.end) = (first, last);
            play.is_playing = false;
            if play.packets > 0 {
                self.disturb(&mut play);
            }
        } else if play.frame >= play.end {
            let whole = TITLE_SECONDS * FRAMES_PER_SECOND;
            play.frame = if play.end < whole { play.end } else { 0 };
            play.end = whole;
        } else if self.world.has(Fault::ResumesAtStart) && !play.is_playing {
            play.frame = 0;
        }
        let seconds = |frame: u32| f64::from(frame) / f64::from(FRAMES_PER_SECOND);
        let high = u16::from(self.world.has(Fault::InfoOneTooHigh));
        let sequence = play.sequence.wrapping_add(high);
        (seconds(play.frame), seconds(play.end), sequence, play.timestamp)
    }

    /// What goes wrong at a seek.
    fn disturb(&self, play: &mut Play) {
        match self.world.fault {
            Some(Fault::OldPacketsAfterSeek) => {
                for back in [2, 1] {
                    let mut old = self.packet(play);
                    let sequence = play.sequence.wrapping_sub(back);
                    old[6..8].copy_from_slice(&sequence.to_be_bytes());
                    play.stale.push(old);
                }
            }
            Some(Fault::SequenceRestarts) => play.sequence = play.sequence.wrapping_add(1000),
            Some(Fault::TimestampsJump) => play.timestamp = play.timestamp.wrapping_add(8000 * 60),
            Some(Fault::SsrcChanges) => play.ssrc = play.ssrc.wrapping_add(1),
            _ => {}
        }
    }

    /// The reply is out.
    pub(crate) fn start(&self) {
        let mut play = self.play.lock().unwrap();
        if !play.is_playing {
            play.is_playing = true;
            play.due = self.clock.now();
            play.reports = true;
            play.since_cue = 0;
        }
    }

    pub(crate) fn pause(&self) {
        self.play.lock().unwrap().is_playing = false;
    }

    pub(crate) fn end(&self) {
        let mut play = self.play.lock().unwrap();
        (play.is_playing, play.has_ended) = (false, true);
    }

    /// Somebody else's seek.
    pub(crate) fn move_to(&self, range: Option<(u32, u32)>) {
        let mut play = self.play.lock().unwrap();
        play.frame = range.map_or(0, |(first, _)| first);
        play.timestamp = play.timestamp.wrapping_add(8000 * 5);
    }

    /// Sends the next packet, whatever the time.
    pub(crate) fn send_one(&self) {
        let play = self.play.lock().unwrap();
        let _ = self.writer.lock().unwrap().write_all(&self.packet(&play));
    }

    #[allow(clippy::disallowed_methods, reason = "a server that keeps time")]
    fn send_in_time(&self) {
        loop {
            std::thread::sleep(Duration::from_millis(4));
            // In the order in which a request takes them.
            let mut writer = self.writer.lock().unwrap();
            let mut play = self.play.lock().unwrap();
            if play.has_ended {
                return;
            }
            while play.is_playing && self.clock.now() >= play.due {
                let bytes = self.next(&mut play);
                if writer.write_all(&bytes).is_err() {
                    return;
                }
            }
        }
    }

    /// What is due: old packets, a report, a frame, or the end.
    fn next(&self, play: &mut Play) -> Vec<u8> {
        if !play.stale.is_empty() {
            return play.stale.remove(0);
        }
        if play.reports || play.since_cue == 150 {
            (play.reports, play.since_cue) = (false, play.since_cue + 1);
            return if self.world.has(Fault::NoReports) {
                Vec::new()
            } else {
                self.report(play, false)
            };
        }
        if play.frame >= play.end && !self.world.has(Fault::RangeEndIgnored) {
            play.is_playing = false;
            let is_wanted = !self.world.has(Fault::NoBye);
            return if is_wanted { self.report(play, true) } else { Vec::new() };
        }
        let bytes = self.packet(play);
        play.frame += 1;
        play.packets += 1;
        play.since_cue += 1;
        play.sequence = play.sequence.wrapping_add(1);
        play.timestamp = play.timestamp.wrapping_add(FRAME);
        let interval = if self.world.has(Fault::TooFast) { FRAME_NANOS / 3 } else { FRAME_NANOS };
        play.due = MonoTime(play.due.0 + interval);
        if self.world.has(Fault::PacketLost) && play.packets == 12 { Vec::new() } else { bytes }
    }

    fn packet(&self, play: &Play) -> Vec<u8> {
        let payload_type = if self.world.has(Fault::PayloadTypeOther) { 8 } else { 0 };
        let length = u16::try_from(12 + FRAME).unwrap().to_be_bytes();
        let mut bytes = vec![b'$', self.channel, length[0], length[1], 0x80, payload_type];
        bytes.extend(play.sequence.to_be_bytes());
        bytes.extend(play.timestamp.to_be_bytes());
        bytes.extend(play.ssrc.to_be_bytes());
        bytes.extend(play.frame.to_be_bytes().iter().cycle().take(FRAME as usize));
        bytes
    }

    /// A sender report and a description, with BYE at the end.
    fn report(&self, play: &Play, bye: bool) -> Vec<u8> {
        // The instant of the next frame.
        let ntp = self.clock.wallclock().ntp(play.due).0;
        let wrong = u32::from(self.world.has(Fault::CountsWrong)) * 7;
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(play.ssrc.to_be_bytes());
        packet.extend(ntp.to_be_bytes());
        packet.extend(play.timestamp.to_be_bytes());
        packet.extend((play.packets + wrong).to_be_bytes());
        packet.extend((play.packets * FRAME).to_be_bytes());
        if !self.world.has(Fault::NoDescription) {
            packet.extend([0x81, 202, 0, 4]);
            packet.extend(play.ssrc.to_be_bytes());
            packet.extend(b"\x01\x08scripted\0\0");
        }
        if bye {
            packet.extend([0x81, 203, 0, 1]);
            packet.extend(play.ssrc.to_be_bytes());
        }
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&[b'$', self.channel + 1, length[0], length[1]], &packet[..]].concat()
    }
}
