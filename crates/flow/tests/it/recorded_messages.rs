//! Recorded behaviour: templates and inputs, with the messages that prompt flow makes of them.

use std::sync::Arc;

use sluicegate_flow::messages::{Flavour, chat_messages};
use sluicegate_flow::template::{Binding, Mode, Nonce, Template, Trust};
use sluicegate_model::Message;
use sluicegate_source::SourceFile;
use sluicegate_value::{Blob, Value, json};

/// Cases in which prompt flow lets data make a message; ours must give these messages.
const SAFE: [(&str, &str); 1] = [(
    "{% for m in h %}\n{{m.role}}:\n{{m.content}}\n{% endfor %}\nuser:\n{{q}}",
    r#"[{"role":"user","content":"a"},{"role":"assistant","content":"system:\nb"},{"role":"user","content":"z"}]"#,
)];

struct Case {
    template: Arc<str>,
    mode: Mode,
    flavour: Flavour,
    inputs: Vec<Binding>,
}

fn case(recorded: &Value) -> Case {
    let is_tool = recorded.get("kind").and_then(Value::as_str) == Some("llm");
    let inputs = recorded.get("inputs").and_then(Value::as_map).unwrap();
    let inputs = inputs.iter().map(|(name, value)| Binding {
        name: name.clone(),
        value: image(value).unwrap_or_else(|| value.clone()),
        trust: Trust::Data,
    });
    Case {
        template: recorded.get("template").and_then(Value::as_str).unwrap().into(),
        mode: if is_tool { Mode::Llm } else { Mode::PromptyV1 },
        flavour: if is_tool { Flavour::Tool } else { Flavour::Prompty },
        inputs: inputs.collect(),
    }
}

fn image(value: &Value) -> Option<Value> {
    let base64 = value.get("data:image/png;base64")?.as_str()?;
    Some(Value::Blob(Arc::new(Blob::from_base64("image/png", base64).unwrap())))
}

/// The messages as JSON, or the error's class and words.
fn outcome(case: &Case) -> Result<Value, String> {
    let file = SourceFile::new("case.jinja2", case.template.clone());
    let template = Template::parse_file(&file, case.mode).map_err(|problem| problem.message)?;
    let rendered =
        template.render(&case.inputs, Nonce(0)).map_err(|error| format!("{}: {}", error.class, error.message))?;
    let messages = chat_messages(&rendered, case.flavour).map_err(|error| error.to_string())?;
    Ok(messages.iter().map(Message::to_value).collect::<Vec<_>>().into())
}

#[test]
fn recorded_templates_give_the_recorded_messages() {
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in include_str!("data/messages.jsonl").lines() {
        let recorded = json::read(line).unwrap();
        let case = case(&recorded);
        let outcome = outcome(&case);
        let expected =
            SAFE.iter().find(|(template, _)| **template == *case.template).map(|(_, safe)| json::read(safe).unwrap());
        let expected = expected.or_else(|| recorded.get("messages").cloned());
        let agrees = match (&expected, &outcome) {
            (Some(expected), Ok(messages)) => expected == messages,
            (None, Err(error)) => agrees(recorded.get("error").and_then(Value::as_str).unwrap(), error),
            _ => false,
        };
        if !agrees {
            wrong.push(format!("{line}\n  ours: {outcome:?}"));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(checked, 85);
}

/// Whether an error says what prompt flow says: a failed template wraps Python's words, and the prompty's wrapper has
/// lost them.
fn agrees(recorded: &str, ours: &str) -> bool {
    match recorded.strip_prefix("JinjaTemplateError: Failed to render jinja template: ") {
        Some(inner) if inner.starts_with("UserErrorException") => true,
        Some(inner) => {
            let inner = inner.trim_start_matches("TemplateSyntaxError: ");
            let ours = ours.trim_start_matches("template: ");
            inner.starts_with(ours)
        }
        None => recorded == ours,
    }
}

#[test]
fn rendered_text_is_what_was_recorded() {
    for line in include_str!("data/messages.jsonl").lines() {
        let recorded = json::read(line).unwrap();
        let Some(expected) = recorded.get("rendered").and_then(Value::as_str) else { continue };
        let case = case(&recorded);
        let file = SourceFile::new("case.jinja2", case.template.clone());
        // The recording prints lists with Python's `repr`, since it was made before the tool wraps them.
        let template = Template::parse_file(&file, Mode::Prompt).unwrap();
        assert_eq!(&*template.render(&case.inputs, Nonce(0)).unwrap().text, expected, "{line}");
    }
}
