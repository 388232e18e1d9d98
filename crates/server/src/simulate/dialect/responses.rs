//! The responses API of OpenAI and Azure, without its memory: `previous_response_id` is told back and not looked up.

use serde::Serialize;
use serde_json::json;
use sluicegate_model::script::Reply;
use sluicegate_model::{Filter, FilterState};

use super::echo::Echo;
use super::filters::{self, Findings};
use super::{About, Id};
use crate::simulate::body::Said;
use crate::simulate::frames::{Frames, words};

#[derive(Serialize)]
pub(in crate::simulate) struct Response<'a> {
    id: Id,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    background: bool,
    error: Option<()>,
    incomplete_details: Option<Incomplete>,
    instructions: Echo<'a>,
    max_output_tokens: Echo<'a>,
    model: &'a str,
    output: &'a [Item<'a>],
    parallel_tool_calls: Echo<'a>,
    previous_response_id: Echo<'a>,
    reasoning: Echo<'a>,
    service_tier: &'static str,
    store: Echo<'a>,
    temperature: Echo<'a>,
    text: Echo<'a>,
    tool_choice: Echo<'a>,
    tools: Echo<'a>,
    top_p: Echo<'a>,
    truncation: Echo<'a>,
    usage: Option<Usage>,
    user: Echo<'a>,
    metadata: Echo<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content_filters: Vec<Found<'a>>,
}

