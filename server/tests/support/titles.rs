//! Titles for the tests, made by ffmpeg once and kept in the target directory.

use super::players::output_of;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The filters that draw a picture's number.
macro_rules! numbered {
    () => {
        concat!(
            "drawbox=0:0:320:24:black:t=fill",
            digit!(0, 1),
            digit!(24, 2),
            digit!(48, 4),
            digit!(72, 8),
            digit!(96, 16),
            digit!(120, 32),
            digit!(144, 64),
            digit!(168, 128),
            digit!(192, 256),
            digit!(216, 512),
            digit!(240, 1024),
            digit!(264, 2048),
            digit!(288, 4096)
        )
    };
}

/// One binary digit: white in pictures in whose number it is 1.
macro_rules! digit {
    ($x:literal, $weight:literal) => {
        concat!(",drawbox=", $x, ":0:24:24:white:t=fill:enable='mod(floor(n/", $weight, ")\\,2)'")
    };
}

macro_rules! numbered_coding {
    () => {
        "-c:v libx264 -preset veryfast -bf 2 -g 25 -sc_threshold 0 -b:v 300k -pix_fmt yuv420p \
         -c:a aac -aac_pns 0 -ac 2 -movflags +faststart"
    };
}

/// A title and what ffmpeg is told to make it.
pub(crate) struct Title {
    /// Its file name, which is its URL's path.
    pub(crate) name: &'static str,
    recipe: &'static str,
}

/// What players must be able to play from start to end: B-frames, moov in front and at the end,
/// 29.97 frames a second, open GOPs, several slices a picture, no audio, no video.
///
/// Audio has no perceptual noise substitution: a decoder makes that noise up anew each time.
pub(crate) const PLAYABLE: [Title; 6] = [
    Title {
        name: "bframes.mp4",
        recipe: "-f lavfi -i testsrc2=s=640x360:r=25:d=6 -f lavfi -i sine=300:b=4:d=6:r=48000 \
            -c:v libx264 -preset veryfast -bf 3 -g 50 -b:v 800k \
            -c:a aac -aac_pns 0 -ac 2 -movflags +faststart",
    },
    Title {
        name: "ntsc_moov_last.mp4",
        recipe: "-f lavfi -i testsrc2=s=320x240:r=30000/1001:d=6 -f lavfi -i sine=500:d=6:r=44100 \
            -c:v libx264 -preset veryfast -profile:v main -g 60 -c:a aac -aac_pns 0 -ac 2",
    },
    Title {
        name: "open_gop_silent.mp4",
        recipe: "-f lavfi -i testsrc2=s=320x240:r=24:d=5 -c:v libx264 -preset veryfast \
            -x264-params open-gop=1:bframes=3:b-adapt=0:keyint=24:min-keyint=24 -an",
    },
    Title {
        name: "slices_baseline.mp4",
        recipe: "-f lavfi -i testsrc2=s=640x360:r=15:d=5 -f lavfi -i sine=700:d=5:r=44100 \
            -c:v libx264 -profile:v baseline -x264-params slices=4 -b:v 1500k -g 15 \
            -c:a aac -aac_pns 0 -ac 1 -movflags +faststart",
    },
    Title {
        name: "big_pictures.mp4",
        recipe: "-f lavfi -i testsrc2=s=1280x720:r=25:d=4 -f lavfi -i sine=900:d=4:r=48000 \
            -c:v libx264 -preset veryfast -b:v 3M -maxrate 3M -bufsize 600k -g 25 \
            -c:a aac -aac_pns 0 -ac 2 -movflags +faststart",
    },
    Title {
        name: "audio_only.mp4",
        recipe: "-f lavfi -i sine=440:b=4:d=5:r=48000 -c:a aac -aac_pns 0 -ac 2",
    },
];

/// A minute with a sync sample about every second, irregular where the scene changes.
pub(crate) const LONG: Title = Title {
    name: "long.mp4",
    recipe: "-f lavfi -i testsrc2=s=320x240:r=25:d=60 -f lavfi -i sine=300:b=2:d=60:r=48000 \
        -c:v libx264 -preset veryfast -bf 2 -g 31 -b:v 300k -c:a aac -aac_pns 0 -ac 2 \
        -movflags +faststart",
};

/// Two seconds, for players that only have to be seen to play.
pub(crate) const SHORT: Title = Title {
    name: "short.mp4",
    recipe: "-f lavfi -i testsrc2=s=320x240:r=25:d=2 -f lavfi -i sine=300:b=4:d=2:r=48000 \
        -c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac -aac_pns 0 -ac 2 -movflags +faststart",
};

