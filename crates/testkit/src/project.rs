//! A temporary project, and the real binary run in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A project in a temporary folder; gone when dropped.
#[derive(Debug)]
pub struct Project {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Project {
    /// An empty project.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, variables: BTreeMap::new() }
    }

    /// Writes a file, folders on the way included.
    #[must_use]
    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file into an existing project.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders can be made");
        std::fs::write(path, text).expect("the file can be written");
    }

    /// Copies a folder of the repository into the project, under the same name.
    #[must_use]
    pub fn copy_of(self, folder: &Path, name: &str) -> Self {
        copy(folder, &self.path().join(name));
        self
    }

    /// Sets a variable for the binary's runs; nothing else of this process's environment reaches them but PATH.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// The project's folder, without symbolic links in it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the folder exists")
    }

    /// A command that runs `binary` here.
    #[must_use]
    pub fn command(&self, binary: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary.as_ref());
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        for name in ["PATH", "SYSTEMROOT", "TMPDIR", "TEMP"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.path()).envs(&self.variables);
        command
    }

    /// Runs `binary` here to its end.
    #[must_use]
    pub fn run(&self, binary: impl AsRef<Path>, arguments: &[&str]) -> Ran {
        let output = self.command(binary, arguments).output().expect("the binary runs");
        self.ran(&output)
    }

    /// Starts `binary` here, its output kept for [`Project::wait`].
    #[must_use]
    pub fn start(&self, binary: impl AsRef<Path>, arguments: &[&str]) -> Child {
        let mut command = self.command(binary, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    }

    /// Waits for a started binary.
    #[must_use]
    pub fn wait(&self, child: Child) -> Ran {
        self.ran(&child.wait_with_output().expect("the binary ends"))
    }

    /// What a run gave, the project's folder written as `[project]`.
    fn ran(&self, output: &Output) -> Ran {
        let folder = self.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "[project]");
        Ran { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

impl Ran {
    /// Exit code, stdout and stderr in one text, for a snapshot.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folders can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}
