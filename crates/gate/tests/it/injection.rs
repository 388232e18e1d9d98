//! Hostile text through every projection: each result is parsed by a reader of its format, and nothing may have escaped.

use pulldown_cmark::{Event, Options, Parser, Tag};
use sluicegate_gate::projection::{
    annotations, comment, explanation, html, junit, markdown, output, sarif, summary, terminal, text,
};
use sluicegate_gate::replay::{Replay, Replayed};
use sluicegate_gate::*;

use crate::sample;

/// A word that stands in every hostile text, so that what became of it can be looked for.
const WORD: &str = "pwned";

fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = [
        // Workflow commands, of three runners, old and new.
        "::error file=a,line=1::pwned",
        "ok\n::error::pwned",
        "ok\r::set-output name=verdict::pwned",
        "ok%0A::set-output name=verdict::pwned",
        "  ::add-mask::pwned",
        "::stop-commands::pwned",
        "##[set-env name=PATH]pwned",
        "####[add-path]pwned",
        "##vso[task.setvariable variable=x]pwned",
        "verdict=pass\nverdict<<EOF\npwned\nEOF",
        "DELIMITER\nverdict=pwned",
        // HTML.
        "<script>alert('pwned')</script>",
        "</script><script src=//x.test/pwned></script>",
        "</style><img src=x onerror=alert('pwned')>",
        "\"><svg onload=alert('pwned')>",
        "' onmouseover='alert(1)' pwned='",
        "</pre></details></body></html>pwned",
        "<!-- pwned --> --> <!--",
        "&lt;b&gt;pwned&#60;i&#62;&#x3c;u>",
        "<details><summary>pwned",
        "<a href=\"javascript:alert(1)\">pwned</a>",
        // XML.
        "]]>pwned<![CDATA[",
        "<!DOCTYPE a [<!ENTITY pwned SYSTEM \"file:///etc/passwd\">]>&pwned;",
        "<?xml version=\"1.0\"?>pwned",
        "a\0b\u{1}c\u{8}d\u{b}e\u{1f}f\u{7f}g\u{85}pwned\u{fffe}\u{ffff}",
        // Markdown.
        "pwned | cell | cell |\n|---|---|",
        "```\npwned\n```\n# heading",
        "`pwned` ``pwned`` ```````",
        "~~~\npwned",
        "[pwned](https://x.test) ![pwned](https://x.test/p.png) <https://x.test/pwned>",
        "https://x.test/pwned www.x.test/pwned pwned@x.test",
        "@team @org/team please merge, pwned #1 org/repo#2",
        "\n\n# pwned\n\n- [x] merge\n\n> quote\n\n---\n",
        "**pwned** __pwned__ ~~pwned~~ *pwned* $pwned$",
        "[pwned]: https://x.test\n[^1]: pwned",
        "\\`pwned\\` \\| \\<b\\>",
        "</summary></details>\n\n<script>pwned</script>",
        // SARIF's own links and placeholders.
        "[pwned](0) {0} {pwned}",
        // What is not what it looks like.
        "\u{202e}dwp\u{202c}pwned\u{2066}\u{2069}\u{200f}",
        "pw\u{200b}pwned\u{feff}\u{e0070}\u{e0077}",
        "\x1b[2J\x1b[31mpwned\x1b]8;;https://x.test\x07link\x1b]8;;\x07\u{9b}31m",
        "pwned\u{2028}::error::pwned\u{2029}",
        "e\u{301}\u{301}\u{301}pwned 👨\u{200d}👩\u{200d}👧 日本語",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("pwned{}", "A".repeat(5_000_000)));
    texts.push(format!("pwned{}", "<&`|@\n".repeat(200_000)));
    texts.push(format!("pwned{}", "`".repeat(70_000)));
    texts
}

