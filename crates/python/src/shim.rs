//! A shim of pyenv's is a shell script that finds out which Python is meant: that costs more than starting Python.
//!
//! Every worker says which executable it is. What a shim led to is kept in a file, under everything that pyenv's choice
//! depends on: the shim, `PYENV_VERSION`, the `.python-version` files above the flow's folder, and the global version.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sluicegate_value::hash::sha256;

use crate::interpreter::Interpreter;

/// Remembers what shims lead to.
#[derive(Clone, Debug)]
pub struct ShimMemory {
    /// The folder for it, which must be the user's own, such as the project's `.sluicegate`.
    pub folder: PathBuf,
    /// `PYENV_VERSION`.
    pub pyenv_version: Option<OsString>,
}

/// A shim, and the file that remembers what it leads to.
pub(crate) struct Shim {
    note: PathBuf,
}

impl ShimMemory {
    /// The shim that `interpreter` is for a flow in `folder`; `None` if it is none.
    pub(crate) fn shim(&self, interpreter: &Interpreter, folder: &Path) -> Option<Shim> {
        let shims = interpreter.program.parent()?;
        if shims.file_name()? != "shims" || !interpreter.arguments.is_empty() {
            return None;
        }
        let script = std::fs::read(&interpreter.program).ok().filter(|script| script.len() < 1 << 14)?;
        if !script.starts_with(b"#!") || !script.windows(5).any(|word| word == b"pyenv") {
            return None;
        }
        let mut depends = vec![
            interpreter.program.to_string_lossy().into_owned(),
            String::from_utf8_lossy(&script).into_owned(),
            format!("{:?}", self.pyenv_version),
        ];
        let root = shims.parent()?;
        let files = folder.ancestors().map(|folder| folder.join(".python-version")).chain([root.join("version")]);
        for file in files {
            if let Ok(text) = std::fs::read_to_string(&file) {
                depends.push(format!("{}={text}", file.display()));
            }
        }
        let name = sha256(depends.join("\0").as_bytes());
        Some(Shim { note: self.folder.join(format!("python-{}", &name[..24.min(name.len())])) })
    }
}

impl Shim {
    /// What it led to the last time, if that is still there.
    pub(crate) fn remembered(&self) -> Option<PathBuf> {
        let text = std::fs::read_to_string(&self.note).ok()?;
        let program = PathBuf::from(text.trim_end_matches('\n'));
        (program.is_absolute() && program.is_file()).then_some(program)
    }

    /// Keeps what it led to. It is no harm if that fails.
    pub(crate) fn remember(&self, executable: &str) {
        let Some(folder) = self.note.parent() else { return };
        if !Path::new(executable).is_absolute() || std::fs::create_dir_all(folder).is_err() {
            return;
        }
        if let Ok(mut file) = tempfile::NamedTempFile::new_in(folder) {
            use std::io::Write as _;
            if writeln!(file, "{executable}").is_ok() {
                let _ = file.persist(&self.note);
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::interpreter::NamedBy;

    #[test]
    fn what_a_shim_led_to_is_kept_until_the_choice_could_be_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let flow = root.join("flow");
        for folder in ["pyenv/shims", "flow"] {
            std::fs::create_dir_all(root.join(folder)).expect("made");
        }
        let shim = root.join("pyenv/shims/python3");
        std::fs::write(&shim, "#!/bin/sh\nexec pyenv exec python3 \"$@\"\n").expect("written");
        let executable = std::env::current_exe().expect("a program");
        let interpreter = |program: &Path| Interpreter {
            program: program.to_owned(),
            arguments: Vec::new(),
            named_by: NamedBy::Path,
        };
        let memory = ShimMemory { folder: root.join("kept"), pyenv_version: None };
        let remembered = |memory: &ShimMemory| memory.shim(&interpreter(&shim), &flow).expect("a shim").remembered();

        assert_eq!(remembered(&memory), None);
        memory.shim(&interpreter(&shim), &flow).expect("a shim").remember(&executable.to_string_lossy());
        assert_eq!(remembered(&memory).as_deref(), Some(&*executable));
        assert_eq!(remembered(&ShimMemory { pyenv_version: Some("3.12".into()), ..memory.clone() }), None);
        std::fs::write(flow.join(".python-version"), "3.13.0\n").expect("written");
        assert_eq!(remembered(&memory), None);
        assert!(memory.shim(&interpreter(&executable), &flow).is_none());
    }
}
