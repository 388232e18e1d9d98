//! The copy of the flow in a run folder, its variants and connections as the run used them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_flow::plan::Plan;
use sluicegate_source::{SourceFile, yaml};
use sluicegate_value::{Map, Value};

/// Folders that no flow reads, and that may be large. What begins with a dot is left out, too: it may hold keys.
const LEFT_OUT: [&str; 3] = ["__pycache__", "node_modules", "venv"];
/// Files beyond this many are left out: then the folder holds more than a flow.
const MOST_FILES: usize = 2_000;
/// A larger file is data.
const MOST_BYTES: u64 = 100_000_000;

/// The flow of a run, to be copied.
pub(crate) struct FlowCopy {
    /// Its folder or file, absolute.
    pub(crate) path: PathBuf,
    /// The project's root, from which the plan's paths count.
    pub(crate) root: PathBuf,
    pub(crate) plan: Arc<Plan>,
}

/// What is copied, and how much of it there was.
struct Copier<'a> {
    /// The run folder itself may lie in the flow's.
    not: &'a Path,
    files: usize,
    left_out: Vec<String>,
}

impl FlowCopy {
    /// Copies the flow; `options` are what the run remembers of its command line. Returns what was left out.
    pub(super) fn write(&self, options: &Map, to: &Path, not: &Path) -> io::Result<Vec<String>> {
        let mut copier = Copier { not, files: 0, left_out: Vec::new() };
        fs::create_dir_all(to)?;
        if self.path.extension().is_some_and(|extension| extension == "prompty") {
            copier.copy(&self.path, &to.join(self.path.file_name().unwrap_or_default()))?;
            return Ok(copier.left_out);
        }
        let folder = if self.path.is_dir() { &*self.path } else { self.path.parent().unwrap_or(&self.path) };
        copier.copy(folder, to)?;
        for include in &self.plan.includes {
            copier.copy(&self.root.join(&*include.source), &to.join(&*include.target))?;
        }
        let named = ["flow.dag.yaml", "flow.dag.yml"].map(|name| folder.join(name));
        let file = match self.path.is_file() {
            true => Some(&self.path),
            false => named.iter().find(|file| file.is_file()),
        };
        if let Some(file) = file.filter(|_| self.plan.flex.is_none()) {
            let text = fs::read_to_string(file)?;
            fs::write(to.join("flow.dag.yaml"), resolved(&text, options).unwrap_or(text))?;
        }
        Ok(copier.left_out)
    }
}

impl Copier<'_> {
    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let facts = fs::symlink_metadata(from)?;
        if facts.is_dir() {
            let mut entries: Vec<PathBuf> =
                fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
            entries.sort();
            for entry in entries {
                let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if name.starts_with('.') || LEFT_OUT.contains(&&*name) || entry == self.not {
                    continue;
                }
                self.copy(&entry, &to.join(name))?;
            }
            return Ok(());
        }
        // A link may lead out of the project.
        if !facts.is_file() || to.exists() {
            return Ok(());
        }
        self.files += 1;
        if self.files > MOST_FILES || facts.len() > MOST_BYTES {
            if self.left_out.len() < 10 {
                self.left_out.push(from.display().to_string());
            }
            return Ok(());
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to).map(|_| ())
    }
}

/// A flow file with its variants in their places, connections as they were chosen, and without the includes, which are
/// beside it now; `None`: it is that already. Written as JSON, which is YAML as well.
fn resolved(text: &str, options: &Map) -> Option<String> {
    let mut flow = yaml::read(&SourceFile::new("flow.dag.yaml", text)).ok()?.root.to_value().as_map()?.clone();
    let chosen = options.get("variant").and_then(Value::as_str);
    let chosen = chosen.and_then(|text| text.strip_prefix("${")?.strip_suffix('}')?.split_once('.'));
    let connections = options.get("connections").and_then(Value::as_map);
    let mut is_changed = flow.remove("additional_includes").is_some_and(|includes| includes.is_truthy());
    let variants = flow.get("node_variants").cloned().unwrap_or_default();
    let nodes = flow.get("nodes").and_then(Value::as_list).unwrap_or_default().to_vec();
    let mut resolved = Vec::with_capacity(nodes.len());
    for written in nodes {
        let (Some(name), Some(map)) = (written.get("name").and_then(Value::as_str), written.as_map()) else {
            resolved.push(written);
            continue;
        };
        let mut node = map.clone();
        let chosen = chosen.filter(|(of, _)| *of == name).map(|(_, variant)| variant.to_owned());
        let uses = written.get("use_variants").and_then(Value::as_bool) == Some(true);
        let of_node = variants.get(name);
        let default = || of_node?.get("default_variant_id")?.as_str().map(ToOwned::to_owned);
        let variant = chosen.or_else(|| if uses { default() } else { None });
        if let Some(variant) = variant.and_then(|id| of_node?.get("variants")?.get(&id)?.get("node")?.as_map()) {
            node = Map::from([("name", Value::from(name))]);
            node.extend(variant.iter().map(|(key, value)| (key.clone(), value.clone())));
            is_changed = true;
        }
        let of_node = connections.and_then(|connections| connections.get(name));
        if let Some(connection) = of_node.and_then(|of_node| of_node.get("connection")).filter(|name| !name.is_null()) {
            node.insert("connection", connection.clone());
            is_changed = true;
        }
        if let Some(deployment) = of_node.and_then(|of| of.get("deployment_name")).filter(|name| !name.is_null()) {
            let mut inputs = node.get("inputs").and_then(Value::as_map).cloned().unwrap_or_default();
            inputs.insert("deployment_name", deployment.clone());
            node.insert("inputs", inputs);
            is_changed = true;
        }
        resolved.push(node.into());
    }
    flow.insert("nodes", resolved);
    is_changed.then(|| Value::from(flow).to_json_pretty() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "
nodes:
- { name: ask, use_variants: true }
- { name: other, type: prompt, connection: a }
node_variants:
  ask:
    default_variant_id: v0
    variants:
      v0: { node: { type: llm, inputs: { t: 0 } } }
      v1: { node: { type: llm, inputs: { t: 1 } } }
";

    fn check(options: Map, expected: &str) {
        let text = resolved(FLOW, &options).expect("it changes");
        let flow = yaml::read(&SourceFile::new("f", text)).expect("YAML").root.to_value();
        assert_eq!(flow.get("nodes").expect("nodes").to_json(), expected);
    }

    #[test]
    fn variants_stand_in_their_places() {
        let other = r#"{"name":"other","type":"prompt","connection":"a"}"#;
        check(Map::new(), &format!(r#"[{{"name":"ask","type":"llm","inputs":{{"t":0}}}},{other}]"#));
        let chosen = Map::from([("variant", Value::from("${ask.v1}"))]);
        check(chosen, &format!(r#"[{{"name":"ask","type":"llm","inputs":{{"t":1}}}},{other}]"#));
    }

    #[test]
    fn connections_are_those_that_were_chosen() {
        let of_other = Map::from([("connection", Value::from("b")), ("deployment_name", Value::from("d"))]);
        let options = Map::from([("connections", Value::from(Map::from([("other", Value::from(of_other))])))]);
        check(
            options,
            r#"[{"name":"ask","type":"llm","inputs":{"t":0}},{"name":"other","type":"prompt","connection":"b","inputs":{"deployment_name":"d"}}]"#,
        );
    }

    #[test]
    fn a_flow_without_either_stays_word_for_word() {
        assert_eq!(resolved("nodes:\n- { name: a, type: prompt } # why\n", &Map::new()), None);
    }
}