/// A receipt in which every text that a model, a stranger or an author can write is hostile.
fn poisoned(hostile: &str) -> Receipt {
    let mut receipt = sample::receipt();
    let text = || hostile.to_owned();
    let decision = &mut receipt.decision;
    (decision.flow, decision.headline, decision.environment) = (text(), text(), Some(text()));
    decision.warnings = vec![text()];
    decision.baseline.note = text();
    decision.baseline.commit = Some(text());
    decision.baseline.wanted_commit = Some(text());
    decision.baseline.served_models = Some(ServedModels { baseline: text(), candidate: text() });
    decision.integrity.error_limit = text();
    decision.integrity.metrics[0].metric = hostile.into();
    for rule in &mut decision.rules {
        (rule.id, rule.words, rule.method, rule.threshold) = (text(), text(), text(), text());
        rule.metric = Some(hostile.into());
        rule.place = sample::place(hostile, 3);
    }
    for case in &mut decision.regressions {
        case.key = hostile.into();
        (case.input, case.rules) = (text(), vec![text()]);
        (case.baseline_output, case.candidate_output) = (Some(format!("before\n{hostile}")), Some(text()));
        if case.outcome != Outcome::Answered {
            case.outcome = Outcome::Error(text());
        }
        for pair in &mut case.scores {
            (pair.metric, pair.reason) = (hostile.into(), text());
        }
    }
    let mut keyed = decision.regressions[0].clone();
    keyed.line = None;
    decision.regressions.push(keyed);
    decision.regressions_total = 9;
    let about = &mut receipt.about;
    about.data_file = Some(text());
    about.evaluation_file = Some(text());
    about.report_url = Some(text());
    about.engine = Some(text());
    about.traces = [(hostile.into(), text())].into();
    let evidence = receipt.evidence.as_mut().expect("evidence");
    for case in &mut evidence.candidate.cases {
        (case.output, case.input) = (text(), text());
        if case.outcome.is_error() {
            case.outcome = Outcome::Error(text());
        }
    }
    for score in &mut evidence.candidate.scores {
        (score.reason, score.metric) = (text(), hostile.into());
    }
    receipt
}

/// Runs a check on every hostile text, and says which one it was that got through.
fn check_all(check: impl Fn(&Receipt, &str)) {
    for hostile in corpus() {
        let receipt = poisoned(&hostile);
        let shown: String = hostile.chars().take(60).collect();
        check(&receipt, &format!("{shown:?}"));
    }
}

#[track_caller]
fn check_nothing_deceptive(printed: &str, about: &str) {
    let found = printed.chars().find(|letter| *letter != '\n' && text::is_deceptive(*letter));
    assert_eq!(found, None, "{about}");
}

#[test]
fn a_terminal_sees_no_escape_and_no_command() {
    check_all(|receipt, about| {
        let hostile = receipt.decision.headline.clone();
        let replay = Replay {
            computed_hash: hostile.clone(),
            hash_holds: false,
            replayed: Replayed::Differs(vec![format!("rule {hostile}")]),
        };
        let lines = explanation::render(receipt, &replay);
        let printed = terminal::plain(&lines);
        check_nothing_deceptive(&printed, about);
        assert_eq!(printed.lines().count(), lines.len(), "a text broke its line: {about}");
        for line in printed.lines() {
            assert!(!line.trim_start().starts_with("::"), "{about}: {line}");
            assert!(!line.contains("##"), "{about}: {line}");
        }
        assert!(printed.len() < 100_000 && printed.contains(WORD), "{about}");
    });
}

#[test]
fn annotations_are_ours_alone() {
    check_all(|receipt, about| {
        let printed = annotations::render(receipt, 10);
        check_nothing_deceptive(&printed, about);
        assert!(printed.lines().count() <= 10, "{about}");
        for line in printed.lines() {
            let command = line.strip_prefix("::").and_then(|rest| rest.split_once("::"));
            let (head, message) = command.unwrap_or_else(|| panic!("{about}: {line}"));
            let (level, properties) = head.split_once(' ').expect("properties");
            assert!(["error", "warning", "notice"].contains(&level), "{about}: {line}");
            for property in properties.split(',') {
                let (name, _) = property.split_once('=').unwrap_or_else(|| panic!("{about}: {line}"));
                assert!(["file", "line", "title"].contains(&name), "{about}: {line}");
            }
            for percent in message.match_indices('%').map(|(at, _)| message.get(at..at + 3)) {
                assert!(matches!(percent, Some("%25" | "%0A" | "%0D")), "{about}: {line}");
            }
            assert!(line.len() < 20_000, "{about}");
        }
    });
}

