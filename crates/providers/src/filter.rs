//! What a content filter did, read from what endpoints say: Azure's annotations beside a reply, and its errors.
//!
//! Sources: Azure OpenAI's annotations (`prompt_filter_results`, `content_filter_results`), its error of code
//! `content_filter`, the `content_filters` of its responses API, and what gateways make of them.

use std::sync::Arc;

use sluicegate_model::{ChatReply, Filter, FilterFinding, FilterState};
use sluicegate_value::{Map, Value};

use crate::failure::nested;
use crate::wire::chat::reply::excerpt;

/// What a filter did to a request that was answered, from the body of a reply (chat completions' spelling, with what a
/// responses API says beside it).
pub(crate) fn of_reply(body: &Value) -> Option<Filter> {
    let mut found = Found::default();
    for key in ["prompt_filter_results", "prompt_annotations"] {
        found.each(body.get(key), false);
    }
    found.filters(body.get("content_filters"));
    let choice = body.get("choices").and_then(Value::as_list).and_then(<[Value]>::first);
    for key in RESULTS {
        found.results(choice.and_then(|choice| choice.get(key)), true);
    }
    let reason = choice.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str);
    let incomplete = body.get("incomplete_details").and_then(|details| details.get("reason")).and_then(Value::as_str);
    let is_stopped = [reason, incomplete].contains(&Some("content_filter"));
    let stopped = |in_reply: bool| found.findings.iter().any(|it| it.stopped && it.in_reply == in_reply);
    let state = if stopped(true) || (is_stopped && found.failure.is_none() && !stopped(false)) {
        FilterState::Output
    } else if stopped(false) {
        FilterState::Input
    } else if found.failure.is_some() {
        FilterState::Unchecked
    } else if found.findings.is_empty() {
        return None;
    } else {
        FilterState::Noted
    };
    Some(found.into_filter(state, None))
}

/// The result that a filter stopped a request or its reply, from the body of an error; `None`: it is another error.
pub(crate) fn of_error(body: &Value) -> Option<ChatReply> {
    let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = word(error, "message").or_else(|| error.as_str().map(str::to_owned)).unwrap_or_default();
    // What a gateway quotes from the service behind it says more than its own words.
    if let Some(stopped) = nested::quoted(&message).and_then(|(_, behind)| of_error(&behind)) {
        return Some(ChatReply { body: body.clone(), ..stopped });
    }
    let said = places(error);
    let says = |name: &str| {
        let mut words = said.iter().flat_map(|place| [word(place, "code"), word(place, "type")]).flatten();
        words.any(|word| word.eq_ignore_ascii_case(name))
    };
    let lower = message.to_lowercase();
    let is_filter = CODES.iter().any(|code| says(code))
        || WORDS.iter().any(|words| lower.contains(words))
        // So OpenAI's reasoning models say that a prompt was flagged.
        || (says("invalid_prompt") && lower.contains("flagged"));
    if !is_filter {
        return None;
    }
    let state = if lower.contains("output blocked") { FilterState::Output } else { FilterState::Input };
    let mut found = Found::default();
    for place in said {
        for key in RESULTS {
            found.results(place.get(key), state == FilterState::Output);
        }
        found.filters(place.get("content_filters"));
    }
    // What an error names without saying that it stopped anything has stopped the request all the same, if nothing else
    // did.
    if !found.findings.iter().any(|finding| finding.stopped) {
        found.findings.iter_mut().for_each(|finding| finding.stopped = true);
    }
    // Azure's standing advice about its own manual is no news.
    let message = message.split(" To learn more").next().unwrap_or_default().trim();
    let message = (!message.is_empty()).then(|| excerpt(message).into());
    Some(ChatReply {
        text: None,
        message: Map::from([("role", Value::from("assistant")), ("content", Value::Null)]).into(),
        finish_reason: Some("content_filter".into()),
        filter: Some(found.into_filter(state, message)),
        body: body.clone(),
        ..ChatReply::of_text("")
    })
}

