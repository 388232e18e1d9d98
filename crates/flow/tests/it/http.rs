//! `http` nodes: what a flow file may say, what is called, and what comes of an answer.

use std::sync::Arc;

use sluicegate_flow::bind::{Bindings, bind};
use sluicegate_flow::plan::{HttpNode, NeedKind, NodeKind, Plan};
use sluicegate_flow::request::{http_output, http_request};
use sluicegate_flow::template::{Binding, Nonce};
use sluicegate_model::{FetchReply, FetchRequest};
use sluicegate_value::{Value, json};

use crate::project::{check_problems, plan_of_yaml};

/// A flow of one `http` node whose inputs are flow inputs `q`, `n`, `tags` and `base`.
fn flow(node: &str) -> String {
    let inputs = "{ q: '${inputs.q}', n: '${inputs.n}', tags: '${inputs.tags}', base: '${inputs.base}' }";
    flow_with(node, inputs)
}

fn flow_with(node: &str, inputs: &str) -> String {
    let indented: String = node.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "inputs: {{q: {{type: string}}, n: {{type: int}}, tags: {{type: list}}, base: {{type: string}}}}\n\
         outputs: {{r: {{reference: '${{call.output.json}}'}}}}\nnodes:\n- name: call\n  type: http\n  inputs: {inputs}\n{indented}"
    )
}

fn http_of(plan: &Plan) -> Arc<HttpNode> {
    match &plan.nodes[0].kind {
        NodeKind::Http(http) => http.clone(),
        other => panic!("{other:?}"),
    }
}

fn variable(name: &str) -> Option<Arc<str>> {
    match name {
        "TOKEN" => Some("s3cret {{ q }}${env:TOKEN}".into()),
        "BASE" => Some("https://api.test/v1".into()),
        _ => None,
    }
}

/// Compiles, binds and fills in a node with these inputs.
fn request(node: &str, inputs: &str) -> Result<FetchRequest, String> {
    let bound = bind(&plan_of_yaml(&flow(node)), &Bindings::new(&variable)).unwrap();
    let inputs = json::read(inputs).unwrap();
    let inputs: Vec<Binding> =
        inputs.as_map().unwrap().iter().map(|(name, value)| Binding::data(name.clone(), value.clone())).collect();
    http_request(&http_of(bound.plan()), &inputs, Nonce(1)).map_err(|error| error.to_string())
}

/// Method, address, headers and body in one text.
fn check_request(node: &str, inputs: &str, expected: &str) {
    let found = request(node, inputs).map_or_else(
        |error| error,
        |request| {
            let headers = request.headers.iter().map(|(name, value)| format!("\n{name}: {value}"));
            let body = request.body.as_deref().map(|body| format!("\n\n{}", String::from_utf8_lossy(body)));
            let (method, url) = (&request.method, &request.url);
            format!("{method} {url}{}{}", headers.collect::<String>(), body.unwrap_or_default())
        },
    );
    assert_eq!(found, expected, "{node}");
}

#[test]
fn a_call_is_filled_in_from_the_nodes_inputs() {
    check_request(
        "\
url: 'https://api.test/search/{{ q | urlencode }}'
query: { lang: en, q: '{{ q }}', tag: '{{ tags }}', none: '{{ base }}', exact: true }
headers: { authorization: 'Bearer ${env:TOKEN}', x-count: 3 }
json: { query: '{{ q }}', top: '{{ n }}', note: 'top {{ n }}', tags: '{{ tags }}', fixed: [1, null, 'a'], '{{k}}': 2.0 }",
        r#"{"q": "café & more", "n": 5, "tags": ["a", "b c"], "base": null}"#,
        "POST https://api.test/search/caf%C3%A9%20%26%20more?lang=en&q=caf%C3%A9%20%26%20more&tag=a&tag=b%20c&exact=true\n\
         authorization: Bearer s3cret {{ q }}${env:TOKEN}\n\
         x-count: 3\n\
         content-type: application/json\n\n\
         {\"query\":\"café & more\",\"top\":5,\"note\":\"top 5\",\"tags\":[\"a\",\"b c\"],\"fixed\":[1,null,\"a\"],\"{{k}}\":2.0}",
    );
}

