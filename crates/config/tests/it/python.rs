//! Which Python runs tools.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Folder, messages};

const CONFIG: &str = "\
python: { interpreter: .venv, workers: 2 }
flow_configs:
  f: { flow_path: x }
  f_pr: { python: { interpreter: python3.12, prefer_installed: true, start_timeout: 5s } }
";

#[test]
fn it_is_found_by_what_is_active_unless_something_names_it() {
    let folder = Folder::with_config("flow_configs: {f: {flow_path: x}}");
    let plain = folder.environment("f", None, &[]).python().unwrap();
    assert_eq!((plain.interpreter, plain.virtual_env, plain.path), (None, None, None));
    assert_eq!((plain.prefer_installed, plain.workers, plain.start_timeout), (false, None, Duration::from_secs(60)));
    let variables =
        [("VIRTUAL_ENV", "/home/me/.venv"), ("PATH", "/usr/bin:/bin"), ("SLUICEGATE_PYTHON", "/opt/py/bin/python")];
    let active = folder.environment("f", None, &variables).python().unwrap();
    assert_eq!(active.virtual_env.as_deref(), Some(Path::new("/home/me/.venv")));
    assert_eq!(active.path.as_deref(), Some("/usr/bin:/bin"));
    assert_eq!(active.interpreter.as_deref(), Some(Path::new("/opt/py/bin/python")));
}

#[test]
fn a_section_comes_before_the_file_and_a_variable_before_both() {
    let folder = Folder::with_config(CONFIG);
    let of_file = folder.environment("f", None, &[]).python().unwrap();
    assert_eq!(of_file.interpreter, Some(folder.path().join(".venv")));
    assert_eq!(of_file.workers, Some(2));
    let of_section = folder.environment("f", Some("pr"), &[]).python().unwrap();
    assert_eq!(of_section.interpreter, Some(PathBuf::from("python3.12")), "a name is looked for on the path");
    assert!(of_section.prefer_installed);
    assert_eq!((of_section.workers, of_section.start_timeout), (Some(2), Duration::from_secs(5)));
    let of_variable = folder.environment("f", Some("pr"), &[("SLUICEGATE_PYTHON", "./py")]).python().unwrap();
    assert_eq!(of_variable.interpreter, Some(folder.path().join("py")));
}

#[test]
fn what_does_not_fit_is_told() {
    let told = |config: &str| Folder::with_config(config).problems();
    assert_eq!(
        told("python: {interpretr: x}"),
        "config/config.yaml:1:10: `python` has no key `interpretr`\n  help: did you mean `interpreter`?\n"
    );
    let folder = Folder::with_config("python: {workers: 0}\nflow_configs: {f: {flow_path: x}}");
    let problem = folder.environment("f", None, &[]).python().unwrap_err();
    assert_eq!(
        messages(&[problem]),
        "config/config.yaml:1:19: `python.workers` takes a whole number of at least 1, not `0`\n"
    );
}