/// The same result in the middle of a reply: what there is of the reply is kept, and it was the reply that was stopped.
pub(crate) fn cut_off(stopped: ChatReply, begun: Option<ChatReply>) -> ChatReply {
    match begun {
        Some(begun) if begun.text.as_deref().is_some_and(|text| !text.is_empty()) => {
            let filter = stopped.filter.map(|filter| Filter {
                state: FilterState::Output,
                findings: filter.findings.into_iter().map(|it| FilterFinding { in_reply: true, ..it }).collect(),
                ..filter
            });
            ChatReply { filter, finish_reason: stopped.finish_reason, ..begun }
        }
        _ => stopped,
    }
}

/// By which codes a filter is known.
const CODES: [&str; 3] = ["content_filter", "ResponsibleAIPolicyViolation", "content_policy_violation"];

/// By which words, where an error has no such code: Azure's and Anthropic's own, and the name that a gateway has for it.
const WORDS: [&str; 3] =
    ["content management policy", "blocked by content filtering policy", "contentpolicyviolationerror"];

/// Where an error tells what happened: itself, what is in it, and where a gateway puts what the service behind it said.
fn places(error: &Value) -> Vec<&Value> {
    let fields = error.get("provider_specific_fields");
    let outer = [Some(error), fields, fields.and_then(|fields| fields.get("azure_error"))];
    let mut all = Vec::new();
    for place in outer.into_iter().flatten() {
        all.push(place);
        all.extend(["innererror", "inner_error"].iter().find_map(|key| place.get(key)));
    }
    all
}

/// Where categories stand, by the age of the API.
const RESULTS: [&str; 2] = ["content_filter_results", "content_filter_result"];

#[derive(Default)]
struct Found {
    findings: Vec<FilterFinding>,
    /// In which words the filter says that it failed.
    failure: Option<Arc<str>>,
    /// Where protected material is from.
    source: Option<Arc<str>>,
}

impl Found {
    /// Annotations of several prompts, or of one.
    fn each(&mut self, annotations: Option<&Value>, in_reply: bool) {
        let items = match annotations {
            Some(Value::List(items)) => items.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => return,
        };
        for key in RESULTS {
            items.iter().for_each(|item| self.results(item.get(key), in_reply));
        }
    }

    /// A responses API's list of what was looked at.
    fn filters(&mut self, filters: Option<&Value>) {
        for filter in filters.and_then(Value::as_list).unwrap_or_default() {
            let in_reply = filter.get("source_type").and_then(Value::as_str) == Some("completion");
            let before = self.findings.len();
            self.results(filter.get("content_filter_results"), in_reply);
            let is_blocked = filter.get("blocked").and_then(Value::as_bool) == Some(true);
            let said = self.findings.get(before..).unwrap_or_default();
            if is_blocked && !said.iter().any(|finding| finding.stopped) {
                match self.findings.get_mut(before..) {
                    Some([]) | None => self.add("unnamed", None, in_reply, true),
                    Some(said) => said.iter_mut().for_each(|finding| finding.stopped = true),
                }
            }
        }
    }

    /// Categories and what was found of each.
    fn results(&mut self, results: Option<&Value>, in_reply: bool) {
        for (category, result) in results.and_then(Value::as_map).into_iter().flatten() {
            match &**category {
                "error" => {
                    let word =
                        |key: &str| result.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
                    let words = word("message").or_else(|| word("code")).unwrap_or("it gives no reason");
                    self.failure = Some(excerpt(words).into());
                }
                // Lists of the customer's own, each by its name.
                "custom_blocklists" | "custom_topics" => {
                    let lists = result.get("details").unwrap_or(result).as_list().unwrap_or_default();
                    let before = self.findings.len();
                    for list in lists {
                        let name = list.get("id").and_then(Value::as_str).unwrap_or(category);
                        self.result(name, list, in_reply);
                    }
                    if self.findings.len() == before {
                        self.result(category, result, in_reply);
                    }
                }
                _ => self.result(category, result, in_reply),
            }
        }
    }

