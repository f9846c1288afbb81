//! The built-in title, for a server that is given no media.

use crate::config::MediaRoot;
use std::env;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// How `server/sample/README.md` says it was made.
const SAMPLE: &[u8] = include_bytes!("../../sample/sample.mp4");
const SAMPLE_NAME: &str = "sample.mp4";

/// Puts the title into a directory that belongs to this user alone, and gives the directory.
///
/// # Errors
/// When there is no such directory and none can be made.
pub fn write_sample() -> io::Result<MediaRoot> {
    let directory = match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_dir() => runtime.join("reelring"),
        _ => env::temp_dir().join(format!("reelring-{}", user()?)),
    };
    write_to(&directory)?;
    Ok(MediaRoot { name: None, directory })
}

fn write_to(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // Somebody else may have been there first, where everybody may write.
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || metadata.uid() != user()? || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not this user's own: remove it", directory.display()),
        ));
    }
    let file = directory.join(SAMPLE_NAME);
    if fs::read(&file).is_ok_and(|bytes| bytes == SAMPLE) {
        return Ok(());
    }
    // Not in place: another server may be reading the old one.
    let fresh = directory.join(format!(".{SAMPLE_NAME}.{}", std::process::id()));
    fs::write(&fresh, SAMPLE)?;
    fs::rename(&fresh, &file)
}

/// The user that this process runs as.
fn user() -> io::Result<u32> {
    fs::metadata("/proc/self").map(|process| process.uid())
}

/// The title's URLs and what to type to see it.
#[must_use]
pub fn greeting(addresses: &[SocketAddr]) -> String {
    let mut text = String::from("\nreelring serves its built-in sample:\n\n");
    for address in addresses {
        let _ = writeln!(text, "  {}", url("rtsp", *address));
    }
    if let Some(address) = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first())
    {
        let plain = url("rtsp", *address);
        let (udp, tcp) = (url("rtspu", *address), url("rtspt", *address));
        let http = url("rtsph", *address);
        let _ = write!(
            text,
            "\n\
             over UDP:\n\n\
             \x20 ffplay -rtsp_transport udp {plain}\n\
             \x20 vlc {plain}\n\
             \x20 mpv --rtsp-transport=udp {plain}\n\
             \x20 gst-launch-1.0 playbin uri={udp}\n\n\
             over TCP:\n\n\
             \x20 ffplay -rtsp_transport tcp {plain}\n\
             \x20 vlc --rtsp-tcp {plain}\n\
             \x20 mpv --rtsp-transport=tcp {plain}\n\
             \x20 gst-launch-1.0 playbin uri={tcp}\n\n\
             over HTTP:\n\n\
             \x20 ffplay -rtsp_transport http {plain}\n\
             \x20 gst-launch-1.0 playbin uri={http}\n\n\
             your own files: reelring serve --media DIR\n\n"
        );
    }
    text
}

/// A URL that works on this machine: what listens everywhere is reached on the loopback address.
fn url(scheme: &str, mut address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    format!("{scheme}://{address}/{SAMPLE_NAME}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_sample_goes_to_a_private_directory_once() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("reelring");
        write_to(&directory).unwrap();
        let file = directory.join(SAMPLE_NAME);
        let inode = fs::metadata(&file).unwrap().ino();
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        write_to(&directory).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().ino(), inode, "written once");
        fs::write(&file, b"old").unwrap();
        write_to(&directory).unwrap();
        assert_eq!(fs::read(&file).unwrap(), SAMPLE);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);

        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(write_to(&directory).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let link = parent.path().join("link");
        symlink(&directory, &link).unwrap();
        assert!(write_to(&link).is_err());
    }

    #[test]
    fn the_greeting_names_addresses_that_work() {
        let addresses = ["[::]:8554", "0.0.0.0:8554"].map(|text| text.parse().unwrap());
        let text = greeting(&addresses);
        for part in [
            "  rtsp://[::1]:8554/sample.mp4\n",
            "  rtsp://127.0.0.1:8554/sample.mp4\n",
            "ffplay -rtsp_transport udp rtsp://127.0.0.1:8554/sample.mp4\n",
            "uri=rtspt://127.0.0.1:8554/sample.mp4\n",
            "ffplay -rtsp_transport http rtsp://127.0.0.1:8554/sample.mp4\n",
            "uri=rtsph://127.0.0.1:8554/sample.mp4\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn the_sample_is_small() {
        assert!(SAMPLE.len() < 1_500_000);
        assert_eq!(&SAMPLE[4..8], b"ftyp");
    }
}
