//! What config/config.yaml lacks: connections that flows ask and nobody describes, sections of flows.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_source::SourceFile;
use sluicegate_source::yaml::{self, Document};
use sluicegate_value::{Map, Value};

use super::super::draft::Draft;
use super::config_file::{CONFIG_FILE, names_a_variable};
use super::connections::{ConnectionFacts, variable_of};
use super::flows::FlowFacts;
use super::survey::Survey;
use super::yaml_text::entry;

/// The environment that sections are drafted for where the project knows none.
const USUAL_ENVIRONMENT: &str = "pr";

const HEAD: &str = "# Where models live, and what each flow uses in each environment (--environment_name).
# ${NAME} is a variable of the process or of .env; see .env.sample. ${data.…} is a column of the data set.
";

/// The config with what it lacks; `None` if it lacks nothing, or cannot be read.
pub(crate) fn draft(survey: &Survey) -> Option<Draft> {
    if survey.config.is_broken {
        return None;
    }
    let connections = missing_connections(survey);
    let sections = missing_sections(survey);
    if connections.is_empty() && sections.is_empty() {
        return None;
    }
    let blocks = [("connections", &connections), ("flow_configs", &sections)];
    let blocks = blocks.iter().filter(|(_, block)| !block.is_empty());
    let new: Vec<String> = blocks.map(|(key, block)| entry(key, &Value::from((*block).clone()), 0)).collect();
    let (text, shown, about) = match &survey.config.text {
        None => {
            let text = format!("{HEAD}\n{}", new.join("\n"));
            (text.clone(), text, "connections, and a section for each flow")
        }
        Some(old) => {
            let shown = new.join("\n");
            (merged(old, &connections, &sections)?, shown, "what it lacks; the rest of the file stays as it is")
        }
    };
    Some(Draft { path: CONFIG_FILE.to_owned(), text, about: about.to_owned(), shown })
}

/// Connections that flows name, or that files describe, and the config does not.
pub(crate) fn missing_connections(survey: &Survey) -> Map {
    let mut missing = Map::new();
    for connection in &survey.connections {
        if !survey.config.connections.contains(&connection.name) {
            missing.insert(connection.name.as_str(), completed(survey, connection));
        }
    }
    for flow in survey.flows.iter().filter(|flow| flow.is_own) {
        for name in flow.connections() {
            let is_known = survey.config.connections.contains(name) || missing.contains_key(name);
            if !is_known && !name.starts_with("${") && !is_described_by_sections(survey, flow, name) {
                missing.insert(name, guessed(survey, flow, name));
            }
        }
    }
    missing
}

/// A connection of a file; what the file leaves open is what the older config says of its one connection.
fn completed(survey: &Survey, connection: &ConnectionFacts) -> Map {
    let mut section = connection.section.clone();
    let is_azure = section.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("azure_open"));
    for key in ["api_base", "api_key"].into_iter().filter(|_| is_azure) {
        let open = format!("${{{}}}", variable_of(&connection.name, key));
        let older = survey.config.aoai.get(&format!("aoai_{key}")).filter(|value| names_a_variable(value));
        if let (Some(older), true) = (older, section.get(key).and_then(Value::as_str) == Some(open.as_str())) {
            section.insert(key, older.as_str());
        }
    }
    section
}

/// An older file describes one connection, and its sections say what it is called: where each does, nothing is missing.
fn is_described_by_sections(survey: &Survey, flow: &FlowFacts, name: &str) -> bool {
    let Some(sections) = survey.config.flows.get(&flow.name).filter(|_| !survey.config.aoai.is_empty()) else {
        return false;
    };
    let is_asked = flow.asking.iter().any(|asking| asking.connection.as_deref() == Some(name));
    // The section's connection takes the place of the node's own.
    is_asked && sections.environments.iter().all(|environment| sections.connection_names.contains_key(environment))
}

