//! The settings that ship.

use std::collections::BTreeSet;
use std::path::Path;

use sluicegate_config::variables::{KNOWN, sample_file};
use sluicegate_config::{Project, Settings, Variables};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

#[test]
fn the_sample_of_variables_lists_every_variable() {
    let sample = std::fs::read_to_string(root().join(".env.sample")).unwrap();
    assert_eq!(sample, sample_file(), "write .env.sample anew from variables.rs");
    assert!(Variables::default().with_dot_env(".env.sample", &sample).is_ok());
}

#[test]
fn every_variable_of_the_config_is_in_the_table_and_the_other_way_round() {
    let config = std::fs::read_to_string(root().join("config/config.yaml")).unwrap();
    let of_config: BTreeSet<&str> = config
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split("${").skip(1))
        .filter_map(|rest| rest.split(['}', ':']).next())
        .filter(|name| !name.contains('.'))
        .collect();
    let of_table: BTreeSet<&str> =
        KNOWN.iter().filter(|known| known.sample.is_some()).map(|known| known.name).collect();
    assert_eq!(of_config, of_table);
}

#[test]
fn the_shipped_config_has_its_environments_and_the_local_one_needs_nothing() {
    let settings = Settings::load(&Project::find(root()), &Variables::default(), Some("local"), Vec::new()).unwrap();
    assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
    assert_eq!(settings.environments("entity_extraction"), ["local", "ollama", "openai", "pr"]);
    for flow in ["entity_extraction", "flows/entity_extraction", "flows/entity_extraction/entity_extraction.prompty"] {
        let environment = settings.environment(flow, root()).unwrap();
        assert_eq!(environment.flow(), "entity_extraction");
        assert!(environment.flow_path().unwrap().exists());
        let connection = environment.connection_name().unwrap().unwrap();
        assert!(environment.connection(&connection).is_ok());
    }
}

#[test]
fn the_other_environments_are_complete_with_the_samples_variables() {
    let variables = KNOWN.iter().filter_map(|known| Some((known.name, known.sample?)));
    let variables =
        Variables::new(variables.map(|(name, value)| (name, if value.is_empty() { "a-key" } else { value })));
    for environment in ["ollama", "openai", "pr"] {
        let settings = Settings::load(&Project::find(root()), &variables, Some(environment), Vec::new()).unwrap();
        let environment = settings.environment("entity_extraction", root()).unwrap();
        let name = environment.connection_name().unwrap().unwrap();
        let connection = environment.connection(&name);
        assert!(connection.is_ok(), "{connection:?}");
        assert!(environment.deployment_name().unwrap().is_some());
    }
}
