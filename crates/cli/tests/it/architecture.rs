//! Who may know whom: held against the manifests, so that a wall cannot fall unnoticed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Crate → the crates of ours that it may depend on (its tests may use `testkit` and whatever is uphill of nothing).
const WALLS: &[(&str, &[&str])] = &[
    ("value", &[]),
    ("source", &["value"]),
    ("model", &["value"]),
    ("config", &["value", "source"]),
    ("flow", &["value", "source", "model"]),
    ("providers", &["value", "source", "model", "config"]),
    ("events", &["value", "model", "flow"]),
    ("executor", &["value", "source", "model", "flow", "events", "python"]),
    ("store", &["value", "model", "events"]),
    ("telemetry", &["value", "model", "config", "events"]),
    ("server", &["value", "model"]),
    ("python", &["value", "model", "config"]),
    ("testkit", &[]),
    ("dataset", &["value", "source", "flow"]),
    ("gate", &["value", "source"]),
    ("evaluate", &["value", "source", "model", "config", "flow", "events", "dataset", "executor", "gate"]),
    ("bench", &[]),
];

/// External crate → the crates of ours that may depend on it.
const KEEPERS: &[(&str, &[&str])] = &[
    ("reqwest", &["providers", "telemetry", "bench"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry-otlp", &["telemetry"]),
    ("opentelemetry-proto", &["telemetry", "testkit"]),
    ("rusqlite", &["store"]),
    ("clap", &["cli"]),
    ("axum", &["server", "testkit"]),
    (
        "tokio",
        &["providers", "executor", "store", "telemetry", "server", "python", "cli", "testkit", "bench", "evaluate"],
    ),
    ("minijinja", &["flow"]),
    ("petgraph", &["flow"]),
    ("saphyr-parser", &["source"]),
];

fn crates_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates/").to_owned()
}

/// The names under `[dependencies]` of a crate.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(crates_folder().join(name).join("Cargo.toml")).expect("a manifest");
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|word| !word.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

fn crate_names() -> BTreeSet<String> {
    std::fs::read_dir(crates_folder())
        .expect("crates/")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().join("Cargo.toml").exists()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn no_crate_knows_one_above_it() {
    for (name, allowed) in WALLS {
        for dependency in dependencies(name) {
            if let Some(ours) = dependency.strip_prefix("sluicegate-") {
                assert!(allowed.contains(&ours), "`{name}` must not know `{ours}`");
            }
        }
    }
    let walled: BTreeSet<String> = WALLS.iter().map(|(name, _)| (*name).to_owned()).chain(["cli".to_owned()]).collect();
    assert_eq!(walled, crate_names(), "every crate has its wall here");
}

#[test]
fn what_is_heavy_has_its_keepers() {
    for (external, keepers) in KEEPERS {
        for name in crate_names() {
            if dependencies(&name).contains(*external) {
                assert!(keepers.contains(&name.as_str()), "`{name}` must not depend on `{external}`");
            }
        }
    }
}

#[test]
fn the_code_map_names_every_crate() {
    let map = std::fs::read_to_string(crates_folder().join("README.md")).expect("crates/README.md");
    for name in crate_names() {
        assert!(map.contains(&format!("| `{name}` |")), "crates/README.md says nothing of `{name}`");
    }
}