/// A connection that only its name tells of.
fn guessed(survey: &Survey, flow: &FlowFacts, name: &str) -> Map {
    let asking = flow.asking.iter().find(|asking| asking.connection.as_deref() == Some(name));
    let variable = |key: &str| format!("${{{}}}", variable_of(name, key));
    match asking {
        None => {
            Map::from([("type", Value::from("custom")), ("configs", Map::new().into()), ("secrets", Map::new().into())])
        }
        Some(asking) if asking.is_open_ai => {
            Map::from([("type", Value::from("open_ai")), ("api_key", variable("api_key").into())])
        }
        Some(_) => {
            let older = |key: &str| survey.config.aoai.get(key).cloned();
            let mut section = Map::from([("type", Value::from("azure_open_ai"))]);
            section.insert("api_base", older("aoai_api_base").unwrap_or_else(|| variable("api_base")));
            section.insert(
                "api_key",
                older("aoai_api_key").filter(|key| key.contains('$')).unwrap_or_else(|| variable("api_key")),
            );
            if let Some(version) = older("aoai_api_version") {
                section.insert("api_version", version);
            }
            section
        }
    }
}

/// Sections of flows that have none.
pub(crate) fn missing_sections(survey: &Survey) -> Map {
    let mut missing = Map::new();
    let usual = BTreeSet::from([USUAL_ENVIRONMENT.to_owned()]);
    let environments = if survey.config.environments.is_empty() { &usual } else { &survey.config.environments };
    let own = |flow: &&FlowFacts| flow.is_own && !survey.config.flows.contains_key(&flow.name);
    for flow in survey.flows.iter().filter(own) {
        let mut shared = Map::from([("flow_path", Value::from(flow.path.as_str()))]);
        if let Some(run) = run_of(survey, flow) {
            shared.insert("data_path", run.data.as_deref());
            if !run.column_mapping.is_empty() {
                shared.insert("column_mapping", run.column_mapping.clone());
            }
        }
        missing.insert(flow.name.as_str(), shared);
        if flow.asking.is_empty() {
            continue;
        }
        let models = models(flow);
        for environment in environments {
            missing.insert(format!("{}_{environment}", flow.name), models.clone());
        }
    }
    missing
}

/// The run file that says most of a flow: one with data.
fn run_of<'s>(survey: &'s Survey, flow: &FlowFacts) -> Option<&'s super::run_files::RunFacts> {
    let of_flow = |run: &&super::run_files::RunFacts| run.flow == flow.path || run.flow == flow.file;
    survey.runs.iter().filter(of_flow).find(|run| run.data.is_some() && run.run.is_none())
}

