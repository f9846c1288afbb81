//! Connection (RFC 2326 §12.10, RFC 2068 §14.10).

use super::split_list;

/// Whether a client says that this request is its last on the connection.
pub fn asks_to_close<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    values.into_iter().flat_map(split_list).any(|token| token.eq_ignore_ascii_case("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_is_one_of_the_tokens() {
        for (values, expected) in [
            (&["close"][..], true),
            (&["Keep-Alive, Close"], true),
            (&["x", "close"], true),
            (&["keep-alive"], false),
            (&["closed"], false),
            (&[], false),
        ] {
            assert_eq!(asks_to_close(values.iter().copied()), expected, "{values:?}");
        }
    }
}
