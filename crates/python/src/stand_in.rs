//! The stand-in `promptflow` package for programs that are no node: a script of the user's own.

use std::io;
use std::path::Path;

use crate::embedded::Installed;

/// The stand-in package on disk, as long as this lives.
#[derive(Debug)]
pub struct StandIn(Installed);

impl StandIn {
    /// Puts the files below `cache`, if that is the user's own, else into a temporary folder.
    ///
    /// # Errors
    /// The operating system's, if neither can be written.
    pub fn new(cache: Option<&Path>) -> io::Result<Self> {
        Installed::new(cache).map(Self)
    }

    /// The folder for Python's import path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }

    /// Whether the folder is there when this is gone.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.0.lasts()
    }
}
