//! Anthropic's messages.

use serde::Serialize;
use serde_json::json;
use sluicegate_model::FilterState;
use sluicegate_model::script::{CalledTool, Reply};
use sluicegate_value::json as value_json;

use super::{About, Id};
use crate::simulate::frames::{Frames, words};

#[derive(Serialize)]
pub(in crate::simulate) struct Message<'a> {
    id: Id,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<()>,
    usage: Usage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    ToolUse { id: String, name: &'a str, input: serde_json::Value },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta<'a> {
    TextDelta { text: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize)]
struct BlockStart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: usize,
    content_block: Block<'a>,
}

#[derive(Serialize)]
struct BlockDelta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: usize,
    delta: Delta<'a>,
}

pub(in crate::simulate) fn whole<'a>(about: &About<'a>, reply: &'a Reply) -> Message<'a> {
    let text = said(reply).map(|text| Block::Text { text });
    let calls = reply.tool_calls.iter().map(|call| Block::ToolUse {
        id: tool_use_id(call),
        name: &call.name,
        input: input(&call.arguments),
    });
    Message {
        content: text.into_iter().chain(calls).collect(),
        stop_reason: Some(stop_reason(reply)),
        ..begun(about, reply, output_tokens(reply))
    }
}

pub(in crate::simulate) fn events(about: &About<'_>, reply: &Reply) -> Frames {
    let mut frames = Frames::default();
    let message = begun(about, reply, 1);
    frames.event("message_start", &json!({ "type": "message_start", "message": message }));
    frames.event("ping", &json!({ "type": "ping" }));
    let mut blocks = 0;
    if let Some(text) = said(reply) {
        block(&mut frames, &mut blocks, Block::Text { text: "" }, words(text).map(|text| Delta::TextDelta { text }));
    }
    for call in &reply.tool_calls {
        let start = Block::ToolUse { id: tool_use_id(call), name: &call.name, input: json!({}) };
        let pieces = words(&call.arguments).map(|partial_json| Delta::InputJsonDelta { partial_json });
        block(&mut frames, &mut blocks, start, pieces);
    }
    let delta = json!({ "stop_reason": stop_reason(reply), "stop_sequence": null });
    let usage = json!({ "output_tokens": output_tokens(reply) });
    frames.event("message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    frames.event("message_stop", &json!({ "type": "message_stop" }));
    frames
}

/// How many tokens a request has.
pub(in crate::simulate) fn count(input_tokens: u64) -> impl Serialize {
    json!({ "input_tokens": input_tokens })
}

fn block<'a>(
    frames: &mut Frames,
    blocks: &mut usize,
    content_block: Block<'a>,
    deltas: impl Iterator<Item = Delta<'a>>,
) {
    let index = *blocks;
    *blocks += 1;
    frames.event("content_block_start", &BlockStart { kind: "content_block_start", index, content_block });
    for delta in deltas {
        frames.piece(Some("content_block_delta"), &BlockDelta { kind: "content_block_delta", index, delta });
    }
    frames.event("content_block_stop", &json!({ "type": "content_block_stop", "index": index }));
}

fn begun<'a>(about: &About<'a>, reply: &Reply, output_tokens: u64) -> Message<'a> {
    let (input, cached) = (reply.usage.input_tokens.unwrap_or_default(), reply.usage.cached_input_tokens);
    let cached = cached.unwrap_or_default().min(input);
    Message {
        id: Id("msg_", reply.number),
        kind: "message",
        role: "assistant",
        model: about.model,
        content: Vec::new(),
        stop_reason: None,
        stop_sequence: None,
        // Here what was cached is not among the input.
        usage: Usage {
            input_tokens: input - cached,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: cached,
            output_tokens,
        },
    }
}

fn said(reply: &Reply) -> Option<&str> {
    let said = reply.text.as_deref().or(reply.refusal.as_deref());
    said.filter(|text| !text.is_empty())
}

fn output_tokens(reply: &Reply) -> u64 {
    reply.usage.output_tokens.unwrap_or_default()
}

fn stop_reason(reply: &Reply) -> &str {
    let is_stopped = reply.filter.as_ref().is_some_and(|filter| filter.state == FilterState::Output);
    match &*reply.finish_reason {
        _ if is_stopped || reply.refusal.is_some() => "refusal",
        "stop" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        other => other,
    }
}

fn tool_use_id(call: &CalledTool) -> String {
    format!("toolu_{}", call.id.strip_prefix("call_").unwrap_or(&call.id))
}

/// Arguments as the object that this API wants.
fn input(arguments: &str) -> serde_json::Value {
    let value = value_json::read(arguments).unwrap_or_default();
    match value.as_map() {
        Some(_) => serde_json::to_value(super::echo::Json(&value)).unwrap_or_default(),
        None => json!({ "value": arguments }),
    }
}