#[test]
fn the_method_follows_the_body_unless_it_is_said() {
    let inputs = r#"{"q": "x", "n": 1, "tags": [], "base": ""}"#;
    check_request("url: https://api.test", inputs, "GET https://api.test");
    check_request("url: https://api.test\nbody: 'a {{ q }}'", inputs, "POST https://api.test\n\na x");
    check_request("url: https://api.test\nmethod: delete", inputs, "DELETE https://api.test");
    check_request(
        "url: https://api.test\nmethod: PUT\nheaders: {Content-Type: application/merge-patch+json}\njson: []",
        inputs,
        "PUT https://api.test\nContent-Type: application/merge-patch+json\n\n[]",
    );
}

#[test]
fn an_address_may_come_from_the_environment() {
    let inputs = r#"{"q": "x", "n": 1, "tags": [], "base": "system:\n"}"#;
    check_request("url: '${env:BASE}/items/{{ n }}'", inputs, "GET https://api.test/v1/items/1");
    check_request(
        "url: >-\n  ${env:BASE}/a\nbody: |\n  user:\n  {{ base }}",
        inputs,
        "POST https://api.test/v1/a\n\nuser:\nsystem:\n\n",
    );
}

#[test]
fn data_cannot_leave_its_place() {
    let with = |q: &str| Value::from(sluicegate_value::Map::from([("q", q)])).to_json();
    let node = "url: 'https://api.test/{{ q }}'\nheaders: {x-q: '{{ q }}'}";
    check_request(
        node,
        &with("a\r\nx: y"),
        "ToolValidationError: the address holds a line break, a control character or a backslash: what comes from data wants `| urlencode`",
    );
    check_request(
        "url: https://api.test\nheaders: {x-q: '{{ q }}'}",
        &with("a\r\nx: y"),
        "ToolValidationError: header `x-q` holds a line break",
    );
    check_request("url: https://api.test\nheaders: {x-q: ' {{ q }}'}", &with("a\n"), "GET https://api.test\nx-q: a");
    check_request(
        "url: '{{ q }}'",
        &with("file:///etc/passwd"),
        "ToolValidationError: the address does not begin with `http://` or `https://` and a host",
    );
    check_request(
        "url: https://api.test\nquery: {q: '{{ q }}'}",
        r#"{"q": {"a": 1}}"#,
        "ToolValidationError: query `q` must be text, a number or a list of them, not dict",
    );
    check_request(
        "url: https://api.test\njson: '{{ 1e308 * 10 }}'",
        "{}",
        "ToolValidationError: `json` holds a number that JSON cannot spell: `nan` or `inf`",
    );
    let failed = request("url: https://api.test\nbody: '{{ q.x.y }}'", &with("a")).unwrap_err();
    assert!(failed.contains("UndefinedError") && failed.contains("f/flow.dag.yaml:8:"), "{failed}");
}

#[test]
fn limits_reach_the_request() {
    let node = "url: https://api.test\nredirects: 0\nmax_size: 512KiB\nexpect: any";
    let request = request(node, "{}").unwrap();
    assert_eq!((request.redirects, request.max_size, request.timeout), (Some(0), Some(512 * 1024), None));
    let plan = plan_of_yaml(&flow(node));
    assert!(http_of(&plan).any_status);
    assert!(!http_of(&plan_of_yaml(&flow("url: https://api.test"))).any_status);
}

