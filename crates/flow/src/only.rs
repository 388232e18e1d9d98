//! One node of a plan as a plan of its own, for `run --node`.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_value::hash;

use crate::bind::graph_of;
use crate::plan::{InputSpec, InputType, Node, NodeId, NodeKind, Operand, OutputSpec, Plan};

impl Plan {
    /// A plan of one node: what it reads from elsewhere is an input now, named as written: `${inputs.q}` is `q`,
    /// `${fetch.output.items}` is `fetch.output.items`. It has no condition, runs for one line, and gives `output`.
    ///
    /// Returns `None` if there is no node of that name.
    #[must_use]
    pub fn only(&self, name: &str) -> Option<Plan> {
        let node = self.node(self.find(name)?);
        let mut inputs = IndexMap::new();
        let mut alone = Node { activate: None, aggregation: false, ..node.clone() };
        for operand in alone.inputs.values_mut() {
            self.become_input(operand, node, &mut inputs);
        }
        if let NodeKind::Map(map) = &mut alone.kind {
            self.become_input(&mut map.over, node, &mut inputs);
        }
        let from = Operand::Output { node: NodeId(0), property: Arc::default(), written: "".into() };
        let output = OutputSpec { from, evaluation_only: false, at: node.at.clone() };
        let needs = self.needs.iter().filter(|need| need.node.as_ref().is_none_or(|asking| *asking == node.name));
        let hash = hash::sha256(format!("{}\n{name}", self.hash));
        let nodes = vec![alone];
        Some(Plan {
            name: self.name.clone(),
            folder: self.folder.clone(),
            inputs,
            outputs: IndexMap::from([("output".into(), output)]),
            graph: graph_of(&nodes),
            nodes,
            environment_variables: self.environment_variables.clone(),
            message_format: self.message_format,
            chat: None,
            needs: needs.cloned().collect(),
            sample: None,
            includes: self.includes.clone(),
            requirements: self.requirements.clone(),
            flex: self.flex.clone(),
            hash: hash.into(),
        })
    }

    fn become_input(&self, operand: &mut Operand, node: &Node, inputs: &mut IndexMap<Arc<str>, InputSpec>) {
        let name: Arc<str> = match operand {
            Operand::Literal(_) => return,
            Operand::Input(name) => name.clone(),
            Operand::Output { node: source, written, .. } => {
                let source = &self.node(*source).name;
                if written.is_empty() {
                    format!("{source}.output").into()
                } else {
                    format!("{source}.output.{written}").into()
                }
            }
        };
        let spec = match operand {
            Operand::Input(name) => self.inputs.get(name).cloned(),
            _ => None,
        };
        inputs.entry(name.clone()).or_insert_with(|| {
            spec.unwrap_or_else(|| InputSpec {
                kind: InputType::Untouched,
                default: None,
                secret: false,
                description: None,
                at: node.at.clone(),
            })
        });
        *operand = Operand::Input(name);
    }
}
