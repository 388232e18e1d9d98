//! Settings from real files to what a flow is given.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod connections;
mod environments;
mod precedence;
mod sample;
mod secrets;

use std::path::Path;

use sluicegate_config::{Environment, Project, Settings, Variables};
use sluicegate_source::Problem;

/// A project in a temporary folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn with_config(text: &str) -> Self {
        Self::new(&[("config/config.yaml", text)])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn settings(&self, variables: &Variables, environment: Option<&str>) -> Settings {
        let settings = Settings::load(&Project::find(self.path()), variables, environment, Vec::new());
        settings.unwrap_or_else(|problems| panic!("{}", messages(&problems)))
    }

    fn problems(&self) -> String {
        let loaded = Settings::load(&Project::find(self.path()), &Variables::default(), None, Vec::new());
        messages(&loaded.expect_err("a problem"))
    }

    fn environment(&self, flow: &str, environment: Option<&str>, variables: &[(&str, &str)]) -> Environment {
        let settings = self.settings(&Variables::new(variables.iter().copied()), environment);
        settings.environment(flow, self.path()).unwrap_or_else(|problem| panic!("{problem}"))
    }
}

/// Problems as lines, each with its help.
fn messages(problems: &[Problem]) -> String {
    problems.iter().map(message).collect()
}

fn message(problem: &Problem) -> String {
    match &problem.help {
        Some(help) => format!("{problem}\n  help: {help}\n"),
        None => format!("{problem}\n"),
    }
}