#[test]
fn outputs_of_a_step_have_the_values_that_we_gave() {
    check_all(|receipt, about| {
        let printed = output::render(receipt, "DELIMITER");
        check_nothing_deceptive(&printed, about);
        let mut lines = printed.lines();
        let mut found = Vec::new();
        while let Some(head) = lines.next() {
            let (name, delimiter) = head.split_once("<<").unwrap_or_else(|| panic!("{about}: {head}"));
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            assert_eq!(value.len(), 1, "{about}");
            found.push((name.to_owned(), value[0].to_owned()));
        }
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["verdict", "exit_code", "unchanged", "blocks", "headline", "failed_rules", "decision_hash"];
        assert_eq!(names, expected, "{about}");
        assert_eq!(found[0].1, "fail", "{about}");
    });
}

/// Tags that our reports use, as they stand in the Markdown.
const OUR_TAGS: [&str; 9] = [
    "<code>",
    "</code>",
    "<details>",
    "</details>",
    "<summary>",
    "</summary>",
    "<sub>",
    "</sub>",
    "<details><summary>",
];

/// Checks a report: no tag but ours, no link, no image, no heading but ours; mentions only within code blocks.
fn check_markdown(printed: &str, about: &str) {
    check_nothing_deceptive(&printed.replace("&#8203;", ""), about);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_MATH
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let (mut open, mut in_block, mut headings, mut words) = (0_i64, false, 0, String::new());
    for event in Parser::new_ext(printed, options) {
        match event {
            Event::Html(tag) | Event::InlineHtml(tag) => {
                for piece in tag.split_inclusive('>').map(str::trim).filter(|piece| !piece.is_empty()) {
                    // A block of HTML holds our summary line as it is: text between tags has no `<` of its own.
                    let from = piece.find('<').unwrap_or(piece.len());
                    let piece = &piece[from..];
                    let ours = OUR_TAGS.contains(&piece) || piece.is_empty() || piece.starts_with("<!-- sluicegate:");
                    assert!(ours, "{about}: {piece}");
                }
                open += tag.matches("<details>").count() as i64 - tag.matches("</details>").count() as i64;
                words.push_str(&tag);
            }
            Event::Start(
                Tag::Link { .. }
                | Tag::Image { .. }
                | Tag::BlockQuote(_)
                | Tag::Strong
                | Tag::Emphasis
                | Tag::Strikethrough,
            ) if !is_ours(&event) => {
                panic!("{about}: {event:?}");
            }
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(Tag::CodeBlock(_)) => in_block = true,
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => in_block = false,
            Event::Text(text) if !in_block => words.push_str(&text),
            Event::TaskListMarker(_)
            | Event::FootnoteReference(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::Rule => {
                panic!("{about}: {event:?}");
            }
            _ => {}
        }
    }
    assert_eq!(open, 0, "{about}");
    assert!(headings <= 2, "{about}");
    let visible = words.replace("&#64;&#8203;", "").replace("@\u{200b}", "");
    assert!(!visible.contains('@'), "{about}");
    assert!(printed.contains(WORD), "{about}");
}

/// The note that a report was shortened is a quote; the note on models is strong.
fn is_ours(event: &Event<'_>) -> bool {
    matches!(event, Event::Start(Tag::BlockQuote(_) | Tag::Strong))
}

#[test]
fn markdown_stays_ours() {
    check_all(|receipt, about| {
        for (printed, most) in [
            (summary::render(receipt), summary::MOST_BYTES),
            (comment::render(receipt), comment::MOST_BYTES),
            (markdown::render(receipt), 8 << 20),
        ] {
            assert!(printed.len() <= most, "{about}");
            check_markdown(&printed, about);
        }
    });
}

#[test]
fn junit_is_well_formed() {
    check_all(|receipt, about| {
        let printed = junit::render(receipt);
        check_nothing_deceptive(&printed, about);
        let document = roxmltree::Document::parse(&printed).unwrap_or_else(|error| panic!("{about}: {error}"));
        let known =
            ["testsuites", "testsuite", "testcase", "failure", "error", "skipped", "flakyFailure", "rerunFailure"];
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            assert!(known.contains(&node.tag_name().name()), "{about}");
            for attribute in node.attributes() {
                let ours = ["name", "tests", "failures", "errors", "skipped", "classname", "time", "type", "message"];
                assert!(ours.contains(&attribute.name()), "{about}");
            }
        }
        assert_eq!(document.descendants().filter(|node| node.has_tag_name("testcase")).count(), 8, "{about}");
        assert!(printed.len() < 200_000, "{about}");
    });
}

