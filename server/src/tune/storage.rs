//! Reads what lies below a directory of titles.

use super::facts::{Disk, Media};
use super::host::count;
use super::tree::Tree;
use std::path::Path;

/// `directory` is absolute.
pub(super) fn media(tree: &Tree, directory: &Path) -> Media {
    let mounts = tree.text("/proc/self/mountinfo").unwrap_or_default();
    let mount = mount_of(&mounts, directory);
    Media {
        directory: directory.display().to_string(),
        file_system: mount.as_ref().map(|mount| mount.file_system.clone()),
        direct: None,
        disk: mount.and_then(|mount| disk(tree, &mount)),
    }
}

struct Mount {
    /// Major and minor number.
    device: String,
    file_system: String,
    source: String,
}

/// The last mount on the longest directory above, as proc_pid_mountinfo(5) writes them.
fn mount_of(mounts: &str, directory: &Path) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let ([_, _, device, _, point, ..], [file_system, source, ..]) = (&left[..], &right[..])
        else {
            continue;
        };
        let point = point.replace("\\040", " ");
        let depth = Path::new(&point).components().count();
        if directory.starts_with(&point) && best.as_ref().is_none_or(|(best, _)| depth >= *best) {
            let mount = Mount {
                device: (*device).to_owned(),
                file_system: (*file_system).to_owned(),
                source: (*source).to_owned(),
            };
            best = Some((depth, mount));
        }
    }
    best.map(|(_, mount)| mount)
}

/// The disk that a mount is on, or that its partition is on.
fn disk(tree: &Tree, mount: &Mount) -> Option<Disk> {
    let block = format!("/sys/dev/block/{}", mount.device);
    let queue = [format!("{block}/queue"), format!("{block}/../queue")]
        .into_iter()
        .find(|queue| tree.exists(queue))?;
    let source = mount.source.rsplit('/').next().unwrap_or_default();
    Some(Disk {
        name: tree.link_name(&block).unwrap_or_else(|| source.to_owned()),
        rotates: tree.number(&format!("{queue}/rotational")) == Some(1),
        scheduler: tree.chosen(&format!("{queue}/scheduler")),
        read_ahead_bytes: count(tree, &format!("{queue}/read_ahead_kb")).map(|kb| kb * 1024),
        requests: count(tree, &format!("{queue}/nr_requests")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_latest_mount_counts() {
        let mounts = "\
            22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw\n\
            30 22 0:5 / /proc rw - proc proc rw\n\
            40 22 259:1 / /srv/my\\040films rw shared:9 - xfs /dev/nvme0n1p1 rw\n\
            41 22 0:44 / /srv rw - tmpfs tmpfs rw\n\
            42 41 0:45 / /srv rw - btrfs /dev/sdb rw\nnonsense\n";
        for (directory, file_system) in [
            ("/home/x", Some("ext4")),
            ("/srv/my films/a", Some("xfs")),
            ("/srv/other", Some("btrfs")),
            ("/srvother", Some("ext4")),
            ("relative", None),
        ] {
            let mount = mount_of(mounts, Path::new(directory));
            let found = mount.map(|mount| mount.file_system);
            assert_eq!(found.as_deref(), file_system, "{directory}");
        }
    }
}