/// A small minute, to be repeated for hours: four pictures a second and silence.
pub(crate) const SMALL_MINUTE: Title = Title {
    name: "small_minute.mp4",
    recipe: "-f lavfi -i testsrc2=s=32x32:r=4:d=60 -f lavfi -i anullsrc=r=8000:cl=mono \
        -c:v libx264 -preset veryfast -crf 45 -bf 2 -g 20 -c:a aac -t 60",
};

/// Half a minute of about 1 Mbit/s, for many viewers. Without B-frames, so that what is shown at
/// a time is also decoded then, and lateness says nothing but what the server did.
pub(crate) const BUSY: Title = Title {
    name: "busy.mp4",
    recipe: "-f lavfi -i testsrc2=s=640x360:r=25:d=30 -f lavfi -i sine=300:b=2:d=30:r=48000 \
        -vf noise=alls=12:allf=t -c:v libx264 -preset veryfast -bf 0 -g 50 \
        -b:v 900k -maxrate 1M -bufsize 1M -c:a aac -ac 2 -movflags +faststart",
};

/// At the bit rate of the measurements in `perf/results`.
pub(crate) const FULL_RATE: Title = Title {
    name: "full_rate.mp4",
    recipe: "-f lavfi -i testsrc2=s=1280x720:r=25:d=20 -f lavfi -i sine=300:b=2:d=20:r=48000 \
        -vf noise=alls=12:allf=t -c:v libx264 -preset veryfast -bf 2 -g 50 \
        -b:v 2M -maxrate 2.4M -bufsize 4M -c:a aac -b:a 128k -movflags +faststart",
};

/// 40 s of so little that thousands of viewers take no time; all of it is soon in memory.
pub(crate) const TINY: Title = Title {
    name: "tiny.mp4",
    recipe: "-f lavfi -i testsrc2=s=160x120:r=5:d=40 -f lavfi -i sine=300:d=40:r=48000 \
        -c:v libx264 -preset veryfast -g 10 -b:v 60k -c:a aac -b:a 32k -movflags +faststart",
};

/// 40 s of pictures that carry their number: 13 boxes in a row, white for ones, the lowest digit
/// on the left. A sync sample every 25.
pub(crate) const NUMBERED: Title = Title {
    name: "numbered.mp4",
    recipe: concat!(
        "-f lavfi -i testsrc2=s=320x240:r=25:d=40,",
        numbered!(),
        " -f lavfi -i sine=300:b=2:d=40:r=48000 ",
        numbered_coding!()
    ),
};

/// The same for 5 minutes.
pub(crate) const NUMBERED_LONG: Title = Title {
    name: "numbered_long.mp4",
    recipe: concat!(
        "-f lavfi -i testsrc2=s=320x240:r=25:d=300,",
        numbered!(),
        " -f lavfi -i sine=300:b=2:d=300:r=48000 ",
        numbered_coding!()
    ),
};

/// Where the titles are; serve this directory.
pub(crate) fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("titles");
    fs::create_dir_all(&directory).unwrap();
    directory
}

impl Title {
    /// The title's file, made if it is not there yet.
    pub(crate) fn make(&self) -> PathBuf {
        let path = directory().join(self.name);
        // Tests are several processes; the recipe is kept beside the file, so that a changed one
        // makes a new file.
        let recipe_path = directory().join(format!(".{}.recipe", self.name));
        let lock = File::create(directory().join(format!(".{}.lock", self.name))).unwrap();
        lock.lock().unwrap();
        if fs::read_to_string(&recipe_path).is_ok_and(|made| made == self.recipe) {
            return path;
        }
        let mut arguments = vec!["-v", "error", "-y"];
        arguments.extend(self.recipe.split_whitespace());
        let path_text = path.to_str().unwrap();
        arguments.push(path_text);
        output_of("ffmpeg", &arguments);
        fs::write(recipe_path, self.recipe).unwrap();
        path
    }
}

/// `../shared/media`, if it is there; where it must be (`REELRING_REQUIRE_MEDIA=1`) and is not, the
/// test fails.
pub(crate) fn shared_media() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("REELRING_REQUIRE_MEDIA").is_ok_and(|value| value == "1");
    assert!(!required, "{} is required and not there", path.display());
    None
}
