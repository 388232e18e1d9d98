//! What Python nodes print, while they do: on stderr, each line under its node's name.

use std::collections::HashMap;

use sluicegate_events::{Event, EventKind, Failure, Listener, ListenerError, NodePath, Outcome, Stream};

use crate::terminal::{Printer, harmless};

/// Shows what nodes print, where their exceptions come from, the metrics that they tell, and that objects were lost.
pub(crate) struct ShowPython {
    printer: Printer,
    /// Lines that have begun.
    begun: HashMap<(NodePath, Stream), String>,
}

impl ShowPython {
    pub(crate) fn new(printer: Printer) -> Self {
        Self { printer, begun: HashMap::new() }
    }

    /// Where an exception came from.
    fn trace(&self, node: &NodePath, failure: &Failure) {
        let told = ["traceback", "stderr"].iter().find_map(|name| failure.details.get(name)?.as_str());
        for line in told.unwrap_or_default().trim_end().lines() {
            self.say(node, line);
        }
    }

    fn say(&self, node: &NodePath, line: &str) {
        let title = self.printer.painter().dim(&harmless(&format!("{node} |")));
        self.printer.say(&format!("{title} {}", harmless(line)));
    }
}

impl Listener for ShowPython {
    fn name(&self) -> &'static str {
        "python output"
    }

    fn hear(&mut self, event: &Event) -> Result<(), ListenerError> {
        let node = &event.scope.path;
        match &event.kind {
            EventKind::NodeSaid { stream, text } => {
                let mut line = self.begun.remove(&(node.clone(), *stream)).unwrap_or_default();
                line.push_str(text);
                let begun = match line.rsplit_once('\n') {
                    Some((whole, begun)) => {
                        whole.split('\n').for_each(|line| self.say(node, line.trim_end_matches('\r')));
                        begun.to_owned()
                    }
                    None => line,
                };
                if !begun.is_empty() {
                    self.begun.insert((node.clone(), *stream), begun);
                }
            }
            EventKind::NodeAttemptFailed { failure, .. } => self.trace(node, failure),
            EventKind::NodeFinished { outcome, .. } => {
                for stream in [Stream::Stdout, Stream::Stderr] {
                    if let Some(line) = self.begun.remove(&(node.clone(), stream)) {
                        self.say(node, &line);
                    }
                }
                if let Outcome::Failed { failure } = outcome {
                    self.trace(node, failure);
                }
            }
            EventKind::MetricLogged { key, value } => self.say(node, &format!("metric {key} = {}", value.to_json())),
            EventKind::ObjectsLost { nodes, .. } => {
                let nodes: Vec<String> = nodes.iter().map(|node| format!("`{node}`")).collect();
                let again = if nodes.is_empty() { String::new() } else { format!("; again: {}", nodes.join(", ")) };
                self.printer.warn(&harmless(&format!(
                    "a Python worker ended with objects that are still needed: the nodes that made them run again{again}"
                )));
            }
            EventKind::RunResumed { repeated_nodes, .. } if *repeated_nodes > 0 => {
                let nodes =
                    if *repeated_nodes == 1 { "1 node runs".to_owned() } else { format!("{repeated_nodes} nodes run") };
                let why = "what they gave could not be kept as it was";
                self.printer.say(&self.printer.painter().dim(&format!("{nodes} again: {why}")));
            }
            _ => {}
        }
        Ok(())
    }
}