#[test]
fn variables_are_needed_with_their_places_and_never_printed() {
    let node =
        "url: https://api.test\nheaders: {a: '${env:TOKEN}', b: '${env:OTHER} ${env:TOKEN}'}\njson: ['${env:OTHER}']";
    let plan = plan_of_yaml(&flow(node));
    let needs: Vec<String> = plan
        .all_needs()
        .iter()
        .map(|need| match &need.what {
            NeedKind::Variable(name) => format!("{name} at {}", need.at.file.slice(need.at.span)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        needs,
        ["TOKEN at ${env:TOKEN}", "OTHER at ${env:OTHER}", "TOKEN at ${env:TOKEN}", "OTHER at ${env:OTHER}"]
    );
    let problems = bind(&plan, &Bindings::new(&variable)).unwrap_err();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["f/flow.dag.yaml:8:36: variable `OTHER` is not set"]);
    let bound = bind(&plan, &Bindings::new(&|_| Some("hunter2".into()))).unwrap();
    let printed = format!("{bound:?} {:?} {:#?}", bound.plan().nodes[0], http_of(bound.plan()));
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn all_that_is_wrong_with_a_call_is_told_with_its_place() {
    check_problems(
        &flow_with(
            "\
method: GTE
url: api.test/{{ qu }}
query: { q: {a: 1}, z: '${inputs.q}' }
headers: { 'a b': x, content-length: 3, x: \"1\\n2\", y: '${env:1}' }
json: { a: '{{ q', b: '{{ m }}' }
body: x
expect: sucess
redirects: -1
max_size: big
source: { path: x }",
            "{ q: '${inputs.q}' }",
        ),
        &[],
        &[
            "error flow::unknown_method f/flow.dag.yaml:7:11: there is no method `GTE` [did you mean `GET`?]",
            "error flow::bad_url f/flow.dag.yaml:8:8: the address of node `call` does not begin with `http://` or `https://` [write the whole address: `https://api.example.com/search`]",
            "error flow::unsupplied_variable f/flow.dag.yaml:8:20: node `call` reads `qu` here, which it does not take [did you mean `q`?]",
            "error flow::wrong_type f/flow.dag.yaml:9:15: query `q` must be text, a number or a list of them, not a map",
            "error flow::literal_reference f/flow.dag.yaml:9:26: query `z` of node `call` holds `${inputs.q}`, which is not replaced there [give it to the node as an input, `x: ${inputs.q}`, and write `{{ x }}`]",
            "error flow::bad_header f/flow.dag.yaml:10:14: \"a b\" is no name of a header [a name has letters, digits and `-`]",
            "error flow::bad_header f/flow.dag.yaml:10:24: header `content-length` is not the author's to set: it follows from the body [remove it]",
            "error flow::bad_header f/flow.dag.yaml:10:46: header `x` holds a line break [write it on one line; `>-` folds long text]",
            "error flow::bad_variable f/flow.dag.yaml:10:58: `${env:1}` names no variable [a name has letters, digits and `_`, and no digit first; outside of tags and `raw`]",
            "error flow::two_bodies f/flow.dag.yaml:11:3: node `call` has both `json` and `body` [a call has one body: remove one of them]",
            "error flow::wrong_value f/flow.dag.yaml:13:11: there is no expected status `sucess` [did you mean `success`?]",
            "error flow::wrong_value f/flow.dag.yaml:14:14: `redirects` must be between 0 and 4294967295",
            "error flow::wrong_type f/flow.dag.yaml:15:13: `max_size` must be a size, not text [write it as `512KiB`, `1MiB` or `10MB`, or as a number of bytes]",
            "warning flow::unused_key f/flow.dag.yaml:16:3: `source` has no effect on `http` node `call` [it is for nodes of kind `llm`, `prompt`, `python`, `custom_llm`, `prompty`, `flow`, `map`, `loop`, `csharp`]",
        ],
    );
}

#[test]
fn templates_within_a_call_are_checked_where_they_stand() {
    check_problems(
        &flow_with(
            "url: \"https://api.test/{{ q }}\"\njson: { a: ['{{ q', '{{ q | nofilter }}'], b: '{{ m + q }}' }",
            "{ q: 1, qq: 2 }",
        ),
        &[],
        &[
            "error flow::template f/flow.dag.yaml:8:16: template: unexpected end of template, expected 'end of print statement'.",
            "error flow::expression f/flow.dag.yaml:8:31: expression: No filter named 'nofilter'.",
            "error flow::unsupplied_variable f/flow.dag.yaml:8:53: node `call` reads `m` here, which it does not take [did you mean `q`?]",
        ],
    );
}

#[test]
fn what_no_template_reads_is_told() {
    check_problems(
        &flow_with("url: 'https://api.test/{{ q }}'", "{ q: 1, nn: '${inputs.n}' }"),
        &[],
        &[
            "warning flow::unused_input f/flow.dag.yaml:6:19: input `nn` of node `call` is used by nothing [no template of the node reads `{{ nn }}`]",
        ],
    );
}

#[test]
fn a_host_that_data_chooses_is_warned_of() {
    let warned = |url: &str, inputs: &str| {
        let files = flow_with(&format!("url: '{url}'\nbody: '{{{{ base }}}}'"), inputs);
        let options = sluicegate_flow::compile::CompileOptions::default();
        crate::project::problems_of(&[("f/flow.dag.yaml", &files)], &options)
    };
    let data = "{ base: '${inputs.base}' }";
    for url in ["{{ base }}/x", "https://{{ base }}.test/x", "https://api.test{{ base }}", "${env:BASE}{{ base }}"] {
        let found = warned(url, data);
        assert!(matches!(&found[..], [one] if one.starts_with("warning flow::open_host")), "{url}: {found:?}");
    }
    for url in ["https://api.test/{{ base }}", "${env:BASE}/{{ base }}", "https://api.test?{{ base }}"] {
        assert!(warned(url, data).is_empty(), "{url}");
    }
    assert!(warned("{{ base }}/x", "{ base: 'https://api.test' }").is_empty(), "the author's own text");
}

fn check_output(headers: &[(&str, &str)], body: &[u8], expected: &str) {
    let reply = FetchReply {
        status: 201,
        url: "https://api.test/".into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: body.to_vec(),
    };
    let output = http_output(&reply);
    assert_eq!((output.get("status"), output.get("url")), (Some(&Value::Int(201)), Some(&"https://api.test/".into())));
    let [headers, json, body] = ["headers", "json", "body"].map(|key| output.get(key).unwrap().to_json());
    assert_eq!(format!("{headers} {json} {body}"), expected);
}

#[test]
fn an_answer_is_a_map_with_its_json_and_its_text() {
    let json_type = ("Content-Type", "application/json; charset=utf-8");
    check_output(
        &[json_type, ("x-a", "1"), ("X-A", "2")],
        br#"{"a": [1, 2.0]}"#,
        r#"{"content-type":"application/json; charset=utf-8","x-a":"1, 2"} {"a":[1,2.0]} "{\"a\": [1, 2.0]}""#,
    );
    check_output(
        &[("content-type", "application/problem+json")],
        b"null",
        r#"{"content-type":"application/problem+json"} null "null""#,
    );
    check_output(
        &[("content-type", "application/json")],
        b"<html>",
        r#"{"content-type":"application/json"} null "<html>""#,
    );
    check_output(&[("content-type", "text/plain")], b"{}", r#"{"content-type":"text/plain"} null "{}""#);
    check_output(&[], b"\xef\xbb\xbf[1]", r#"{} [1] "[1]""#);
    check_output(&[], b"", r#"{} null """#);
}

#[test]
fn bytes_that_are_no_text_are_a_blob_of_their_type() {
    check_output(
        &[("content-type", "image/png")],
        b"cat",
        r#"{"content-type":"image/png"} null {"data:image/png;base64":"Y2F0"}"#,
    );
    check_output(&[("content-type", "image/svg+xml")], b"<svg/>", r#"{"content-type":"image/svg+xml"} null "<svg/>""#);
    check_output(&[], b"\xff\xfe", r#"{} null {"data:;base64":"//4="}"#);
    check_output(
        &[("content-type", "text/plain; charset=ISO-8859-1")],
        b"caf\xe9",
        r#"{"content-type":"text/plain; charset=ISO-8859-1"} null "café""#,
    );
}
