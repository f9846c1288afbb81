//! The sessions of a connection.

use crate::mailbox::SessionKey;

/// Sessions, in their order. Most connections have one, for which the node of a tree has ten times
/// the room.
#[derive(Debug, Default)]
pub(super) struct SessionSet(Vec<SessionKey>);

impl SessionSet {
    /// Puts a session in, unless it is.
    pub(super) fn insert(&mut self, key: SessionKey) {
        if let Err(place) = self.0.binary_search(&key) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, key);
        }
    }

    /// Takes a session out, if it is in.
    pub(super) fn remove(&mut self, key: SessionKey) {
        if let Ok(place) = self.0.binary_search(&key) {
            self.0.remove(place);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SessionKey> {
        self.0.iter().copied()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for SessionSet {
    type Item = SessionKey;
    type IntoIter = std::vec::IntoIter<SessionKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_in_it_once_and_in_order() {
        let mut set = SessionSet::default();
        for key in [3, 1, 3, 2] {
            set.insert(SessionKey(key));
        }
        assert_eq!(set.iter().map(|key| key.0).collect::<Vec<_>>(), [1, 2, 3]);
        for (gone, left) in [(2, vec![1, 3]), (2, vec![1, 3]), (1, vec![3]), (3, vec![])] {
            set.remove(SessionKey(gone));
            assert_eq!(set.iter().map(|key| key.0).collect::<Vec<_>>(), left);
            assert_eq!(set.is_empty(), left.is_empty());
        }
    }
}
