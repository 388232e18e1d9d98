//! What stands in the file for a Python node's inputs, as its tool wants it (spec: promptflow.md §1.8, §10.1).

use std::sync::Arc;

use sluicegate_flow::files::FileError;
use sluicegate_flow::image::Images;
use sluicegate_flow::plan::{MessageFormat, Node, Operand, PythonNode};
use sluicegate_python::{Argument, ParameterType, StrongType, Tool};
use sluicegate_source::{SourceFile, suggest, yaml};
use sluicegate_value::{Map, Value};

use super::side::{PythonSide, Workplace};
use super::trouble::LoadTrouble;
use super::world::NoConnection;

impl PythonSide {
    pub(super) async fn literals(
        &self,
        node: &Node,
        python: &PythonNode,
        workplace: &Workplace,
        tool: &Tool,
    ) -> Result<Vec<(Arc<str>, Argument)>, LoadTrouble> {
        let mut plain = Map::new();
        let mut ready = Vec::new();
        for (name, operand) in &node.inputs {
            let Operand::Literal(value) = operand else { continue };
            let kind = tool.parameter(name).map(|parameter| &parameter.kind);
            let text = value.as_str();
            if value.is_null() || text.is_some_and(str::is_empty) {
                continue;
            }
            let argument = match (kind, text) {
                (Some(ParameterType::Connection { classes, custom }), Some(text)) => {
                    self.connection_for(&node.name.0, name, text, classes, custom.as_deref())?
                }
                (Some(ParameterType::Image), _) => Argument::Value(self.image(node, name, value, workplace)?),
                (Some(ParameterType::Other(kind)), Some(text)) if kind == "assistant_definition" => {
                    Argument::Assistant(self.assistant(node, name, text, workplace)?)
                }
                _ => {
                    plain.insert(name.clone(), value.clone());
                    continue;
                }
            };
            ready.push((name.clone(), argument));
        }
        let plain = workplace.pool.literals(tool, &node.name.0, &plain).await.map_err(LoadTrouble::of_python)?;
        ready.extend(plain.iter().map(|(name, value)| (name.clone(), Argument::Value(value.clone()))));
        if let Some(template) = &python.template {
            let is_template =
                |kind: &ParameterType| matches!(kind, ParameterType::Other(kind) if kind == "prompt_template");
            let parameter = tool.parameters.iter().find(|parameter| is_template(&parameter.kind));
            let name = parameter.map_or_else(|| "prompt".into(), |parameter| parameter.name.clone());
            ready.push((name, Argument::Value(template.source().into())));
        }
        if let Some(connection) = &python.connection
            && !node.inputs.contains_key("connection")
            && let Some(ParameterType::Connection { classes, custom }) =
                tool.parameter("connection").map(|parameter| &parameter.kind)
        {
            let argument =
                self.connection_for(&node.name.0, "connection", &connection.0, classes, custom.as_deref())?;
            ready.push(("connection".into(), argument));
        }
        Ok(ready)
    }

    /// The connection that a literal names, of a class that the parameter takes.
    pub(super) fn connection_for(
        &self,
        node: &str,
        input: &str,
        name: &str,
        classes: &[String],
        custom: Option<&str>,
    ) -> Result<Argument, LoadTrouble> {
        let mut connection = self.world().connection(name).map_err(|missing| match missing {
            NoConnection::Unknown { known } => {
                let near = suggest::nearest(name, known.iter().map(String::as_str)).map(ToOwned::to_owned);
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("describe it as `connections.{name}` in config/config.yaml"),
                };
                let message = format!(
                    "Get connection '{name}' for node '{node}' error: Connection '{name}' not found, input '{input}'."
                );
                LoadTrouble { help: Some(help), ..LoadTrouble::new("GetConnectionError", message) }
            }
            NoConnection::Broken { message } => LoadTrouble::new(
                "GetConnectionError",
                format!("Get connection '{name}' for node '{node}' error: {message}"),
            ),
        })?;
        // What the original has no class for stands for whatever models are asked by: it is asked by its name.
        if matches!(&*connection.type_name, "simulated" | "anthropic") {
            let stands_for = [("AzureOpenAIConnection", "azure_open_ai"), ("OpenAIConnection", "open_ai")];
            let wanted = stands_for.iter().find(|(class, _)| classes.iter().any(|wanted| wanted == class));
            if let Some((_, type_name)) = wanted {
                connection.type_name = (*type_name).into();
            }
        }
        let class = connection.class_name().to_owned();
        match (custom, classes) {
            // A class of the author's own is made of a custom connection.
            (Some(module), [own]) if class == "CustomConnection" => {
                connection.class = Some(StrongType { module: module.into(), class: own.as_str().into() });
            }
            (_, []) => {}
            (_, classes) if classes.contains(&class) => {}
            (_, classes) => {
                let valid = Value::from(classes.iter().map(|class| Value::from(class.as_str())).collect::<Vec<_>>());
                return Err(LoadTrouble::new(
                    "NodeInputValidationError",
                    format!(
                        "Input '{input}' for node '{node}' of type '{class}' is not supported, valid types {}.",
                        sluicegate_value::python::repr(&valid)
                    ),
                ));
            }
        }
        Ok(Argument::Connection(connection))
    }

    fn image(&self, node: &Node, input: &str, value: &Value, workplace: &Workplace) -> Result<Value, LoadTrouble> {
        let read = |path: &str| {
            let bytes = self.world().read(&workplace.place.folder.join(path));
            bytes.map(Arc::from).map_err(|reason| FileError::Unreadable { path: path.to_owned(), reason })
        };
        Images::new(MessageFormat::Basic, &read).image(value).map_err(|error| {
            let message = format!("Input '{input}' for node '{}' is no image: {error}", node.name);
            LoadTrouble::new("NodeInputValidationError", message)
        })
    }

    /// What a YAML file says of an assistant; its tools' files lie beside it.
    fn assistant(&self, node: &Node, input: &str, path: &str, workplace: &Workplace) -> Result<Map, LoadTrouble> {
        let trouble = |why: String| {
            let message = format!("Input '{input}' for node '{}' is no assistant definition: {why}", node.name);
            LoadTrouble::new("NodeInputValidationError", message)
        };
        let bytes = self.world().read(&workplace.place.folder.join(path)).map_err(trouble)?;
        let text = String::from_utf8(bytes).map_err(|error| trouble(error.to_string()))?;
        let file = SourceFile::new(path, text);
        let document = yaml::read(&file).map_err(|problems| {
            trouble(problems.first().map_or_else(String::new, |problem| problem.message.clone()))
        })?;
        let told = document.root.to_value();
        let mut definition = told.as_map().cloned().ok_or_else(|| trouble("it is no map".to_owned()))?;
        definition.insert("folder", workplace.place.folder.display().to_string());
        Ok(definition)
    }
}
