//! The clients: how each is run, what it needs, and what it cannot do, with the reason.

use crate::judge::{Feature, Verdict};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a client is made to play.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Driver {
    /// By a program beside this file.
    Script(&'static str),
    /// In this process.
    Retina,
}

/// What must come out of a client's decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Every picture.
    Every,
    /// Pictures in order: it leaves out some, as a player does that shows them by the clock.
    Order,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    /// For `REELRING_CLIENTS`.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    /// Prints its version.
    version: &'static [&'static str],
    pub(crate) transports: &'static [&'static str],
    pub(crate) driver: Driver,
    pub(crate) care: Care,
    /// Programs, and modules of Python, that it takes.
    programs: &'static [&'static str],
    modules: &'static [&'static str],
    /// What the client itself does not have.
    cannot: &'static [(Feature, &'static str)],
    /// What one should know where the table says yes.
    remarks: &'static [(Feature, &'static str)],
}

const BOTH: &[&str] = &["UDP", "TCP"];
const ALL: &[&str] = &["UDP", "TCP", "HTTP"];

const NO_SCALE: (Feature, &str) = (Feature::Trick, "never sends `Scale`");
const FASTER_ITSELF: (Feature, &str) =
    (Feature::Trick, "plays faster by itself and never sends `Scale`");
const PAUSES_BY_ITSELF: (Feature, &str) = (
    Feature::Pause,
    "instead of sending PAUSE it stops reading; its session is kept while its connection \
     answers, an hour at most",
);

