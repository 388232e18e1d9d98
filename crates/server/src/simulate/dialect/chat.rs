//! The chat API of OpenAI, Azure and Azure AI model inference.

use serde::Serialize;
use sluicegate_model::script::{CalledTool, Reply};
use sluicegate_model::{Filter, FilterState};

use super::filters::{self, Findings, PromptFindings};
use super::{About, ChatUsage, Id};
use crate::simulate::frames::{Frames, words};

const FINGERPRINT: &str = "fp_simulated";

#[derive(Serialize)]
pub(in crate::simulate) struct Completion<'a> {
    id: Id,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    usage: ChatUsage,
    system_fingerprint: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_filter_results: Option<[PromptFindings<'a>; 1]>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: usize,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<Findings<'a>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    annotations: [(); 0],
}

/// A tool call; in a stream, a piece of one.
#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: Id,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'static str,
    choices: &'a [ChunkChoice<'a>],
    /// `null` until the last, and only where usage was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<ChatUsage>>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: usize,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<Findings<'a>>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}

/// With what Azure's streams begin: no choice, and nothing filled in but what the filters found.
#[derive(Serialize)]
struct Preface<'a> {
    choices: [(); 0],
    created: u64,
    id: &'static str,
    model: &'static str,
    object: &'static str,
    prompt_filter_results: [PromptFindings<'a>; 1],
}

pub(in crate::simulate) fn whole<'a>(about: &About<'a>, reply: &'a Reply, choices: usize) -> Completion<'a> {
    let filter = reply.filter.as_ref();
    let choice = |index| Choice {
        index,
        message: Message {
            role: "assistant",
            content: reply.text.as_deref(),
            refusal: reply.refusal.as_deref(),
            tool_calls: reply.tool_calls.iter().map(Call::whole).collect(),
            annotations: [],
        },
        logprobs: None,
        finish_reason: &reply.finish_reason,
        content_filter_results: about.annotates.then(|| filters::reply(filter)),
    };
    Completion {
        id: Id("chatcmpl-", reply.number),
        object: "chat.completion",
        created: about.created,
        model: about.model,
        choices: (0..choices).map(choice).collect(),
        usage: ChatUsage::new(&reply.usage, choices),
        system_fingerprint: FINGERPRINT,
        prompt_filter_results: about.annotates.then(|| filters::prompts(filter)),
    }
}

pub(in crate::simulate) fn events(about: &About<'_>, reply: &Reply, choices: usize, tells_usage: bool) -> Frames {
    let mut frames = Frames::default();
    let chunks = Chunks { about, reply, tells_usage };
    if about.annotates {
        frames.data(&Preface {
            choices: [],
            created: 0,
            id: "",
            model: "",
            object: "",
            prompt_filter_results: filters::prompts(reply.filter.as_ref()),
        });
    }
    for index in 0..choices {
        chunks.choice(index, &mut frames);
    }
    if tells_usage {
        frames.data(&chunks.chunk(&[], Some(Some(ChatUsage::new(&reply.usage, choices)))));
    }
    frames.done();
    frames
}

/// Makes the chunks of one reply.
struct Chunks<'a> {
    about: &'a About<'a>,
    reply: &'a Reply,
    tells_usage: bool,
}

impl<'a> Chunks<'a> {
    fn choice(&self, index: usize, frames: &mut Frames) {
        let reply = self.reply;
        let content = reply.text.as_ref().map(|_| "");
        let begun = Delta { role: Some("assistant"), content: Some(content), refusal: Some(None), tool_calls: None };
        self.tell(index, begun, None, |chunk| frames.data(chunk));
        let mut piece = |delta| self.tell(index, delta, None, |chunk| frames.piece(None, chunk));
        for word in words(reply.text.as_deref().unwrap_or_default()) {
            piece(Delta { content: Some(Some(word)), ..Delta::default() });
        }
        for word in words(reply.refusal.as_deref().unwrap_or_default()) {
            piece(Delta { refusal: Some(Some(word)), ..Delta::default() });
        }
        for (position, call) in reply.tool_calls.iter().enumerate() {
            piece(Delta { tool_calls: Some([Call::begun(position, call)]), ..Delta::default() });
            for word in words(&call.arguments) {
                piece(Delta { tool_calls: Some([Call::more(position, word)]), ..Delta::default() });
            }
        }
        self.tell(index, Delta::default(), Some(&reply.finish_reason), |chunk| frames.data(chunk));
    }

    fn tell(&self, index: usize, delta: Delta<'a>, finish_reason: Option<&str>, add: impl FnOnce(&Chunk<'_>)) {
        // What a filter found is known once the reply has ended; that none looks is known before.
        let is_known = |filter: &&Filter| finish_reason.is_some() || filter.state == FilterState::Unchecked;
        let filter = self.reply.filter.as_ref().filter(is_known);
        let content_filter_results = self.about.annotates.then(|| filters::reply(filter));
        let choice = [ChunkChoice { index, delta, logprobs: None, finish_reason, content_filter_results }];
        add(&self.chunk(&choice, self.tells_usage.then_some(None)));
    }

    fn chunk<'c>(&'c self, choices: &'c [ChunkChoice<'c>], usage: Option<Option<ChatUsage>>) -> Chunk<'c> {
        Chunk {
            id: Id("chatcmpl-", self.reply.number),
            object: "chat.completion.chunk",
            created: self.about.created,
            model: self.about.model,
            system_fingerprint: FINGERPRINT,
            choices,
            usage,
        }
    }
}

impl<'a> Call<'a> {
    fn whole(call: &'a CalledTool) -> Self {
        let function = Function { name: Some(&call.name), arguments: &call.arguments };
        Self { index: None, id: Some(&call.id), kind: Some("function"), function }
    }

    fn begun(position: usize, call: &'a CalledTool) -> Self {
        let function = Function { name: Some(&call.name), arguments: "" };
        Self { index: Some(position), id: Some(&call.id), kind: Some("function"), function }
    }

    fn more(position: usize, arguments: &'a str) -> Self {
        Self { index: Some(position), id: None, kind: None, function: Function { name: None, arguments } }
    }
}
