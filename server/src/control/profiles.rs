//! Clients that are treated differently from others, and how: a row a client, known by what its
//! User-Agent starts with. Whatever serves all needs no row. Each can be switched off
//! (`--no-profile`).

use crate::config::ProfileName;

/// What is different for a client; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deviations {
    /// It answers REDIRECT, by 200. Others answer any request of a server by 405 (live555,
    /// ExoPlayer, which even changes its CSeq) or 501 (FFmpeg), or not at all.
    pub(super) answers_redirect: bool,
    /// Interleaved media comes to it in its time, none of it ahead: while it waits for the reply
    /// to a request, PAUSE for one, it throws away all media that comes before it.
    pub(super) takes_media_in_time: bool,
}

struct Profile {
    name: ProfileName,
    /// What its User-Agent starts with.
    agent: &'static str,
    deviations: Deviations,
}

const PROFILES: [Profile; 2] = [
    Profile {
        name: ProfileName::Ffmpeg,
        agent: "Lavf",
        deviations: Deviations { answers_redirect: false, takes_media_in_time: true },
    },
    Profile {
        name: ProfileName::Gstreamer,
        agent: "GStreamer/",
        deviations: Deviations { answers_redirect: true, takes_media_in_time: false },
    },
];

impl Deviations {
    /// What is different for the client with this User-Agent, but for profiles that are off.
    pub(super) fn of(agent: &str, off: &[ProfileName]) -> Self {
        let is_its = |it: &&Profile| agent.starts_with(it.agent) && !off.contains(&it.name);
        PROFILES.iter().find(is_its).map(|profile| profile.deviations).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn a_client_is_known_by_the_start_of_its_agent_unless_it_is_off() {
        let answers = Deviations { answers_redirect: true, ..Deviations::default() };
        let in_time = Deviations { takes_media_in_time: true, ..Deviations::default() };
        for (agent, expected) in [
            ("GStreamer/1.22.0", answers),
            ("GStreamer", Deviations::default()),
            ("Lavf59.27.100", in_time),
            ("LibVLC/3.0.18 (LIVE555 Streaming Media v2016.11.28)", Deviations::default()),
            ("", Deviations::default()),
        ] {
            assert_eq!(Deviations::of(agent, &[]), expected, "{agent}");
            let off: Vec<ProfileName> = ProfileName::value_variants().to_vec();
            assert_eq!(Deviations::of(agent, &off), Deviations::default(), "{agent}");
        }
    }

    #[test]
    fn every_name_has_a_profile_and_no_agent_is_another() {
        for name in ProfileName::value_variants() {
            assert!(PROFILES.iter().any(|profile| profile.name == *name), "{name:?}");
        }
        for (index, profile) in PROFILES.iter().enumerate() {
            let mut others = PROFILES[..index].iter();
            assert!(others.all(|other| !profile.agent.starts_with(other.agent)));
        }
    }
}
