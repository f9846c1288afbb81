//! Require and Proxy-Require (RFC 2326 §12.32, §12.27).

use super::split_list;

/// The option tags of all Require headers of a request, as spelled. An unknown one is answered by
/// 551 with the tag in Unsupported.
pub fn required_options<'a>(
    values: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    values.into_iter().flat_map(split_list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_all_headers_are_listed() {
        let values = ["funky-feature, onvif-replay", "", "www.onvif.org/ver20/backchannel"];
        let tags: Vec<_> = required_options(values).collect();
        assert_eq!(tags, ["funky-feature", "onvif-replay", "www.onvif.org/ver20/backchannel"]);
    }
}
