//! What a flex flow's class is made with: given, else the sample's, else defaults.

use sluicegate_source::Problem;
use sluicegate_value::{Map, Value};

use super::Binder;
use crate::plan::{NodeName, Operand, Place, Plan};

impl Binder<'_, '_> {
    pub(super) fn init(&mut self, plan: &mut Plan) {
        let (Some(flex), Some(node)) = (&mut plan.flex, plan.nodes.first()) else {
            if !self.bindings.init.is_empty() {
                let message = format!("flow `{}` is no flex flow: nothing is made with `init`", plan.name);
                self.problems.push(Problem::error("flow::bad_init", message).help("give it inputs"));
            }
            return;
        };
        let given = match &flex.sample_init {
            Some(sample) if self.bindings.init.is_empty() => sample.clone(),
            _ => self.bindings.init.clone(),
        };
        let mut values = Map::new();
        for (name, value) in &given {
            let declared = flex.init.get(name).and_then(|spec| spec.at.as_ref());
            values.insert(name.clone(), self.filled_in(value, declared.unwrap_or(&node.at)));
        }
        for (_, spec) in flex.init.iter_mut().filter(|(name, _)| !given.contains_key(name)) {
            let place = spec.at.as_ref().unwrap_or(&node.at);
            spec.default = spec.default.as_ref().map(|default| self.filled_in(default, place));
        }
        for (name, spec) in flex.init.iter().filter(|(_, spec)| spec.connection) {
            let named = values.get(name).or(spec.default.as_ref()).and_then(Value::as_str);
            self.made_with_connection(&node.name, named, spec.at.as_ref().unwrap_or(&node.at));
        }
        // A model's configuration may name a connection, whatever class it becomes.
        for map in values.values().filter_map(Value::as_map) {
            let named = map.get("connection").and_then(Value::as_str);
            self.made_with_connection(&node.name, named, &node.at);
        }
        match flex.made_with(&values) {
            Ok(values) => flex.init_values = values,
            Err(problems) => self.problems.extend(problems),
        }
    }

    fn made_with_connection(&mut self, node: &NodeName, named: Option<&str>, place: &Place) {
        if let Some(named) = named {
            self.check_connection(node, None, Some(&named.into()), place);
        }
    }

    /// A value with every text `${env:NAME}` in it replaced.
    fn filled_in(&mut self, value: &Value, place: &Place) -> Value {
        match value {
            Value::List(items) => items.iter().map(|item| self.filled_in(item, place)).collect::<Vec<_>>().into(),
            Value::Map(map) => {
                map.iter().map(|(key, item)| (key.clone(), self.filled_in(item, place))).collect::<Map>().into()
            }
            plain => {
                let mut operand = Operand::Literal(plain.clone());
                self.fill_in(&mut operand, place);
                match operand {
                    Operand::Literal(value) => value,
                    Operand::Input(_) | Operand::Output { .. } => plain.clone(),
                }
            }
        }
    }
}