pub(crate) const CLIENTS: &[Client] = &[
    Client {
        key: "ffmpeg",
        name: "ffmpeg",
        version: &["ffmpeg", "-version"],
        transports: ALL,
        driver: Driver::Script("ffmpeg.py"),
        care: Care::Every,
        programs: &["ffmpeg"],
        modules: &[],
        cannot: &[(Feature::Pause, "has no command for it"), NO_SCALE],
        remarks: &[(Feature::Seek, "where it starts (`-ss`)")],
    },
    Client {
        key: "ffplay",
        name: "ffplay",
        version: &["ffplay", "-version"],
        transports: ALL,
        driver: Driver::Script("ffplay.py"),
        care: Care::Every,
        programs: &["ffplay", "Xvfb", "xdotool"],
        modules: &[],
        cannot: &[NO_SCALE],
        remarks: &[],
    },
    Client {
        key: "mpv",
        name: "mpv",
        version: &["mpv", "--version"],
        transports: ALL,
        driver: Driver::Script("mpv.py"),
        care: Care::Every,
        programs: &["mpv"],
        modules: &[],
        cannot: &[FASTER_ITSELF],
        remarks: &[PAUSES_BY_ITSELF],
    },
    Client {
        key: "mplayer",
        name: "MPlayer",
        version: &[],
        transports: ALL,
        driver: Driver::Script("mplayer.py"),
        care: Care::Every,
        programs: &["mplayer"],
        modules: &[],
        cannot: &[FASTER_ITSELF],
        remarks: &[PAUSES_BY_ITSELF],
    },
    Client {
        key: "opencv",
        name: "OpenCV",
        version: &["@python", "-c", "import cv2; print(cv2.__version__)"],
        transports: ALL,
        driver: Driver::Script("opencv.py"),
        care: Care::Every,
        programs: &[],
        modules: &["cv2"],
        cannot: &[
            (
                Feature::Seek,
                "looks for a picture by the time stamps of those it decodes, has none for the first \
                 after a seek, and ends up near the start, also with GStreamer's server",
            ),
            NO_SCALE,
        ],
        remarks: &[PAUSES_BY_ITSELF],
    },
    Client {
        key: "gstreamer",
        name: "GStreamer rtspsrc",
        version: &["gst-launch-1.0", "--version"],
        transports: ALL,
        driver: Driver::Script("gst.py"),
        care: Care::Every,
        programs: &["gst-launch-1.0"],
        modules: &["gi"],
        cannot: &[],
        remarks: &[(
            Feature::Trick,
            "rates 4 and −2; back with `identity single-segment=true` before the decoder, which \
             else holds all pictures until the end, also from GStreamer's server",
        )],
    },
    Client {
        key: "gstplay",
        name: "gst-play-1.0",
        version: &["gst-play-1.0", "--version"],
        transports: ALL,
        driver: Driver::Script("gstplay.py"),
        care: Care::Every,
        programs: &["gst-play-1.0"],
        modules: &[],
        cannot: &[
            (
                Feature::Pause,
                "sends PAUSE, and nothing when it is resumed, to GStreamer's server neither",
            ),
            (Feature::Trick, "is `rtspsrc`: see there"),
        ],
        remarks: &[(Feature::Seek, "in steps of a twelfth of the title")],
    },
    Client {
        key: "vlc",
        name: "VLC",
        version: &["@python", "-c", "import vlc; print(vlc.libvlc_get_version().decode())"],
        transports: ALL,
        driver: Driver::Script("libvlc.py"),
        care: Care::Order,
        programs: &[],
        modules: &["vlc"],
        cannot: &[],
        remarks: &[
            (Feature::Pause, "goes on at the next sync sample"),
            (Feature::Trick, "rate 4; has no reverse"),
            (Feature::End, "leaves out what it still holds when BYE comes"),
        ],
    },
    Client {
        key: "live555",
        name: "live555 openRTSP",
        version: &[],
        transports: ALL,
        driver: Driver::Script("openrtsp.py"),
        care: Care::Every,
        programs: &["openRTSP"],
        modules: &[],
        cannot: &[(Feature::Pause, "has no command for it")],
        remarks: &[(Feature::Seek, "where it starts (`-s`)"), (Feature::Trick, "rates 4 and −2")],
    },
    Client {
        key: "curl",
        name: "libcurl",
        version: &["curl", "--version"],
        transports: BOTH,
        driver: Driver::Script("curl.py"),
        care: Care::Every,
        programs: &["ffmpeg"],
        modules: &["pycurl"],
        cannot: &[],
        remarks: &[
            (Feature::Pause, "the application has to keep the session alive, and does"),
            (Feature::Trick, "rates 4 and −2"),
        ],
    },
    Client {
        key: "retina",
        name: "retina",
        version: &[],
        transports: BOTH,
        driver: Driver::Retina,
        care: Care::Every,
        programs: &["ffmpeg"],
        modules: &[],
        cannot: &[
            (Feature::Seek, "has no call for it: a session is played once, from the start"),
            (Feature::Pause, "has no call for it"),
            NO_SCALE,
        ],
        remarks: &[],
    },
    Client {
        key: "motion",
        name: "motion",
        version: &["motion", "-h"],
        transports: BOTH,
        driver: Driver::Script("motion.py"),
        care: Care::Order,
        programs: &["motion"],
        modules: &[],
        cannot: &[
            (Feature::Seek, "records a camera"),
            (Feature::Pause, "records a camera"),
            NO_SCALE,
        ],
        remarks: &[(Feature::End, "connects again")],
    },
    Client {
        key: "xine",
        name: "xine",
        version: &["xine", "--version"],
        transports: &["TCP"],
        driver: Driver::Script("xine.py"),
        care: Care::Order,
        programs: &["xine", "Xvfb"],
        modules: &[],
        cannot: &[
            (Feature::Play, "speaks RTSP with RealNetworks' servers only"),
            (Feature::Seek, "speaks RTSP with RealNetworks' servers only"),
            (Feature::Pause, "speaks RTSP with RealNetworks' servers only"),
            (Feature::Trick, "speaks RTSP with RealNetworks' servers only"),
            (Feature::End, "speaks RTSP with RealNetworks' servers only"),
        ],
        remarks: &[],
    },
];

