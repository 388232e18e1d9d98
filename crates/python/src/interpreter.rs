//! Which Python to start.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The oldest version that works.
pub const OLDEST: &str = "3.9";

/// Where to look for Python. All of it is handed in: nothing here reads the process environment.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// What the settings say: a path, or a name to be found on `path`.
    pub configured: Option<PathBuf>,
    /// `VIRTUAL_ENV`.
    pub virtual_env: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
}

/// A Python to start. Whether it is new enough is known when its first worker is ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interpreter {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// What comes before all other arguments: `-3` for Windows' launcher.
    pub arguments: Vec<OsString>,
    /// Who named it.
    pub named_by: NamedBy,
}

/// Who named an interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamedBy {
    /// The settings.
    Settings,
    /// The active virtual environment.
    VirtualEnv,
    /// The search path.
    Path,
}

/// There is no Python where it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoInterpreter {
    /// What the settings name, if it is that which is not there.
    pub configured: Option<PathBuf>,
    /// The programs that were looked for, in order.
    pub looked_for: Vec<PathBuf>,
}

impl NoInterpreter {
    /// What one can do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match &self.configured {
            Some(_) => {
                "correct the path in the settings, or take it out: then the active virtual environment's Python, \
                        or the first on PATH, is used"
                    .to_owned()
            }
            None => format!(
                "install Python {OLDEST} or later, activate a virtual environment, or name the interpreter in the settings"
            ),
        }
    }
}

impl fmt::Display for NoInterpreter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.configured {
            Some(path) => write!(out, "the settings name `{}` as Python, which is not there", path.display()),
            None => {
                out.write_str("no Python was found: looked for ")?;
                for (index, path) in self.looked_for.iter().enumerate() {
                    let before = if index == 0 { "" } else { ", " };
                    write!(out, "{before}`{}`", path.display())?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for NoInterpreter {}

impl Search {
    /// Finds the interpreter: what the settings name; else the virtual environment's; else the first on the path.
    ///
    /// # Errors
    /// There is none, or the settings name one that is not there.
    pub fn find(&self) -> Result<Interpreter, NoInterpreter> {
        let mut looked_for = Vec::new();
        if let Some(configured) = &self.configured {
            return self
                .find_configured(configured, &mut looked_for)
                .ok_or(NoInterpreter { configured: Some(configured.clone()), looked_for });
        }
        if let Some(root) = self.virtual_env.as_deref().filter(|root| !root.as_os_str().is_empty()) {
            let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
            let program = root.join(inside);
            if is_program(&program) {
                return Ok(Interpreter { program, arguments: Vec::new(), named_by: NamedBy::VirtualEnv });
            }
            looked_for.push(program);
        }
        let names: &[(&str, &[&str])] = if cfg!(windows) {
            &[("py.exe", &["-3"]), ("python.exe", &[])]
        } else {
            &[("python3", &[]), ("python", &[])]
        };
        for (name, arguments) in names {
            if let Some(program) = self.on_path(OsStr::new(name)) {
                let arguments = arguments.iter().map(OsString::from).collect();
                return Ok(Interpreter { program, arguments, named_by: NamedBy::Path });
            }
            looked_for.push(PathBuf::from(format!("{name} on PATH")));
        }
        Err(NoInterpreter { configured: None, looked_for })
    }

    fn find_configured(&self, configured: &Path, looked_for: &mut Vec<PathBuf>) -> Option<Interpreter> {
        let is_name = configured.components().count() == 1 && !configured.is_absolute();
        let program = if is_name { self.on_path(configured.as_os_str()) } else { Some(configured.to_owned()) };
        looked_for.push(configured.to_owned());
        // A virtual environment's folder is what one copies easily.
        let inside = ["bin/python", "Scripts/python.exe"].map(|inside| configured.join(inside));
        program
            .into_iter()
            .chain(inside)
            .find(|program| is_program(program))
            .and_then(|program| std::path::absolute(program).ok())
            .map(|program| Interpreter { program, arguments: Vec::new(), named_by: NamedBy::Settings })
    }

    fn on_path(&self, name: &OsStr) -> Option<PathBuf> {
        std::env::split_paths(self.path.as_deref()?)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            // Windows has programs of that name which only open its shop.
            .find(|program| is_program(program) && !program.components().any(|part| part.as_os_str() == "WindowsApps"))
    }
}

fn is_program(path: &Path) -> bool {
    let Ok(about) = path.metadata() else { return false };
    #[cfg(unix)]
    let executable = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let executable = true;
    about.is_file() && executable
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn program(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
        path
    }

    fn check(search: &Search, expected: Result<(&Path, NamedBy), &str>) {
        let found = search.find();
        let found = found.as_ref().map(|found| (&*found.program, found.named_by)).map_err(ToString::to_string);
        assert_eq!(found.as_ref().map_err(String::as_str).copied(), expected);
    }

    impl Search {
        fn on(path: &[&Path]) -> Self {
            Self { path: std::env::join_paths(path).ok(), ..Self::default() }
        }
    }

    #[test]
    fn settings_come_before_the_virtual_environment_and_that_before_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let on_path = program(root, "first/python3");
        let in_env = program(root, "env/bin/python");
        let mine = program(root, "mine/python3.12");
        let (empty, first) = (root.join("empty"), root.join("first"));
        let mut search = Search::on(&[&empty, &first]);
        check(&search, Ok((&on_path, NamedBy::Path)));
        search.virtual_env = Some(root.join("env"));
        check(&search, Ok((&in_env, NamedBy::VirtualEnv)));
        search.configured = Some(mine.clone());
        check(&search, Ok((&mine, NamedBy::Settings)));
        search.configured = Some("python3".into());
        check(&search, Ok((&on_path, NamedBy::Settings)));
        search.configured = Some(root.join("env"));
        check(&search, Ok((&in_env, NamedBy::Settings)));
    }

    #[test]
    fn a_missing_interpreter_is_told_with_where_it_was_looked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        check(
            &Search::on(&[folder.path()]),
            Err("no Python was found: looked for `python3 on PATH`, `python on PATH`"),
        );
        let search = Search { configured: Some("/no/such/python".into()), ..Search::on(&[folder.path()]) };
        check(&search, Err("the settings name `/no/such/python` as Python, which is not there"));
        std::fs::write(folder.path().join("python3"), "not executable").expect("written");
        assert!(Search::on(&[folder.path()]).find().is_err());
    }
}
