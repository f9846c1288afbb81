//! The titles by name, some of which cannot be opened.

use super::faults::Faults;
use super::surroundings::Surroundings;
use super::title::titles;
use crate::control::OpenError;
use crate::title::SharedTitle;
use std::sync::Arc;

/// A name for which there is a file that cannot be read.
pub(super) const UNREADABLE: &str = "unreadable.mp4";
/// A name for which there is a file that is no title.
pub(super) const NOT_PLAYABLE: &str = "text.mp4";
/// A name for which there is no file.
pub(super) const MISSING: &str = "missing.mp4";

/// Opens a title, as the catalog worker does.
pub(super) fn open(around: &mut Surroundings, name: &str) -> Result<SharedTitle, OpenError> {
    if name == NOT_PLAYABLE {
        return Err(OpenError::NotPlayable("text".to_owned()));
    }
    let fails = Faults::hits(&mut around.random, around.faults.failed_open_one_in);
    if name == UNREADABLE || (name != MISSING && fails) {
        return Err(OpenError::Unreadable("simulated".to_owned()));
    }
    let title = titles().iter().find(|title| title.title.name == name);
    title.map(|title| Arc::clone(&title.title)).ok_or(OpenError::NotFound)
}
