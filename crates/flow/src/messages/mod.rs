//! Text to messages: role headers cut a rendered prompt into a conversation (spec: promptflow.md §2.4).
//!
//! ```text
//! Rendered { text, headers } ──headings──► lines that the template wrote ──► sections ──fields, images──► messages
//! ```
//!
//! Nothing in the text is a header, or a field such as `name:`, unless its colon is among [`Rendered::headers`]: a
//! message's text can look like whatever it likes. Within a section a value may be data (`name:` and then
//! `{{ speaker }}`), the field itself may not.

mod content;
mod fields;
mod headings;
mod literal;

use sluicegate_model::Message;

use crate::template::Rendered;

pub(crate) use content::{ImageLines, content};
pub(crate) use headings::{Heading, headings, is_python_space, strip};

/// Whose habits the cutting follows (spec: promptflow.md §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// The `llm` tool: images stay text.
    Tool,
    /// A prompty of version 1 and the vision tools: a line that prints as an image becomes it.
    Prompty,
}

/// Why a text is no conversation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct MessagesError {
    /// The name of prompt flow's exception: `ChatAPIInvalidRole` …
    pub class: &'static str,
    /// What is wrong, in prompt flow's words.
    pub message: String,
}

/// The roles of a header, in the order in which errors list them.
const ROLES: [&str; 5] = ["system", "user", "assistant", "function", "tool"];
/// The role that the original does not know: a header only where it is switched on.
const DEVELOPER: &str = "developer";

/// Cuts a rendered prompt into messages, by the roles that the original knows; see [`conversation`].
///
/// # Errors
/// Text before the first header, and messages of roles `function` and `tool` without what they need.
pub fn chat_messages(rendered: &Rendered, flavour: Flavour) -> Result<Vec<Message>, MessagesError> {
    conversation(rendered, flavour, false)
}

/// Cuts a rendered prompt into messages. With `developer_role`, `developer:` is a header too.
///
/// # Errors
/// As [`chat_messages`].
pub fn conversation(
    rendered: &Rendered,
    flavour: Flavour,
    developer_role: bool,
) -> Result<Vec<Message>, MessagesError> {
    let roles = || ROLES.into_iter().chain(developer_role.then_some(DEVELOPER));
    let text = &*rendered.text;
    let headings: Vec<Heading<'_>> = headings(rendered).collect();
    let sections: Vec<(&'static str, &Heading<'_>)> =
        headings.iter().filter_map(|heading| Some((role(heading, roles())?, heading))).collect();
    let images = match flavour {
        Flavour::Tool => ImageLines::none(),
        Flavour::Prompty => ImageLines::of(&rendered.images),
    };
    // Where a header's own line begins, or the line with nothing but its `#` before it.
    let starts: Vec<usize> = sections.iter().map(|(_, heading)| hash_line_start(text, heading)).collect();
    let before = strip(text.get(..starts.first().copied().unwrap_or(text.len())).unwrap_or(text));
    if !before.is_empty() {
        return Err(invalid_role(before, flavour, roles()));
    }
    let mut messages = Vec::with_capacity(sections.len());
    for (index, (role, heading)) in sections.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        let section = fields::Section { text, start: heading.end, end, headings: &headings };
        messages.push(message(role, &section, &images)?);
    }
    Ok(messages)
}

/// The role that a line is the header of: at most one `#`, and a line break behind it.
fn role(heading: &Heading<'_>, mut roles: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if heading.hashes > 1 || !heading.has_line_break {
        return None;
    }
    roles.find(|role| role.eq_ignore_ascii_case(heading.word))
}

/// Python's `^\s*#?\s*role` crosses lines: a line with only `#`, then blank ones, belongs to the header after them.
fn hash_line_start(text: &str, heading: &Heading<'_>) -> usize {
    let before = text.get(..heading.start).unwrap_or("");
    if heading.hashes == 0
        && let Some(above) = before.trim_end_matches(is_python_space).strip_suffix('#')
    {
        let line_start = above.rfind('\n').map_or(0, |newline| newline + 1);
        if above.get(line_start..).is_some_and(|rest| strip(rest).is_empty()) {
            return line_start;
        }
    }
    heading.start
}

fn message(role: &'static str, section: &fields::Section<'_>, images: &ImageLines) -> Result<Message, MessagesError> {
    let mut message = Message { content: None, ..Message::text(role, "") };
    let said = match role {
        "function" => {
            let (name, said) = section.value_and_content("name").ok_or_else(function_format)?;
            message.name = Some(name.into());
            said
        }
        "tool" => {
            let (id, said) = section.value_and_content("tool_call_id").ok_or_else(tool_format)?;
            message.tool_call_id = Some(id.into());
            said
        }
        _ => {
            if role == "assistant"
                && let Some(calls) = section.tool_calls()
            {
                message.tool_calls = Some(calls);
                return Ok(message);
            }
            match section.value_and_content("name") {
                Some((name, said)) => {
                    message.name = Some(name.into());
                    said
                }
                None => section.body(),
            }
        }
    };
    message.content = Some(content(strip(said), images));
    Ok(message)
}

fn invalid_role(text: &str, flavour: Flavour, roles: impl Iterator<Item = &'static str>) -> MessagesError {
    let roles: Vec<String> = roles.map(|role| format!("'{role}:\\n'")).collect();
    MessagesError {
        class: match flavour {
            Flavour::Tool => "ChatAPIInvalidRole",
            Flavour::Prompty => "ChatAPIInvalidRoleError",
        },
        message: format!(
            "The Chat API requires a specific format for prompt definition, and the prompt should include separate \
             lines as role delimiters: {}. Current parsed role '{}' does not meet the requirement. If you intend to \
             use the Completion API, please select the appropriate API type and deployment name. If you do intend to \
             use the Chat API, please refer to the guideline at https://aka.ms/pfdoc/chat-prompt or view the samples \
             in our gallery that contain 'Chat' in the name.",
            roles.join(","),
            text.to_lowercase(),
        ),
    }
}

fn function_format() -> MessagesError {
    MessagesError {
        class: "ChatAPIFunctionRoleInvalidFormat",
        message: "Failed to parse function role prompt. Please make sure the prompt follows the format: \
                  'name:\\nfunction_name\\ncontent:\\nfunction_content'. 'name' is required if role is function, and \
                  it should be the name of the function whose response is in the content. May contain a-z, A-Z, 0-9, \
                  and underscores, with a maximum length of 64 characters. See more details in \
                  https://platform.openai.com/docs/api-reference/chat/create#chat/create-name or view sample 'How to \
                  use functions with chat models' in our gallery."
            .to_owned(),
    }
}

fn tool_format() -> MessagesError {
    MessagesError {
        class: "ChatAPIToolRoleInvalidFormat",
        message: "Failed to parse tool role prompt. Please make sure the prompt follows the format: \
                  'tool_call_id:\\ntool_call_id\\ncontent:\\ntool_content'. 'tool_call_id' is required if role is \
                  tool, and it should be the tool call that this message is responding to. See more details in \
                  https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages"
            .to_owned(),
    }
}
