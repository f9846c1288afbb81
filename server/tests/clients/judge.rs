//! What a client must have shown for the table to say yes.

use crate::roster::{Care, Client};
use crate::transcript::{Act, Phase, Transcript};
use std::collections::BTreeMap;

/// Pictures a second of the title.
pub(crate) const RATE: u32 = 25;
/// Pictures from one sync sample of the title to the next.
const SYNC_DISTANCE: u32 = 25;
/// Pictures that must come in a row.
const ROW: usize = 30;
/// Pictures that must come in a row at another rate.
const TRICK_ROW: usize = 8;
/// A client that leaves out pictures may leave out as many in front, after a pause, and at the end.
const LEFT_OUT_MAX: u32 = 100;
/// Seconds after PAUSE in which pictures may still come out of the decoder.
const SETTLE_SECONDS: f64 = 1.5;
/// Seconds from the last picture to the end, beyond what the client holds back.
const END_SECONDS: f64 = 5.0;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    Play,
    Seek,
    Pause,
    Trick,
    End,
}

impl Feature {
    pub(crate) const ALL: [Self; 5] = [Self::Play, Self::Seek, Self::Pause, Self::Trick, Self::End];

    /// The column's head.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Seek => "seek",
            Self::Pause => "pause, resume",
            Self::Trick => "trick play",
            Self::End => "end",
        }
    }
}

/// A cell of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Yes(Option<String>),
    No(String),
    /// The client has no such thing; says how one knows.
    Incapable(String),
}

impl Verdict {
    pub(crate) const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }

    pub(crate) const fn is_no(&self) -> bool {
        matches!(self, Self::No(_))
    }

    /// What the footnote says.
    pub(crate) fn note(&self) -> &str {
        match self {
            Self::Yes(note) => note.as_deref().unwrap_or_default(),
            Self::No(note) | Self::Incapable(note) => note,
        }
    }
}

/// Whether it plays at every rate that it was asked for: pictures in the order of time, each a sync
/// sample. What a client still held of the time before comes first, and what its decoder holds
/// back comes later.
pub(crate) fn judge_trick(transcript: &Transcript) -> Verdict {
    let mut rates = 0;
    for phase in &transcript.phases {
        let Act::Rate(rate) = phase.act else { continue };
        rates += 1;
        let numbers = phase.numbers();
        let Some(row) = numbers.len().checked_sub(TRICK_ROW).map(|start| &numbers[start..]) else {
            let notes = transcript.notes.join("; ");
            return Verdict::No(format!("{} pictures at rate {rate} {notes}", numbers.len()));
        };
        let is_step = |pair: &[u32]| {
            let step = i64::from(pair[1]) - i64::from(pair[0]);
            (step > 0) == (rate > 0.0) && pair[0].is_multiple_of(SYNC_DISTANCE)
        };
        if !row.windows(2).all(is_step) {
            return Verdict::No(format!("pictures {row:?} at rate {rate}"));
        }
    }
    if rates == 0 { Verdict::No("it did not come to that".to_owned()) } else { Verdict::Yes(None) }
}

/// The row of a client.
pub(crate) type Verdicts = BTreeMap<Feature, Verdict>;

/// Judges what a client did with a title of so many seconds.
pub(crate) fn judge(transcript: &Transcript, client: &Client, title_seconds: u32) -> Verdicts {
    let judge = Judge { transcript, care: client.care, pictures: title_seconds * RATE };
    let mut verdicts = Verdicts::new();
    for feature in Feature::ALL {
        let verdict = match (client.incapable(feature), feature) {
            (Some(Verdict::Incapable(why)), _) => Verdict::Incapable(judge.with_evidence(&why)),
            (_, Feature::Play) => judge.play().into(),
            (_, Feature::Seek) => judge.seek().into(),
            (_, Feature::Pause) => judge.pause().into(),
            (_, Feature::Trick) => continue,
            (_, Feature::End) => judge.end().into(),
        };
        verdicts.insert(feature, client.remarked(feature, verdict));
    }
    verdicts
}

impl From<Result<(), String>> for Verdict {
    fn from(found: Result<(), String>) -> Self {
        found.map_or_else(Self::No, |()| Self::Yes(None))
    }
}

struct Judge<'a> {
    transcript: &'a Transcript,
    care: Care,
    /// How many the title has.
    pictures: u32,
}