/// What a flow's nodes ask now: for all of them at once where they agree, else node by node.
fn models(flow: &FlowFacts) -> Map {
    let connections: BTreeSet<_> = flow.asking.iter().map(|asking| asking.connection.as_deref()).collect();
    let deployments: BTreeSet<_> = flow.asking.iter().map(|asking| asking.deployment.as_deref()).collect();
    let mut section = Map::new();
    let one = |found: &BTreeSet<Option<&str>>| match found.iter().collect::<Vec<_>>()[..] {
        [Some(name)] if !name.starts_with("${") => Some((*name).to_owned()),
        _ => None,
    };
    let (connection, deployment) = (one(&connections), one(&deployments));
    section.insert("connection_name", connection.clone());
    section.insert("deployment_name", deployment.clone());
    let mut nodes: BTreeMap<&str, Map> = BTreeMap::new();
    for asking in &flow.asking {
        let own = [
            ("connection_name", &asking.connection, &connection),
            ("deployment_name", &asking.deployment, &deployment),
        ];
        for (key, own, shared) in own {
            if let (Some(own), None) = (own.as_deref().filter(|name| !name.starts_with("${")), shared) {
                nodes.entry(&asking.node).or_default().insert(key, own);
            }
        }
    }
    if !nodes.is_empty() && flow.shape == super::flows::Shape::Dag {
        section.insert("nodes", nodes.into_iter().map(|(name, node)| (name, Value::from(node))).collect::<Map>());
    }
    section.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The old text with more entries under two of its keys; everything else stays as it is, comments too. `None` if it is
/// written in a way that nothing can be put into.
fn merged(old: &str, connections: &Map, sections: &Map) -> Option<String> {
    let mut text = old.to_owned();
    for (key, block) in [("connections", connections), ("flow_configs", sections)] {
        if !block.is_empty() {
            text = with_entries(&text, key, block)?;
        }
    }
    let merged = read(&text)?.root.to_value();
    // Whatever is put in must be read back where it should be, and nothing be lost.
    let has = |key: &str, block: &Map| {
        block.iter().all(|(name, value)| merged.get(key).and_then(|map| map.get(name)) == Some(value))
    };
    let keeps = read(old)?.root.to_value().as_map().is_none_or(|old| {
        old.iter().all(|(key, value)| match value.as_map() {
            Some(map) => map.iter().all(|(name, value)| merged.get(key).and_then(|map| map.get(name)) == Some(value)),
            None => merged.get(key) == Some(value) || value.is_null(),
        })
    });
    (has("connections", connections) && has("flow_configs", sections) && keeps).then_some(text)
}

fn read(text: &str) -> Option<Document> {
    yaml::read(&SourceFile::new(CONFIG_FILE, text)).ok()
}

/// A text with more entries at the end of the map under a key of its top.
fn with_entries(text: &str, key: &str, block: &Map) -> Option<String> {
    let document = read(text)?;
    let text = document.file.text();
    let Some(found) = document.root.entry(key) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Some(format!("{text}{gap}\n{}", entry(key, &Value::from(block.clone()), 0)));
    };
    let indent = match found.value.as_map().and_then(|entries| entries.first()) {
        Some(first) => {
            let column = document.file.position(first.key_span.start).column - 1;
            let is_in_line =
                document.file.position(first.key_span.start).line == document.file.position(found.key_span.start).line;
            if is_in_line {
                return None;
            }
            column
        }
        // `connections:` with nothing behind it.
        None if found.value.as_scalar().is_some_and(Value::is_null) => 2,
        None => return None,
    };
    let place = end_of_block(text, found.key_span.start as usize);
    let entries: String = block.iter().map(|(name, value)| entry(name, value, indent)).collect();
    let gap = if text[..place].ends_with('\n') || place == 0 { "" } else { "\n" };
    Some(format!("{}{gap}{entries}{}", &text[..place], &text[place..]))
}

/// Where the block under a key of the top ends: behind its last line that says something.
fn end_of_block(text: &str, key: usize) -> usize {
    let begin = text[key..].find('\n').map_or(text.len(), |at| key + at + 1);
    let (mut end, mut at) = (begin, begin);
    for line in text[begin..].split_inclusive('\n') {
        let is_top = !line.starts_with([' ', '\t', '-', '#', '\r', '\n']) && !line.trim().is_empty();
        if is_top {
            break;
        }
        at += line.len();
        if !line.trim().is_empty() && !line.starts_with('#') {
            end = at;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, expected: &str) {
        let block = Map::from([("b", Value::from(Map::from([("x", Value::from(1_i64))])))]);
        let merged = merged(old, &Map::new(), &block);
        assert_eq!(merged.as_deref(), Some(expected), "{old}");
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        check(
            "# top\nflow_configs:\n    a:   # mine\n        x: 0\n\n# next\nprices: {}\n",
            "# top\nflow_configs:\n    a:   # mine\n        x: 0\n    b:\n      x: 1\n\n# next\nprices: {}\n",
        );
        check("flow_configs:\n  a: {x: 0}", "flow_configs:\n  a: {x: 0}\n  b:\n    x: 1\n");
        check("flow_configs:\nprices: {}\n", "flow_configs:\n  b:\n    x: 1\nprices: {}\n");
        check("prices: {}\n", "prices: {}\n\nflow_configs:\n  b:\n    x: 1\n");
        check("", "\nflow_configs:\n  b:\n    x: 1\n");
    }

    #[test]
    fn what_nothing_can_be_put_into_is_left_alone() {
        let block = Map::from([("b", Value::from(1_i64))]);
        assert_eq!(merged("flow_configs: {a: {x: 0}}\n", &Map::new(), &block), None);
        assert_eq!(merged("flow_configs: [1]\n", &Map::new(), &block), None);
    }
}
