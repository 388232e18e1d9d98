//! Settings from real files to what a flow is given.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod connections;
mod dialects;
mod environments;
mod facts;
mod gateways;
mod http_policy;
mod identity;
mod import;
mod inline;
mod precedence;
mod python;
mod sample;
mod secrets;

use std::path::Path;

use sluicegate_config::{Connection, Environment, Project, Settings, Variables};
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

/// Connection `c`, written as one line of YAML; or what is wrong with it.
fn connection(yaml: &str, variables: &[(&str, &str)]) -> Result<Connection, String> {
    let folder = Folder::with_config(&format!("connections:\n  c: {yaml}\nflow_configs: {{f: {{flow_path: x}}}}"));
    folder.environment("f", None, variables).connection("c").map_err(|problems| messages(&problems))
}

/// What is said of connection `c`, written as one line of YAML: each problem and its help.
#[track_caller]
fn check_refused(yaml: &str, expected: &str) {
    assert_eq!(connection(yaml, &[]).expect_err("a problem"), expected);
}

/// What is said of a file with connection `c` before anything is asked of it, warnings included.
#[track_caller]
fn check_told_of_file(yaml: &str, expected: &str) {
    let folder = Folder::with_config(&format!("connections:\n  c: {yaml}"));
    let loaded = Settings::load(&Project::find(folder.path()), &Variables::default(), None, Vec::new());
    let told = match &loaded {
        Ok(settings) => messages(settings.warnings()),
        Err(problems) => messages(problems),
    };
    assert_eq!(told, expected);
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
