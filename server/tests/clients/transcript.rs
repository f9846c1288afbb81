//! What a driver saw its client do; the format is described in `drive.py`.

/// What the driver asked of its client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Begin,
    /// To a position, in seconds.
    Seek(u32),
    Pause,
    Resume,
    /// Play at another speed.
    Rate(f64),
}

/// A picture that came out of the decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Picture {
    /// Seconds since the driver's start.
    pub(crate) at: f64,
    /// Its number in the title; `None` for one that carries none.
    pub(crate) number: Option<u32>,
}

/// What followed on one act.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) act: Act,
    /// Seconds since the driver's start.
    pub(crate) at: f64,
    pub(crate) pictures: Vec<Picture>,
    /// When the client found that the title has ended.
    pub(crate) end: Option<f64>,
}

impl Phase {
    /// The numbers of its pictures, without repetitions and those that carry none.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> =
            self.pictures.iter().filter_map(|picture| picture.number).collect();
        numbers.dedup();
        numbers
    }
}

/// All that a driver said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transcript {
    pub(crate) phases: Vec<Phase>,
    pub(crate) notes: Vec<String>,
    /// What the client says of something that it cannot do.
    pub(crate) evidence: Option<String>,
}

impl Transcript {
    /// Reads a driver's output; lines that are not of the format are skipped. A picture made up by
    /// a decoder that lacks others carries a number that the title, of so many pictures, has not.
    pub(crate) fn parse(text: &str, title_pictures: u32) -> Self {
        let mut transcript = Self::default();
        for line in text.lines() {
            let Some((at, rest)) = line.split_once(' ') else { continue };
            let Ok(at) = at.parse::<f64>() else { continue };
            transcript.take(at, rest, title_pictures);
        }
        transcript
    }

    /// Takes one line; also for clients that are driven in-process.
    pub(crate) fn take(&mut self, at: f64, line: &str, title_pictures: u32) {
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        let act = match word {
            "begin" => Some(Act::Begin),
            "seek" => argument.parse().ok().map(Act::Seek),
            "pause" => Some(Act::Pause),
            "resume" => Some(Act::Resume),
            "rate" => argument.parse().ok().map(Act::Rate),
            _ => None,
        };
        if let Some(act) = act {
            self.phases.push(Phase { act, at, pictures: Vec::new(), end: None });
        }
        match (word, self.phases.last_mut()) {
            ("picture", Some(phase)) => {
                let number = argument.parse().ok().filter(|number| *number < title_pictures);
                phase.pictures.push(Picture { at, number });
            }
            ("end", Some(phase)) => phase.end = Some(at),
            ("note", _) => self.notes.push(argument.to_owned()),
            ("evidence", _) => {
                self.evidence.get_or_insert_with(|| argument.to_owned());
            }
            _ => {}
        }
    }

    /// The first phase of this act.
    pub(crate) fn phase(&self, is_it: impl Fn(Act) -> bool) -> Option<&Phase> {
        self.phases.iter().find(|phase| is_it(phase.act))
    }

    /// The number of the last picture before this phase.
    pub(crate) fn last_before(&self, phase: &Phase) -> Option<u32> {
        let before = self.phases.iter().take_while(|earlier| earlier.at < phase.at);
        before.flat_map(Phase::numbers).last()
    }
}

#[test]
fn a_transcript_is_read() {
    let text = "0.1 begin\n0.5 picture 0\n0.6 picture 0\n0.6 picture -1\n0.6 picture 8191\n0.7 picture 2\n\
        garbage\n1.0 seek 20\n1.1 picture 500\n1.2 end\n1.3 note it said so\n";
    let transcript = Transcript::parse(text, 1000);
    assert_eq!(transcript.phases.len(), 2);
    assert_eq!(transcript.phases[0].numbers(), [0, 2]);
    let seek = transcript.phase(|act| act == Act::Seek(20)).unwrap();
    assert_eq!((seek.numbers(), seek.end), (vec![500], Some(1.2)));
    assert_eq!(transcript.last_before(seek), Some(2));
    assert_eq!(transcript.notes, ["it said so"]);
}
