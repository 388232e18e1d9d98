//! `run.yaml`: what prompt flow's `pf run create --file` takes (spec: promptflow.md §3). Paths count from the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_dataset::MappingEntry;
use sluicegate_flow::bind::NodeBinding;
use sluicegate_flow::plan::Place;
use sluicegate_model::ConnectionName;
use sluicegate_source::yaml::{self, Entry};
use sluicegate_source::{Problem, SourceFile, suggest};
use sluicegate_value::{Map, Value};

/// What a `run.yaml` says.
#[derive(Debug, Default)]
pub(crate) struct RunFile {
    /// The flow, absolute.
    pub(crate) flow: Option<String>,
    /// The data, absolute; `azureml:` references as they are written.
    pub(crate) data: Option<String>,
    pub(crate) run: Option<String>,
    pub(crate) mapping: Vec<MappingEntry>,
    pub(crate) variant: Option<String>,
    pub(crate) nodes: IndexMap<Arc<str>, NodeBinding>,
    pub(crate) variables: Map,
    pub(crate) init: Map,
    pub(crate) name: Option<String>,
    /// What is understood and means nothing here, and what is not understood.
    pub(crate) warnings: Vec<Problem>,
}

const KEYS: [&str; 16] = [
    "$schema",
    "name",
    "display_name",
    "description",
    "tags",
    "properties",
    "flow",
    "data",
    "run",
    "column_mapping",
    "variant",
    "connections",
    "environment_variables",
    "init",
    "resume_from",
    "type",
];

/// Keys that only mean something in Azure.
const OF_THE_CLOUD: [&str; 3] = ["resources", "identity", "runtime"];

impl RunFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places.
    pub(crate) fn read(path: &Path, shown: &str) -> Result<Self, Vec<Problem>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![Problem::error("run::missing_file", format!("`{shown}` cannot be read: {error}"))])?;
        let file = SourceFile::new(shown, text);
        let root = yaml::read(&file)?.root;
        let Some(entries) = root.as_map() else {
            let problem = Problem::error("run::no_map", format!("`{shown}` is {}, not a map", root.described()));
            return Err(vec![
                problem.in_file(&file).at(root.span, "").help("it names `flow:`, `data:` and `column_mapping:`"),
            ]);
        };
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let mut reader = Reader { file, folder, read: Self::default(), problems: Vec::new() };
        entries.iter().for_each(|entry| reader.entry(entry));
        match reader.problems.is_empty() {
            true => Ok(reader.read),
            false => Err(reader.problems),
        }
    }
}

struct Reader {
    file: Arc<SourceFile>,
    folder: PathBuf,
    read: RunFile,
    problems: Vec<Problem>,
}

impl Reader {
    fn entry(&mut self, entry: &Entry) {
        match &*entry.key {
            "flow" => self.read.flow = self.path(entry),
            "data" => self.read.data = self.path(entry),
            "run" => self.read.run = self.text(entry),
            "variant" => self.read.variant = self.text(entry),
            "name" => self.read.name = self.text(entry),
            "column_mapping" => {
                for (name, value, at) in self.entries(entry) {
                    self.read.mapping.push(MappingEntry { target: name, value, at: Some(at) });
                }
            }
            "environment_variables" if entry.value.as_str().is_some() => {
                let message = "`environment_variables` names a file; here it takes NAME: value";
                self.warn(entry, message, "put the file's lines into .env, which is read anyway");
            }
            "environment_variables" => {
                self.read.variables = self.entries(entry).into_iter().map(|(name, value, _)| (name, value)).collect();
            }
            "init" => self.read.init = self.entries(entry).into_iter().map(|(name, value, _)| (name, value)).collect(),
            "connections" => {
                for (node, value, at) in self.entries(entry) {
                    match node_binding(&value) {
                        Ok(binding) => {
                            self.read.nodes.insert(node, binding);
                        }
                        Err(why) => self.problems.push(
                            Problem::error("run::connection", format!("`connections.{node}`: {why}"))
                                .in_file(&at.file)
                                .at(at.span, ""),
                        ),
                    }
                }
            }
            "resume_from" => {
                let message = "`resume_from` is a flag here";
                self.warn(entry, message, "write `sluicegate batch --resume RUN`, which goes on with the same run");
            }
            key if OF_THE_CLOUD.contains(&key) => {
                self.warn(
                    entry,
                    &format!("`{key}` is for the cloud and means nothing here"),
                    "the batch runs on this machine",
                );
            }
            key if KEYS.contains(&key) => {}
            key => {
                let help = match suggest::nearest(key, KEYS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "it is passed by".to_owned(),
                };
                self.warn(entry, &format!("a run file has no key `{key}`"), &help);
            }
        }
    }

    fn warn(&mut self, entry: &Entry, message: &str, help: &str) {
        let problem = Problem::warning("run::no_effect", message).in_file(&self.file).at(entry.key_span, "").help(help);
        self.read.warnings.push(problem);
    }

    fn wrong(&mut self, entry: &Entry, wanted: &str) {
        let message = format!("`{}` is {}, not {wanted}", entry.key, entry.value.described());
        self.problems.push(Problem::error("run::type", message).in_file(&self.file).at(entry.value.span, ""));
    }

    fn text(&mut self, entry: &Entry) -> Option<String> {
        if entry.value.as_scalar().is_some_and(|value| *value == Value::Null) {
            return None;
        }
        let text = entry.value.as_str().map(ToOwned::to_owned);
        if text.is_none() {
            self.wrong(entry, "a text");
        }
        text
    }