impl Client {
    /// What of its needs is not installed.
    pub(crate) fn missing(&self) -> Option<String> {
        let paths = path();
        let is_there = |program: &&&str| {
            std::env::split_paths(&paths).any(|path| path.join(program).is_file())
        };
        if let Some(program) = self.programs.iter().find(|program| !is_there(program)) {
            return Some((*program).to_owned());
        }
        let imports = |module: &&&str| {
            let import = format!("import {module}");
            let output = Command::new(python()).args(["-c", &import]).output();
            output.is_ok_and(|output| output.status.success())
        };
        let missing = self.modules.iter().find(|module| !imports(module));
        if let Some(module) = missing {
            return Some(format!("Python's {module}"));
        }
        let lacks_live555 = self.key == "vlc" && !has_live555();
        lacks_live555.then(|| "its live555 plugin, which Debian leaves out".to_owned())
    }

    /// Its name and version.
    pub(crate) fn title(&self) -> String {
        let Some((program, arguments)) = self.version.split_first() else {
            return self.name.to_owned();
        };
        let python = python();
        let program = if *program == "@python" { &python } else { Path::new(program) };
        let output = Command::new(program).args(arguments).output();
        let output = output.map_or_else(|_| Vec::new(), |o| [o.stdout, o.stderr].concat());
        let text = String::from_utf8_lossy(&output);
        let is_version =
            |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
        let mut words = text.split_whitespace().map(|word| word.trim_start_matches('v'));
        let Some(version) = words.find(is_version) else { return self.name.to_owned() };
        let end = version.find(|c: char| !c.is_ascii_digit() && c != '.');
        let version = version[..end.unwrap_or(version.len())].trim_end_matches('.');
        format!("{} {version}", self.name)
    }

    /// The verdict on what it does not have.
    pub(crate) fn incapable(&self, feature: Feature) -> Option<Verdict> {
        let (_, why) = self.cannot.iter().find(|(what, _)| *what == feature)?;
        Some(Verdict::Incapable((*why).to_owned()))
    }

    /// Whether it stops reading where others send PAUSE.
    pub(crate) fn stops_reading(&self) -> bool {
        self.remarks.contains(&PAUSES_BY_ITSELF)
    }

    /// Why it does not get over a pause that is longer than a session lives in silence, where that
    /// is known.
    pub(crate) fn excuse(&self, transport: &str) -> Option<&'static str> {
        (self.stops_reading() && transport == "UDP").then_some(
            "instead of sending PAUSE it stops reading: no report comes from it, and the session \
             ends. A short pause it gets over",
        )
    }

    /// A yes with what one should know of it.
    pub(crate) fn remarked(&self, feature: Feature, verdict: Verdict) -> Verdict {
        let remark = self.remarks.iter().find(|(what, _)| *what == feature);
        match (verdict, remark) {
            (Verdict::Yes(_), Some((_, remark))) => Verdict::Yes(Some((*remark).to_owned())),
            (verdict, _) => verdict,
        }
    }
}

/// Where `tools/test` puts what is installed by pip.
pub(crate) fn python() -> PathBuf {
    let venv = target().join("clients/venv/bin/python3");
    if venv.is_file() { venv } else { PathBuf::from("/usr/bin/python3") }
}

/// Where programs are, with those that the distribution does not have.
pub(crate) fn path() -> OsString {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let own = target().join("clients/bin");
    std::env::join_paths(std::env::split_paths(&paths).chain([own])).unwrap_or(paths)
}

/// Where a live555 plugin for VLC may be put that Debian does not have.
pub(crate) fn vlc_plugins() -> PathBuf {
    target().join("clients/vlc")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

fn has_live555() -> bool {
    let find = Command::new("find")
        .arg("/usr/lib")
        .arg(vlc_plugins())
        .args(["-name", "liblive555_plugin.so"])
        .output();
    find.is_ok_and(|output| !output.stdout.is_empty())
}

/// One that shows every picture and can do everything.
#[cfg(test)]
pub(crate) fn any() -> &'static Client {
    CLIENTS.iter().find(|client| client.key == "gstreamer").unwrap()
}
