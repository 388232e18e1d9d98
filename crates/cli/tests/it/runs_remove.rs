//! Runs that go: one, several, and those that nobody needs.

use sluicegate_testkit::project::Project;

use crate::fixture::SLUICEGATE;
use crate::runs_project::{json, runs, steady, told};

const FLOW: &str = "inputs: { q: { type: string, default: hello } }
outputs: { said: { type: string, reference: \"${inputs.q}\" } }
nodes: []
";

/// Three batches, `a` the oldest.
fn three_batches() -> Project {
    let project = Project::new().file("flow/flow.dag.yaml", FLOW).file("rows.jsonl", "{\"q\": \"one\"}\n");
    for name in ["a", "b", "c"] {
        let ran = project.run(SLUICEGATE, &["batch", "flow", "--data", "rows.jsonl", "--name", name]);
        assert_eq!(ran.code, 0, "{}", ran.shown());
    }
    project
}

fn left(project: &Project) -> Vec<String> {
    let listed = json(&told(project, &["list", "--json"]));
    listed.as_array().into_iter().flatten().filter_map(|run| run["run"].as_str()).map(ToOwned::to_owned).collect()
}

#[test]
fn nothing_is_deleted_unasked() {
    let project = three_batches();
    steady!(insta::assert_snapshot!(runs(&project, &["delete", "a"]).shown(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: nobody is there to be asked
      hint: write --yes if that is what you want
    "#));
    steady!(insta::assert_snapshot!(runs(&project, &["prune", "--keep", "1"]).shown(), @r#"
    exit 2
    --- stdout
    RUN  STARTED  SIZE
    a  [time]  [size]
    b  [time]  [size]
    --- stderr
    error: nobody is there to be asked
      hint: write --yes if that is what you want
    "#));
    assert_eq!(left(&project), ["c", "b", "a"]);
}

#[test]
fn what_is_deleted_is_gone_with_its_outputs() {
    let project = three_batches();
    assert!(project.path().join(".sluicegate/out/a/output.jsonl").exists());
    steady!(insta::assert_snapshot!(runs(&project, &["delete", "a", "latest", "a", "--yes"]).shown(), @r#"
    exit 0
    --- stdout
    --- stderr
    deleted 2 runs, [size]
    "#));
    assert_eq!(left(&project), ["b"]);
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(project.path().join(".sluicegate").join(folder)).expect("the folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names("out"), ["b"]);
    assert!(names("runs").iter().all(|name| name.starts_with("b.")), "{:?}", names("runs"));
}

#[test]
fn a_name_that_is_wrong_deletes_nothing() {
    let project = three_batches();
    assert_eq!(runs(&project, &["delete", "a", "nope", "--yes"]).code, 2);
    assert_eq!(left(&project).len(), 3);
}

#[test]
fn the_originals_command_line_deletes_too() {
    let project = three_batches();
    let ran = project.run(SLUICEGATE, &["pf", "run", "delete", "--name", "b"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(left(&project), ["c", "a"]);
}

#[test]
fn prune_says_what_goes_before_it_goes() {
    let project = three_batches();
    steady!(insta::assert_snapshot!(runs(&project, &["prune", "--keep", "1", "--dry-run"]).shown(), @r#"
    exit 0
    --- stdout
    RUN  STARTED  SIZE
    a  [time]  [size]
    b  [time]  [size]
    --- stderr
    would delete 2 runs, [size]
    "#));
    assert_eq!(left(&project).len(), 3);
    steady!(insta::assert_snapshot!(runs(&project, &["prune", "--keep", "1", "--yes"]).shown(), @r#"
    exit 0
    --- stdout
    RUN  STARTED  SIZE
    a  [time]  [size]
    b  [time]  [size]
    --- stderr
    deleted 2 runs, [size]
    "#));
    assert_eq!(left(&project), ["c"]);
    steady!(insta::assert_snapshot!(runs(&project, &["prune", "--older-than", "30d", "--yes"]).shown(), @r#"
    exit 0
    --- stdout
    --- stderr
    there is nothing to prune
    "#));
    steady!(insta::assert_snapshot!(runs(&project, &["prune", "--yes"]).shown(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: nothing says which runs are to go
      hint: write --older-than 30d, --keep 100 or --status damaged; --dry-run shows what would go
    "#));
    assert_eq!(runs(&project, &["prune", "--older-than", "0s", "--yes"]).code, 0);
    assert_eq!(left(&project), [""; 0]);
    let outputs = std::fs::read_dir(project.path().join(".sluicegate/out")).expect("the folder");
    assert_eq!(outputs.count(), 0, "outputs go with their runs");
}