impl Judge<'_> {
    /// It began with the first picture and went on from there.
    fn play(&self) -> Result<(), String> {
        let phase = self.phase("play", |act| act == Act::Begin)?;
        let numbers = phase.numbers();
        let first = *numbers.first().ok_or_else(|| self.gave_up("no picture came"))?;
        let first_max = if self.care == Care::Every { 0 } else { LEFT_OUT_MAX };
        require(first <= first_max, || format!("began with picture {first}"))?;
        self.in_order(&numbers)
    }

    /// Each seek went to the sync sample before the time, or the one before that, and on from
    /// there. What a client still held of the time before may come first.
    fn seek(&self) -> Result<(), String> {
        let seeks: Vec<_> = self.transcript.phases.iter().filter_map(seek_target).collect();
        require(!seeks.is_empty(), || self.gave_up("it did not come to that"))?;
        for (phase, seconds) in seeks {
            let target = seconds * RATE;
            let numbers = phase.numbers();
            let lands =
                |number: &u32| (target.saturating_sub(2 * SYNC_DISTANCE)..=target).contains(number);
            let landed = numbers.iter().position(lands);
            let landed =
                landed.ok_or_else(|| self.gave_up(&format!("no picture of {seconds} s came")))?;
            let numbers = &numbers[landed..];
            let is_sync = numbers[0].is_multiple_of(SYNC_DISTANCE);
            require(is_sync || self.care == Care::Order, || {
                format!("went to picture {}, which is no sync sample", numbers[0])
            })?;
            self.in_order(numbers)?;
        }
        Ok(())
    }

    /// No picture came while it paused, and then the next one.
    fn pause(&self) -> Result<(), String> {
        let phase = self.phase("pause", |act| act == Act::Pause)?;
        let late = phase.pictures.iter().filter(|picture| picture.at > phase.at + SETTLE_SECONDS);
        let late = late.filter(|picture| picture.number.is_some()).count();
        require(late == 0, || format!("{late} pictures came while it paused"))?;
        let resumed = self.phase("resume", |act| act == Act::Resume)?;
        let numbers = resumed.numbers();
        let last = self.transcript.last_before(resumed).unwrap_or_default();
        let first = *numbers.first().ok_or_else(|| self.gave_up("no picture came after it"))?;
        let gap_max = if self.care == Care::Every { 1 } else { LEFT_OUT_MAX };
        require((last..=last + gap_max).contains(&first), || {
            format!("went from picture {last} to {first}")
        })?;
        self.in_order(&numbers)
    }

    /// It saw the last picture, and said soon after that the title has ended.
    fn end(&self) -> Result<(), String> {
        let phase = self.transcript.phases.iter().find(|phase| phase.end.is_some());
        let phase = phase.ok_or_else(|| self.gave_up("it did not find the end"))?;
        let end = phase.end.unwrap_or_default();
        let last = phase.pictures.iter().rfind(|picture| picture.number.is_some());
        let last = last.ok_or("it found the end before a picture")?;
        let number = last.number.unwrap_or_default();
        let left_out_max = if self.care == Care::Every { 1 } else { LEFT_OUT_MAX };
        require(number + left_out_max >= self.pictures, || {
            format!("it found the end after picture {number} of {}", self.pictures)
        })?;
        let took = end - last.at;
        require(took < END_SECONDS, || format!("it found the end {took:.1} s late"))
    }

    fn phase(&self, what: &str, is_it: impl Fn(Act) -> bool) -> Result<&Phase, String> {
        let phase = self.transcript.phase(is_it);
        phase.ok_or_else(|| self.gave_up(&format!("it did not come to {what}")))
    }

    /// Enough of them, ascending, and none left out unless the client does that.
    fn in_order(&self, numbers: &[u32]) -> Result<(), String> {
        let few = numbers.len();
        require(few >= ROW, || self.gave_up(&format!("{few} pictures came")))?;
        let step_max = if self.care == Care::Every { 1 } else { LEFT_OUT_MAX };
        let wrong = numbers.windows(2).find(|pair| {
            let step = i64::from(pair[1]) - i64::from(pair[0]);
            !(1..=i64::from(step_max)).contains(&step)
        });
        let wrong = wrong.map(|pair| format!("picture {} came after {}", pair[1], pair[0]));
        wrong.map_or(Ok(()), Err)
    }

    /// What went wrong, with what the driver said about it.
    fn gave_up(&self, what: &str) -> String {
        let said = self.transcript.notes.first();
        said.map_or_else(|| what.to_owned(), |said| format!("{what}: {said}"))
    }

    fn with_evidence(&self, what: &str) -> String {
        let said = self.transcript.evidence.as_ref();
        said.map_or_else(|| what.to_owned(), |said| format!("{what}: `{said}`"))
    }
}

