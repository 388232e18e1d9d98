//! `run.yaml` files: what is run with which data (spec: promptflow.md §3).

use sluicegate_source::yaml::{self, Document};
use sluicegate_value::Map;

use super::flows::text_at;
use super::survey::{from_folder, parent};

/// Keys that only mean something in Azure.
const OF_THE_CLOUD: &[&str] = &["resources", "identity", "runtime"];

/// A `run.yaml`.
#[derive(Clone, Debug)]
pub(crate) struct RunFacts {
    pub(crate) file: String,
    /// Where the flow lies, below the project; empty for a flow of the cloud.
    pub(crate) flow: String,
    pub(crate) data: Option<String>,
    /// The run whose outputs it reads.
    pub(crate) run: Option<String>,
    pub(crate) column_mapping: Map,
    pub(crate) variant: Option<String>,
    /// The names of the variables that it sets.
    pub(crate) environment_variables: Vec<String>,
    pub(crate) connections: Map,
    pub(crate) has_init: bool,
    /// Keys that are only of the cloud.
    pub(crate) of_the_cloud: Vec<String>,
}

/// Every run file among the documents.
pub(crate) fn all(documents: &[Document]) -> Vec<RunFacts> {
    documents.iter().filter_map(read).collect()
}

fn read(document: &Document) -> Option<RunFacts> {
    let root = &document.root;
    let file = document.file.name();
    let schema = text_at(root, &["$schema"]).unwrap_or_default();
    let flow = text_at(root, &["flow"])?;
    let has_shape = ["data", "run", "column_mapping"].iter().any(|key| root.get(key).is_some())
        && root.get("evaluators").is_none()
        && root.get("datasets").is_none();
    if !schema.contains("Run.schema.json") && !has_shape {
        return None;
    }
    let local = |path: String| from_folder(parent(file), path.strip_prefix("file:").unwrap_or(&path));
    let is_remote = |path: &str| path.starts_with("azureml:") || path.contains("://");
    let map = |key: &str| root.get(key).map(yaml::Node::to_value).and_then(|value| value.as_map().cloned());
    let data = text_at(root, &["data"]);
    let mut of_the_cloud: Vec<String> =
        OF_THE_CLOUD.iter().filter(|key| root.get(key).is_some()).map(|key| (*key).to_owned()).collect();
    of_the_cloud.extend(data.iter().filter(|path| is_remote(path)).map(|path| format!("data: {path}")));
    of_the_cloud.extend(Some(&flow).filter(|path| is_remote(path)).map(|path| format!("flow: {path}")));
    Some(RunFacts {
        file: file.to_owned(),
        flow: if is_remote(&flow) { String::new() } else { local(flow) },
        data: data.filter(|path| !is_remote(path)).map(local),
        run: text_at(root, &["run"]),
        column_mapping: map("column_mapping").unwrap_or_default(),
        variant: text_at(root, &["variant"]),
        environment_variables: map("environment_variables")
            .unwrap_or_default()
            .keys()
            .map(ToString::to_string)
            .collect(),
        connections: map("connections").unwrap_or_default(),
        has_init: root.get("init").is_some(),
        of_the_cloud,
    })
}