    /// A path as it counts from the file. What is no path is told by whoever opens it.
    fn path(&mut self, entry: &Entry) -> Option<String> {
        let text = self.text(entry)?;
        let text = text.strip_prefix("file:").map_or(text.as_str(), |rest| rest.trim_start_matches("//"));
        match text.to_lowercase().starts_with("azureml:") || text.contains("://") {
            true => Some(text.to_owned()),
            false => Some(self.folder.join(text).display().to_string()),
        }
    }

    fn entries(&mut self, entry: &Entry) -> Vec<(Arc<str>, Value, Place)> {
        match entry.value.as_map() {
            Some(entries) => entries
                .iter()
                .map(|entry| {
                    let at = Place { file: self.file.clone(), span: entry.value.span };
                    (entry.key.clone(), entry.value.to_value(), at)
                })
                .collect(),
            None if entry.value.as_scalar().is_some_and(|value| *value == Value::Null) => Vec::new(),
            None => {
                self.wrong(entry, "a map");
                Vec::new()
            }
        }
    }
}

/// A node's connection and deployment: `{ connection: aoai, deployment_name: gpt-4o }`.
fn node_binding(value: &Value) -> Result<NodeBinding, String> {
    let map = value.as_map().ok_or("it takes connection and deployment_name")?;
    let mut binding = NodeBinding::default();
    for (key, value) in map {
        let text = value.as_str().ok_or_else(|| format!("`{key}` must be a text"))?;
        match &**key {
            "connection" | "connection_name" => binding.connection = Some(ConnectionName::from(text)),
            "deployment_name" | "model" | "deployment" => binding.deployment_name = Some(text.into()),
            other => return Err(format!("there is no `{other}`: it takes connection and deployment_name")),
        }
    }
    Ok(binding)
}

/// `--connections NODE.connection=NAME NODE.deployment_name=NAME`, over what is there.
pub(crate) fn node_flags(flags: &[String], nodes: &mut IndexMap<Arc<str>, NodeBinding>) -> Result<(), String> {
    for flag in flags {
        let wrong = || format!("`--connections {flag}`: write NODE.connection=NAME or NODE.deployment_name=NAME");
        let (place, value) = flag.split_once('=').ok_or_else(wrong)?;
        let (node, key) = place.rsplit_once('.').ok_or_else(wrong)?;
        let one = node_binding(&Value::from(Map::from([(key, Value::from(value))]))).map_err(|_| wrong())?;
        let binding = nodes.entry(node.into()).or_default();
        binding.connection = one.connection.or(binding.connection.take());
        binding.deployment_name = one.deployment_name.or(binding.deployment_name.take());
    }
    Ok(())
}

/// What a run remembers of nodes' connections.
pub(crate) fn nodes_to_map(nodes: &IndexMap<Arc<str>, NodeBinding>) -> Map {
    let node = |binding: &NodeBinding| {
        let mut map = Map::new();
        if let Some(connection) = &binding.connection {
            map.insert("connection", connection.0.clone());
        }
        if let Some(name) = &binding.deployment_name {
            map.insert("deployment_name", name.clone());
        }
        map
    };
    nodes.iter().map(|(name, binding)| (name.clone(), Value::from(node(binding)))).collect()
}

/// The same, from what a run remembers.
pub(crate) fn nodes_from_map(map: &Map) -> IndexMap<Arc<str>, NodeBinding> {
    map.iter().filter_map(|(name, value)| Some((name.clone(), node_binding(value).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<RunFile, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.yaml");
        std::fs::write(&path, text).expect("written");
        RunFile::read(&path, "run.yaml")
            .map_err(|problems| problems.iter().map(|problem| problem.message.clone()).collect())
    }

    #[test]
    fn a_run_file_of_the_original_reads() {
        let read = check(
            "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Run.schema.json\nflow: ../flows/web\n\
             data: data.jsonl\ncolumn_mapping: {url: '${data.url}', n: 3}\nvariant: ${a.v1}\n\
             connections: {a: {connection: aoai, deployment_name: gpt}}\nenvironment_variables: {A: b}\n\
             runtime: x\ndisplay_nam: y\n",
        )
        .expect("reads");
        assert!(read.flow.unwrap().ends_with("../flows/web"));
        assert_eq!(read.mapping.len(), 2);
        assert_eq!(&*read.nodes["a"].connection.clone().unwrap().0, "aoai");
        let warnings: Vec<&str> = read.warnings.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            warnings,
            ["`runtime` is for the cloud and means nothing here", "a run file has no key `display_nam`"]
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = check("flow: [a]\ncolumn_mapping: x\nconnections: {a: {conection: b}}\n").unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(check("- a").unwrap_err(), ["`run.yaml` is a list, not a map"]);
    }

    #[test]
    fn flags_name_a_node_and_a_key() {
        let mut nodes = IndexMap::new();
        node_flags(&["a.connection=x".to_owned(), "a.deployment_name=y".to_owned()], &mut nodes).unwrap();
        assert_eq!(nodes_to_map(&nodes_from_map(&nodes_to_map(&nodes))).get("a"), nodes_to_map(&nodes).get("a"));
        assert!(node_flags(&["connection=x".to_owned()], &mut nodes).is_err());
    }
}
