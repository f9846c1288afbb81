//! Questions about network devices that only ioctls answer (`SIOCETHTOOL`, netdevice(7)).

use socket2::{Domain, Socket, Type};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Which of these features (as `ethtool -k` names the kernel's own, such as
/// `tx-udp-segmentation`) are switched on for a device.
///
/// # Errors
/// If there is no such device, or it does not tell.
pub fn active_features(device: &str) -> io::Result<Vec<String>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let socket = socket.as_fd();
    let count = feature_count(socket, device)?;
    let names = feature_names(socket, device, count)?;
    let blocks = feature_blocks(socket, device, count)?;
    let is_active =
        |index: usize| blocks.get(index / 32).is_some_and(|b| b >> (index % 32) & 1 == 1);
    Ok(names
        .into_iter()
        .enumerate()
        .filter(|(index, _)| is_active(*index))
        .map(|it| it.1)
        .collect())
}

/// `struct ethtool_sset_info` for the one set of features.
fn feature_count(socket: BorrowedFd<'_>, device: &str) -> io::Result<usize> {
    // Command, a reserved word, the mask of sets in 64 bits, and a count for each.
    let mask = (1_u64 << ETH_SS_FEATURES).to_ne_bytes();
    let word = |at: usize| u32::from_ne_bytes([mask[at], mask[at + 1], mask[at + 2], mask[at + 3]]);
    let mut request = [ETHTOOL_GSSET_INFO, 0, word(0), word(4), 0];
    ethtool(socket, device, &mut request)?;
    // The kernel clears the mask's bit where it has no such set.
    if request[2] == 0 && request[3] == 0 {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    let count = request[4] as usize;
    if count > FEATURES_MAX { Err(io::Error::from(io::ErrorKind::InvalidData)) } else { Ok(count) }
}

/// `struct ethtool_gstrings`: names of 32 bytes.
fn feature_names(socket: BorrowedFd<'_>, device: &str, count: usize) -> io::Result<Vec<String>> {
    let mut request = vec![0; 3 + count * NAME_WORDS];
    request[0] = ETHTOOL_GSTRINGS;
    request[1] = ETH_SS_FEATURES;
    request[2] = u32::try_from(count).unwrap_or(u32::MAX);
    ethtool(socket, device, &mut request)?;
    let name = |words: &[u32]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    Ok(request[3..].chunks_exact(NAME_WORDS).map(name).collect())
}

/// `struct ethtool_gfeatures`: for each 32 features what is available, requested, active and
/// never changed. Gives what is active.
fn feature_blocks(socket: BorrowedFd<'_>, device: &str, count: usize) -> io::Result<Vec<u32>> {
    let blocks = count.div_ceil(32);
    let mut request = vec![0; 2 + blocks * 4];
    request[0] = ETHTOOL_GFEATURES;
    request[1] = u32::try_from(blocks).unwrap_or(u32::MAX);
    ethtool(socket, device, &mut request)?;
    Ok(request[2..].chunks_exact(4).map(|block| block[2]).collect())
}

/// Performs a request, whose answer takes its place. It says itself, in its first words, how much
/// room there is for that.
fn ethtool(socket: BorrowedFd<'_>, device: &str, request: &mut [u32]) -> io::Result<()> {
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        data: *mut u32,
        /// The rest of `struct ifreq`.
        padding: [u8; 16],
    }
    let mut name = [0; libc::IFNAMSIZ];
    let Some(place) = name.get_mut(..device.len()).filter(|_| device.len() < libc::IFNAMSIZ) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    place.copy_from_slice(device.as_bytes());
    let mut request = Request { name, data: request.as_mut_ptr(), padding: [0; 16] };
    // SAFETY: the kernel reads and writes `request`, and behind its pointer as many words as the
    // callers' first ones say, which are all there.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETH_SS_FEATURES: u32 = 4;
const NAME_WORDS: usize = 8;
/// Far above what a kernel has (64).
const FEATURES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_cuts_no_trains_of_its_own() {
        let features = active_features("lo").unwrap();
        let has = |name: &str| features.iter().any(|feature| feature == name);
        assert!(has("loopback"), "{features:?}");
        assert!(has("tx-scatter-gather"), "{features:?}");
        for name in ["nosuchdevice", "a-name-too-long-for-a-device", ""] {
            assert!(active_features(name).is_err(), "{name}");
        }
    }
}