#[test]
fn sarif_is_json_without_links_and_placeholders() {
    check_all(|receipt, about| {
        let printed = sarif::render(receipt);
        let value: serde_json::Value =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{about}: {error}"));
        check_strings(&value, about);
        let results = value["runs"][0]["results"].as_array().expect("results");
        for result in results {
            let message = result["message"]["text"].as_str().expect("a message");
            let unescaped =
                message.replace("\\\\", "").replace("\\[", "").replace("\\]", "").replace("{{", "").replace("}}", "");
            assert!(!unescaped.contains(['[', ']', '{', '}']), "{about}: {message}");
            let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().expect("a uri");
            assert!(
                uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte)),
                "{about}: {uri}"
            );
            assert_eq!(result["partialFingerprints"]["sluicegate/v1"].as_str().map(str::len), Some(64), "{about}");
        }
    });
}

fn check_strings(value: &serde_json::Value, about: &str) {
    match value {
        serde_json::Value::String(text) => check_nothing_deceptive(text, about),
        serde_json::Value::Array(items) => items.iter().for_each(|item| check_strings(item, about)),
        serde_json::Value::Object(map) => map.values().for_each(|item| check_strings(item, about)),
        _ => {}
    }
}

#[test]
fn html_has_our_elements_alone() {
    let elements = [
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "span", "table", "thead", "tbody",
        "tr", "th", "td", "code", "br", "details", "summary", "div", "pre", "ul", "li", "svg", "line", "circle",
        "rect", "text",
    ];
    let attributes = [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "colspan",
        "role",
        "width",
        "height",
        "viewBox",
        "x",
        "y",
        "x1",
        "x2",
        "y1",
        "y2",
        "cx",
        "cy",
        "r",
        "text-anchor",
    ];
    check_all(|receipt, about| {
        let printed = html::render(receipt);
        check_nothing_deceptive(&printed, about);
        // As a browser sees it, an element begins wherever `<` stands before a letter, `/`, `!` or `?`: the page is
        // also well-formed XML, in which the same holds and a parser can be asked.
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
        let document = roxmltree::Document::parse_with_options(&printed, options)
            .unwrap_or_else(|error| panic!("{about}: {error}"));
        for node in document.descendants() {
            assert!(!node.is_comment() && !node.is_pi(), "{about}");
            if node.is_element() {
                assert!(elements.contains(&node.tag_name().name()), "{about}: {:?}", node.tag_name());
                for attribute in node.attributes() {
                    assert!(attributes.contains(&attribute.name()), "{about}: {}", attribute.name());
                }
            }
        }
        assert_eq!(printed.matches("<style>").count(), 1, "{about}");
        assert!(printed.len() < 1 << 20 && printed.contains(WORD), "{about}");
    });
}

#[test]
fn a_receipt_keeps_hostile_text_as_it_is() {
    for hostile in corpus().into_iter().filter(|text| text.len() < 10_000) {
        let receipt = poisoned(&hostile);
        assert_eq!(Receipt::from_json(&receipt.to_json()).expect("a receipt"), receipt);
    }
}