#[derive(Clone, Copy, Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// What a filter found in the request or the reply, as Azure tells it here.
#[derive(Serialize)]
struct Found<'a> {
    blocked: bool,
    source_type: &'static str,
    content_filter_results: Findings<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item<'a> {
    Reasoning { id: Id, summary: [(); 0] },
    Message { id: Id, status: &'static str, role: &'static str, content: Vec<Part<'a>> },
    FunctionCall { id: String, status: &'static str, call_id: &'a str, name: &'a str, arguments: &'a str },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    OutputText { text: &'a str, annotations: [(); 0], logprobs: [(); 0] },
    Refusal { refusal: &'a str },
}

pub(in crate::simulate) fn whole(about: &About<'_>, reply: &Reply) -> Said {
    let items = items(reply, End::of(reply));
    Said::json(&response(about, reply, &items, End::of(reply)))
}

pub(in crate::simulate) fn events(about: &About<'_>, reply: &Reply) -> Frames {
    let mut events = Events { frames: Frames::default(), number: 0 };
    let begun = response(about, reply, &[], End::InProgress);
    events.tell("response.created", json!({ "response": begun }));
    events.tell("response.in_progress", json!({ "response": begun }));
    let end = End::of(reply);
    let items = items(reply, end);
    for (index, item) in items.iter().enumerate() {
        events.item(index, item);
    }
    let whole = response(about, reply, &items, end);
    let name = if end == End::Completed { "response.completed" } else { "response.incomplete" };
    events.tell(name, json!({ "response": whole }));
    events.frames
}

/// How far a reply has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    InProgress,
    Completed,
    Incomplete(&'static str),
}

impl End {
    fn of(reply: &Reply) -> Self {
        match &*reply.finish_reason {
            "length" => Self::Incomplete("max_output_tokens"),
            "content_filter" => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

fn response<'a>(about: &About<'a>, reply: &'a Reply, output: &'a [Item<'a>], end: End) -> Response<'a> {
    let echo = |name: &str, usual: serde_json::Value| Echo::of(about.body, name, usual);
    let is_over = end != End::InProgress;
    Response {
        id: Id("resp_", reply.number),
        object: "response",
        created_at: about.created,
        status: end.word(),
        background: false,
        error: None,
        incomplete_details: match end {
            End::Incomplete(reason) => Some(Incomplete { reason }),
            _ => None,
        },
        instructions: echo("instructions", json!(null)),
        max_output_tokens: echo("max_output_tokens", json!(null)),
        model: about.model,
        output,
        parallel_tool_calls: echo("parallel_tool_calls", json!(true)),
        previous_response_id: echo("previous_response_id", json!(null)),
        reasoning: echo("reasoning", json!({ "effort": null, "summary": null })),
        service_tier: "default",
        store: echo("store", json!(true)),
        temperature: echo("temperature", json!(1.0)),
        text: echo("text", json!({ "format": { "type": "text" } })),
        tool_choice: echo("tool_choice", json!("auto")),
        tools: echo("tools", json!([])),
        top_p: echo("top_p", json!(1.0)),
        truncation: echo("truncation", json!("disabled")),
        usage: is_over.then(|| Usage::of(reply)),
        user: echo("user", json!(null)),
        metadata: echo("metadata", json!({})),
        content_filters: if about.annotates && is_over { found(reply.filter.as_ref()) } else { Vec::new() },
    }
}

fn items(reply: &Reply, end: End) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    if reply.usage.reasoning_tokens.is_some_and(|tokens| tokens > 0) {
        items.push(Item::Reasoning { id: Id("rs_", reply.number), summary: [] });
    }
    // Where all tokens went into reasoning there is no message at all.
    let text = reply.text.as_deref().filter(|text| !text.is_empty() || end == End::Completed);
    let text = text.map(|text| Part::OutputText { text, annotations: [], logprobs: [] });
    let refusal = reply.refusal.as_deref().map(|refusal| Part::Refusal { refusal });
    let content: Vec<Part<'_>> = text.into_iter().chain(refusal).collect();
    if !content.is_empty() {
        let id = Id("msg_", reply.number);
        items.push(Item::Message { id, status: end.word(), role: "assistant", content });
    }
    items.extend(reply.tool_calls.iter().map(|call| Item::FunctionCall {
        id: format!("fc_{}", call.id.strip_prefix("call_").unwrap_or(&call.id)),
        status: "completed",
        call_id: &call.id,
        name: &call.name,
        arguments: &call.arguments,
    }));
    items
}

fn found(filter: Option<&Filter>) -> Vec<Found<'_>> {
    let stops = |state| filter.is_some_and(|filter| filter.state == state);
    vec![
        Found {
            blocked: stops(FilterState::Input),
            source_type: "prompt",
            content_filter_results: filters::prompt(filter),
        },
        Found {
            blocked: stops(FilterState::Output),
            source_type: "completion",
            content_filter_results: filters::reply(filter),
        },
    ]
}

/// Writes events with their numbers.
struct Events {
    frames: Frames,
    number: u64,
}

/// An event with its name and number before whatever else it tells.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    rest: serde_json::Value,
}

/// A delta, apart from the others: there are many of them.
#[derive(Serialize)]
struct Delta<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    sequence_number: u64,
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

impl Events {
    fn tell(&mut self, name: &str, rest: serde_json::Value) {
        self.frames.event(name, &Event { name, sequence_number: self.number, rest });
        self.number += 1;
    }

    fn deltas(&mut self, name: &str, item_id: &str, output_index: usize, is_content: bool, text: &str) {
        for delta in words(text) {
            let event = Delta {
                name,
                sequence_number: self.number,
                item_id,
                output_index,
                content_index: is_content.then_some(0),
                delta,
                logprobs: (name == "response.output_text.delta").then_some([]),
            };
            self.frames.piece(Some(name), &event);
            self.number += 1;
        }
    }

    fn item(&mut self, index: usize, item: &Item<'_>) {
        let begun = match item {
            Item::Reasoning { id, .. } => json!(Item::Reasoning { id: *id, summary: [] }),
            Item::Message { id, role, .. } => {
                json!(Item::Message { id: *id, status: "in_progress", role, content: Vec::new() })
            }
            Item::FunctionCall { id, call_id, name, .. } => {
                json!(Item::FunctionCall { id: id.clone(), status: "in_progress", call_id, name, arguments: "" })
            }
        };
        self.tell("response.output_item.added", json!({ "output_index": index, "item": begun }));
        match item {
            Item::Reasoning { .. } => {}
            Item::Message { id, content, .. } => {
                for part in content {
                    self.part(&id.to_string(), index, part);
                }
            }
            Item::FunctionCall { id, name, arguments, .. } => {
                self.deltas("response.function_call_arguments.delta", id, index, false, arguments);
                let done = json!({ "item_id": id, "output_index": index, "name": name, "arguments": arguments });
                self.tell("response.function_call_arguments.done", done);
            }
        }
        self.tell("response.output_item.done", json!({ "output_index": index, "item": item }));
    }

    fn part(&mut self, id: &str, index: usize, part: &Part<'_>) {
        let at = |key: &str, value: serde_json::Value| {
            let mut place = json!({ "item_id": id, "output_index": index, "content_index": 0 });
            place[key] = value;
            place
        };
        match part {
            Part::OutputText { text, .. } => {
                let begun = Part::OutputText { text: "", annotations: [], logprobs: [] };
                self.tell("response.content_part.added", at("part", json!(begun)));
                self.deltas("response.output_text.delta", id, index, true, text);
                let mut done = at("text", json!(text));
                done["logprobs"] = json!([]);
                self.tell("response.output_text.done", done);
            }
            Part::Refusal { refusal } => {
                self.tell("response.content_part.added", at("part", json!(Part::Refusal { refusal: "" })));
                self.deltas("response.refusal.delta", id, index, true, refusal);
                self.tell("response.refusal.done", at("refusal", json!(refusal)));
            }
        }
        self.tell("response.content_part.done", at("part", json!(part)));
    }
}

impl Usage {
    fn of(reply: &Reply) -> Self {
        let usage = &reply.usage;
        let (input, output) = (usage.input_tokens.unwrap_or_default(), usage.output_tokens.unwrap_or_default());
        Self {
            input_tokens: input,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached_input_tokens.unwrap_or_default(),
                cache_write_tokens: 0,
            },
            output_tokens: output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens.unwrap_or_default() },
            total_tokens: input.saturating_add(output),
        }
    }
}
