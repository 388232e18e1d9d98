//! The older completions.

use serde::Serialize;
use sluicegate_model::script::Reply;

use super::filters::{self, Findings, PromptFindings};
use super::{About, ChatUsage, Id};
use crate::simulate::frames::{Frames, words};

#[derive(Serialize)]
pub(in crate::simulate) struct Completion<'a> {
    id: Id,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<ChatUsage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_filter_results: Option<[PromptFindings<'a>; 1]>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: usize,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_filter_results: Option<Findings<'a>>,
}

pub(in crate::simulate) fn whole<'a>(about: &About<'a>, reply: &'a Reply) -> Completion<'a> {
    let prompts = about.annotates.then(|| filters::prompts(reply.filter.as_ref()));
    let text = reply.text.as_deref().unwrap_or_default();
    let choices = vec![choice(about, reply, text, Some(&reply.finish_reason))];
    completion(about, reply, choices, Some(Some(ChatUsage::new(&reply.usage, 1))), prompts)
}

pub(in crate::simulate) fn events(about: &About<'_>, reply: &Reply, tells_usage: bool) -> Frames {
    let mut frames = Frames::default();
    let untold = tells_usage.then_some(None);
    if about.annotates {
        let prompts = Some(filters::prompts(reply.filter.as_ref()));
        frames.data(&completion(about, reply, Vec::new(), untold, prompts));
    }
    for word in words(reply.text.as_deref().unwrap_or_default()) {
        let choices = vec![choice(about, reply, word, None)];
        frames.piece(None, &completion(about, reply, choices, untold, None));
    }
    let last = vec![choice(about, reply, "", Some(&reply.finish_reason))];
    frames.data(&completion(about, reply, last, untold, None));
    if tells_usage {
        let usage = Some(Some(ChatUsage::new(&reply.usage, 1)));
        frames.data(&completion(about, reply, Vec::new(), usage, None));
    }
    frames.done();
    frames
}

fn choice<'a>(about: &About<'a>, reply: &'a Reply, text: &'a str, finish_reason: Option<&'a str>) -> Choice<'a> {
    let content_filter_results = about.annotates.then(|| filters::reply(reply.filter.as_ref()));
    Choice { text, index: 0, logprobs: None, finish_reason, content_filter_results }
}

fn completion<'a>(
    about: &About<'a>,
    reply: &Reply,
    choices: Vec<Choice<'a>>,
    usage: Option<Option<ChatUsage>>,
    prompt_filter_results: Option<[PromptFindings<'a>; 1]>,
) -> Completion<'a> {
    Completion {
        id: Id("cmpl-", reply.number),
        object: "text_completion",
        created: about.created,
        model: about.model,
        choices,
        usage,
        prompt_filter_results,
    }
}
