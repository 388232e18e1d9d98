//! Where a project lies.

use std::path::{Path, PathBuf};

/// The main file of settings, below the project's root.
const CONFIG_FILE: &str = "config/config.yaml";

/// A project: a folder with `config/config.yaml`, or a flow's folder if there is none above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The folder from which relative paths of the settings count.
    pub root: PathBuf,
    /// `config/config.yaml`, if there is one.
    pub config_file: Option<PathBuf>,
}

impl Project {
    /// The project of a file or folder: the nearest folder at or above `start` with a `config/config.yaml`; else
    /// `start` itself, or its folder if it is a file.
    ///
    /// `start` should be absolute; a relative path is only searched as far as it goes.
    #[must_use]
    pub fn find(start: &Path) -> Self {
        for folder in start.ancestors() {
            let file = folder.join(CONFIG_FILE);
            if file.is_file() {
                return Self { root: folder.to_owned(), config_file: Some(file) };
            }
        }
        let root = if start.is_file() { start.parent().unwrap_or(start) } else { start };
        Self { root: root.to_owned(), config_file: None }
    }

    /// The file that overlays the settings in one environment: `config/ENVIRONMENT.yaml`, if it exists.
    #[must_use]
    pub fn overlay_file(&self, environment: &str) -> Option<PathBuf> {
        // A name with a separator could lead out of the folder; `config` would be the main file over itself.
        if environment.is_empty() || environment == "config" || environment.contains(['/', '\\', '\0']) {
            return None;
        }
        let file = self.root.join("config").join(format!("{environment}.yaml"));
        file.is_file().then_some(file)
    }

    /// A path of the settings: relative ones count from the root.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        let mut resolved = PathBuf::new();
        for part in self.root.join(path).components() {
            if !matches!(part, std::path::Component::CurDir) {
                resolved.push(part);
            }
        }
        resolved
    }

    /// A path for people: relative to the root where that is shorter.
    #[must_use]
    pub fn display_name(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// Where runs are kept unless `store.path` says otherwise: `.sluicegate/` at the root.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.root.join(".sluicegate")
    }
}
