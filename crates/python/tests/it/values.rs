//! What travels into a tool and out of it.

use std::sync::Arc;

use sluicegate_value::{Blob, Map, Value};

use crate::support::{Flow, call_of, handle};

async fn check_same(value: Value) {
    let flow = Flow::of_tool("@tool\ndef t(x): return x\n");
    assert_eq!(flow.call(&[("x", value.clone())]).await.expect("returns"), value);
}

#[tokio::test]
async fn json_and_what_json_lacks_come_back_as_they_went() {
    check_same(Value::from(vec![
        Value::Null,
        Value::from(true),
        Value::Int(i64::MIN),
        serde_json::from_str(r#"{"$int":"123456789012345678901234567890"}"#).expect("a value"),
        Value::from(0.1),
        Value::from(f64::NAN),
        Value::from(f64::NEG_INFINITY),
        Value::from("é😀\u{0}\u{2028}\\u0041"),
        Value::from(Map::from([("$handle", Value::Int(1)), ("b", Value::Null)])),
        Value::from(Map::from([("$float", Value::from("nan"))])),
        Value::from(Map::new()),
        Value::Blob(Arc::new(Blob::from_bytes("image/png", *b"\x89PNG"))),
    ]))
    .await;
}

#[tokio::test]
async fn a_deep_value_travels_or_stays() {
    for depth in [60, 200, 2000] {
        let flow = Flow::of_tool(
            "@tool\ndef t(depth):\n  x = []\n  for _ in range(depth): x = [x]\n  return {'deep': x, 'with': [(x,)]}\n",
        );
        let value = flow.call(&[("depth", Value::Int(depth))]).await.expect("returns");
        // However deep: it is a value or a handle, and the channel is intact.
        assert!(value.get("deep").is_some() || matches!(value, Value::Handle(_)), "{depth}");
        flow.call(&[("depth", Value::Int(1))]).await.expect("still speaks");
    }
}

async fn check_handle(body: &str, type_name: &str, preview: &str, json: Option<&str>) {
    let flow = Flow::of_tool(&format!("{body}\n"));
    let handle = handle(&flow.call(&[]).await.expect("returns"));
    assert_eq!((&*handle.type_name, &*handle.preview), (type_name, preview));
    assert_eq!(handle.json.as_ref().map(Value::to_json).as_deref(), json, "{body}");
}

#[tokio::test]
async fn what_is_no_json_is_kept_and_told() {
    check_handle("@tool\ndef t(): return (1, 'b')", "tuple", "(1, 'b')", Some(r#"[1,"b"]"#)).await;
    check_handle("@tool\ndef t(): return {1}", "set", "{1}", None).await;
    check_handle("@tool\ndef t(): return b'abc'", "bytes", "b'abc'", None).await;
    check_handle(
        "@tool\ndef t(): return {1: 'a', None: 2}",
        "dict",
        "{1: 'a', None: 2}",
        Some(r#"{"1":"a","null":2}"#),
    )
    .await;
    check_handle(
        "from dataclasses import dataclass\n@dataclass\nclass D:\n  a: int\n@tool\ndef t(): return D(1)",
        "D",
        "D(a=1)",
        None,
    )
    .await;
    check_handle("class S(str): pass\n@tool\ndef t(): return S('x')", "S", "x", Some(r#""x""#)).await;
    check_handle("@tool\ndef t(): return 'a\\ud800'", "str", "a?", Some(r#""a?""#)).await;
    check_handle(
        "class Bad:\n  def __str__(self): raise KeyError('no')\n@tool\ndef t(): return Bad()",
        "Bad",
        "<Bad whose str() fails: KeyError>",
        None,
    )
    .await;
}

#[tokio::test]
async fn an_object_deep_inside_is_a_handle_there() {
    let flow = Flow::of_tool("@tool\ndef t(): return {'plain': 1, 'rows': [{2}, {'x': b'y'}]}\n");
    let value = flow.call(&[]).await.expect("returns");
    assert_eq!(value.get("plain"), Some(&Value::Int(1)));
    let rows = value.get("rows").and_then(Value::as_list).expect("rows");
    assert_eq!(&*handle(&rows[0]).type_name, "set");
    assert_eq!(&*handle(rows[1].get("x").expect("x")).type_name, "bytes");
}

#[tokio::test]
async fn a_hundred_megabytes_travel_both_ways() {
    let flow = Flow::of_tool("@tool\ndef t(x): return {'length': len(x), 'back': x}\n");
    let large = "é".repeat(50 << 20);
    let value = flow.call(&[("x", Value::from(large.clone()))]).await.expect("returns");
    assert_eq!(value.get("length"), Some(&Value::Int(50 << 20)));
    assert!(value.get("back").and_then(Value::as_str) == Some(&large));
}

#[tokio::test]
async fn variables_are_set_and_the_folder_is_where_one_is() {
    let flow = Flow::with_variables(
        &[
            (
                "tool.py",
                "import os, sys, sibling\nfrom promptflow.core import tool\n@tool\ndef t():\n  return [os.environ['MINE'], os.getcwd() == sys.path[0], open('data.txt').read(), sibling.name, __name__, '' in sys.path]\n",
            ),
            ("sibling.py", "name = 'sibling'\n"),
            ("data.txt", "file body"),
        ],
        crate::support::settings(),
        &[("MINE", "va=lü\n")],
    );
    assert_eq!(flow.json(&[]).await, r#"["va=lü\n",true,"file body","sibling","__pf_main__",false]"#);
}

#[tokio::test]
async fn two_flows_may_have_modules_of_the_same_names() {
    let files = |text: &'static str| -> Vec<(&'static str, &'static str)> {
        vec![
            ("tool.py", "import helper\nfrom promptflow.core import tool\n@tool\ndef t(): return helper.name\n"),
            ("helper.py", text),
        ]
    };
    let first = Flow::new(&files("name = 'first'\n"));
    let second = Flow::new(&files("name = 'second'\n"));
    // The same program's pools, too.
    let third = first.pools.pool(second.folder.path(), &[]);
    let tool = third.load(&second.source("tool.py"), &sluicegate_python::NoHost, None).await.expect("loads");
    assert_eq!(first.json(&[]).await, r#""first""#);
    assert_eq!(second.json(&[]).await, r#""second""#);
    assert_eq!(
        third.call(&call_of(&tool, &[]), &sluicegate_python::NoHost).await.expect("returns").to_json(),
        r#""second""#
    );
}