fn seek_target(phase: &Phase) -> Option<(&Phase, u32)> {
    if let Act::Seek(seconds) = phase.act { Some((phase, seconds)) } else { None }
}

fn require(is_so: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what()) }
}

#[test]
fn a_client_is_judged_by_its_pictures() {
    use Feature::{End, Pause, Play, Seek};
    let run =
        |from: u32, to: u32| (from..to).map(|n| format!("2 picture {n}\n")).collect::<String>();
    let well = [
        format!("1 begin\n{}", run(0, 60)),
        format!("3 seek 20\n{}{}", run(60, 63), run(500, 550)),
        "4 pause\n4.1 picture 550\n".to_owned(),
        format!("9 resume\n{}", run(551, 600)),
        format!("9 seek 37\n{}12 end\n", run(925, 1000).replace("2 p", "11 p")),
    ];
    let with = |place: usize, text: String| {
        let mut lines = well.clone();
        lines[place] = text;
        lines.concat()
    };
    for (name, text, failing) in [
        ("all is well", well.concat(), &[][..]),
        ("begins late", with(0, format!("1 begin\n{}", run(5, 60))), &[Play]),
        ("few pictures", with(0, format!("1 begin\n{}", run(0, 9))), &[Play]),
        ("one left out", with(0, format!("1 begin\n{}{}", run(0, 40), run(41, 60))), &[Play]),
        ("not from a sync sample", with(1, format!("3 seek 20\n{}", run(490, 551))), &[Seek]),
        ("never gets there", with(1, format!("3 seek 20\n{}", run(60, 440))), &[Seek]),
        ("does not stop", with(2, format!("4 pause\n{}", "7 picture 550\n")), &[Pause]),
        ("resumes elsewhere", with(3, format!("9 resume\n{}", run(575, 625))), &[Pause]),
        ("ends early", with(4, format!("9 seek 37\n{}12 end\n", run(925, 990))), &[End]),
        ("ends late", with(4, format!("9 seek 37\n{}19 end\n", run(925, 1000))), &[End]),
        ("does not end", with(4, format!("9 seek 37\n{}", run(925, 1000))), &[End]),
        ("nothing", String::new(), &[Play, Seek, Pause, End]),
    ] {
        let verdicts = judge(&Transcript::parse(&text, 1000), crate::roster::any(), 40);
        let no: Vec<Feature> =
            verdicts.iter().filter(|(_, verdict)| verdict.is_no()).map(|(what, _)| *what).collect();
        assert_eq!(no, failing, "{name}: {verdicts:?}");
    }
}

#[test]
fn trick_play_is_judged_by_its_order() {
    let run = |numbers: &[u32]| -> String {
        numbers.iter().map(|number| format!("2 picture {number}\n")).collect()
    };
    let forward: Vec<u32> = (20..30).map(|second| second * 25).collect();
    let back: Vec<u32> = forward.iter().rev().copied().collect();
    let between: Vec<u32> = forward.iter().map(|number| number + 1).collect();
    for (name, text, is_yes) in [
        ("both ways", format!("1 rate 4\n{}3 rate -2\n{}", run(&forward), run(&back)), true),
        (
            "what it held comes first",
            format!("1 rate -2\n{}{}", run(&[700, 725]), run(&back)),
            true,
        ),
        ("back is shown forward", format!("1 rate -2\n{}", run(&forward)), false),
        ("forward is shown back", format!("1 rate 4\n{}", run(&back)), false),
        ("no sync samples", format!("1 rate 4\n{}", run(&between)), false),
        ("too few", format!("1 rate 4\n{}", run(&forward[..4])), false),
        ("not asked for", "1 begin\n".to_owned(), false),
    ] {
        let verdict = judge_trick(&Transcript::parse(&text, 1000));
        assert_eq!(verdict.is_yes(), is_yes, "{name}: {verdict:?}");
    }
}