    fn result(&mut self, category: &str, result: &Value, in_reply: bool) {
        let is = |key: &str| result.get(key).and_then(Value::as_bool) == Some(true);
        let severity =
            result.get("severity").and_then(Value::as_str).filter(|severity| !matches!(*severity, "" | "safe"));
        if !is("filtered") && !is("detected") && severity.is_none() {
            return;
        }
        self.add(category, severity, in_reply, is("filtered"));
        if let Some(citation) = result.get("citation") {
            let word = |key: &str| citation.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            let from = word("URL").or_else(|| word("url")).unwrap_or("an unnamed place");
            let license = word("license").map_or_else(String::new, |license| format!(" (license {license})"));
            self.source = Some(format!("from {}{license}", excerpt(from)).into());
        }
    }

    /// Adds what is not told already: a prompt's annotations may stand in two places.
    fn add(&mut self, category: &str, severity: Option<&str>, in_reply: bool, stopped: bool) {
        let finding =
            FilterFinding { category: category.into(), severity: severity.map(Into::into), in_reply, stopped };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn into_filter(mut self, state: FilterState, message: Option<Arc<str>>) -> Filter {
        self.findings.sort_by_key(|finding| !finding.stopped);
        Filter { state, findings: self.findings, message: message.or(self.failure).or(self.source) }
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::{of_error, of_reply};

    /// What a reply's filter says, with its state in front.
    fn check(body: &str, expected: Option<&str>) {
        let filter = of_reply(&json::read(body).unwrap());
        let said = filter.map(|filter| format!("{}: {filter}", filter.state.word()));
        assert_eq!(said.as_deref(), expected, "{body}");
    }

    /// A reply whose only choice has these annotations.
    fn choice(reason: &str, results: &str) -> String {
        format!(r#"{{"choices": [{{"finish_reason": "{reason}", "content_filter_results": {results}}}]}}"#)
    }

    #[test]
    fn what_is_safe_is_not_mentioned() {
        check(r#"{"choices": [{"finish_reason": "stop"}]}"#, None);
        check(&choice("stop", r#"{"hate": {"filtered": false, "severity": "safe"}}"#), None);
        check(
            &choice("stop", r#"{"jailbreak": {"filtered": false, "detected": false}, "odd": 7, "worse": null}"#),
            None,
        );
        check(r#"{"prompt_filter_results": null, "content_filters": 3, "choices": 7}"#, None);
        check("null", None);
    }

    #[test]
    fn a_stopped_reply_names_its_categories_the_stopping_ones_first() {
        let results =
            r#"{"hate": {"filtered": false, "severity": "low"}, "violence": {"filtered": true, "severity": "high"}}"#;
        check(
            &choice("content_filter", results),
            Some("output: the reply was stopped by a content filter (violence: high, hate: low)"),
        );
        check(&choice("content_filter", "{}"), Some("output: the reply was stopped by a content filter"));
    }

    #[test]
    fn what_is_found_and_let_pass_is_noted() {
        check(
            r#"{"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {
                "jailbreak": {"filtered": false, "detected": true}, "self_harm": {"filtered": false, "severity": "low"}}}],
                "choices": []}"#,
            Some("noted: a content filter found something and let it pass (jailbreak, self_harm: low)"),
        );
        check(
            r#"{"prompt_annotations": [{"content_filter_result": {"indirect_attack": {"filtered": false, "detected": true}}}]}"#,
            Some("noted: a content filter found something and let it pass (indirect_attack)"),
        );
        check(
            &choice(
                "stop",
                r#"{"protected_material_code": {"filtered": false, "detected": true,
                "citation": {"URL": "https://example.com/x", "license": "MIT"}}, "ungrounded_material": {"detected": true}}"#,
            ),
            Some(
                "noted: a content filter found something and let it pass (protected_material_code, ungrounded_material): \
                 from https://example.com/x (license MIT)",
            ),
        );
    }

    #[test]
    fn block_lists_are_told_by_name() {
        check(
            &choice(
                "content_filter",
                r#"{"custom_blocklists": [{"id": "rivals", "filtered": true}, {"id": "swear", "filtered": false}]}"#,
            ),
            Some("output: the reply was stopped by a content filter (rivals)"),
        );
        check(
            &choice(
                "content_filter",
                r#"{"custom_blocklists": {"filtered": true, "details": [{"id": "rivals", "filtered": true}]}}"#,
            ),
            Some("output: the reply was stopped by a content filter (rivals)"),
        );
        check(
            &choice("content_filter", r#"{"custom_blocklists": {"filtered": true}}"#),
            Some("output: the reply was stopped by a content filter (custom_blocklists)"),
        );
    }

    #[test]
    fn a_filter_that_fails_leaves_the_reply_unchecked() {
        let failed = r#"{"error": {"code": "content_filter_error", "message": "The contents are not filtered"}}"#;
        let expected =
            "unchecked: the content filter failed, and the reply went through unchecked: The contents are not filtered";
        check(&choice("stop", failed), Some(expected));
        check(&choice("content_filter", failed), Some(expected));
        check(
            r#"{"prompt_filter_results": [{"content_filter_results": {"error": {}}}]}"#,
            Some("unchecked: the content filter failed, and the reply went through unchecked: it gives no reason"),
        );
    }

    #[test]
    fn a_responses_api_lists_what_it_looked_at() {
        check(
            r#"{"incomplete_details": {"reason": "content_filter"}, "content_filters": [
                {"blocked": false, "source_type": "prompt", "content_filter_results": {"hate": {"filtered": false, "severity": "low"}}},
                {"blocked": true, "source_type": "completion", "content_filter_results": {"sexual": {"filtered": true, "severity": "medium"}}}]}"#,
            Some("output: the reply was stopped by a content filter (sexual: medium, hate: low)"),
        );
        check(
            r#"{"content_filters": [{"blocked": true, "source_type": "prompt"}]}"#,
            Some("input: the request was stopped by a content filter (unnamed)"),
        );
    }

    fn check_error(body: &str, expected: Option<&str>) {
        let reply = of_error(&json::read(body).unwrap());
        let said = reply.map(|reply| {
            assert_eq!((reply.text, reply.finish_reason.as_deref()), (None, Some("content_filter")));
            reply.filter.unwrap().to_string()
        });
        assert_eq!(said.as_deref(), expected, "{body}");
    }

    #[test]
    fn an_error_of_the_filter_is_a_result_however_it_is_nested() {
        let found =
            r#"{"jailbreak": {"detected": true, "filtered": true}, "hate": {"filtered": false, "severity": "safe"}}"#;
        let expected = Some("the request was stopped by a content filter (jailbreak): filtered.");
        check_error(
            &format!(
                r#"{{"error": {{"code": "content_filter", "message": "filtered. To learn more: https://x",
                "innererror": {{"code": "ResponsibleAIPolicyViolation", "content_filter_result": {found}}}}}}}"#
            ),
            expected,
        );
        check_error(
            &format!(
                r#"{{"error": {{"code": "400", "message": "filtered.",
                "inner_error": {{"code": "ResponsibleAIPolicyViolation", "content_filter_results": {found}}}}}}}"#
            ),
            expected,
        );
        check_error(
            &format!(
                r#"{{"error": {{"code": "content_filter", "message": "filtered.", "content_filters": [
                {{"blocked": true, "source_type": "prompt", "content_filter_results": {found}}}]}}}}"#
            ),
            expected,
        );
        check_error(
            r#"{"status": 400, "code": "content_filter", "message": "filtered.", "param": "messages", "type": null}"#,
            Some("the request was stopped by a content filter: filtered."),
        );
        check_error(
            r#"{"error": {"code": "invalid_prompt", "message": "Invalid prompt: your prompt was flagged."}}"#,
            Some("the request was stopped by a content filter: Invalid prompt: your prompt was flagged."),
        );
        check_error(r#"{"error": {"code": "invalid_prompt", "message": "Invalid prompt: empty."}}"#, None);
        check_error(r#"{"error": {"code": "unsupported_parameter", "message": "no"}}"#, None);
        check_error(r#"{"error": {"message": "litellm.BadRequestError: {\"error\": {\"message\": \"no\"}}"}}"#, None);
        check_error("null", None);
    }
}
