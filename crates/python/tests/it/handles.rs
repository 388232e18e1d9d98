//! Objects that stay in their worker.

use sluicegate_python::{PropertyStep, PythonError, Settings};
use sluicegate_value::Value;

use crate::support::{Flow, Heard, call_in_line, call_of, handle, settings, tool_file};

fn two_tools(first: &str, second: &str) -> [(&'static str, String); 2] {
    [("first.py", tool_file(first)), ("second.py", tool_file(second))]
}

async fn passed_on(first: &str, second: &str) -> Value {
    let files = two_tools(first, second);
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let flow = Flow::new(&files);
    let (first, second) = (flow.load("first.py").await, flow.load("second.py").await);
    let value = flow.pool.call(&call_of(&first, &[]), &Heard::default()).await.expect("returns");
    flow.pool.call(&call_of(&second, &[("x", value)]), &Heard::default()).await.expect("returns")
}

async fn check_passed_on(first: &str, second: &str, expected: &str) {
    assert_eq!(passed_on(first, second).await.to_json(), expected, "{first} {second}");
}

#[tokio::test]
async fn who_is_given_a_handle_gets_the_very_object() {
    let same = "@tool\ndef t(x):\n  import sys\n  return x is sys.kept";
    check_passed_on("import sys\n@tool\ndef t():\n  sys.kept = (1, [])\n  return sys.kept", same, "true").await;
    let nested = "@tool\ndef t(x):\n  import sys\n  return x['here'][0] is sys.kept";
    check_passed_on("import sys\n@tool\ndef t():\n  sys.kept = {1}\n  return {'here': [sys.kept]}", nested, "true")
        .await;
    check_passed_on(
        "from datetime import date\n@tool\ndef t(): return {'d': date(2024, 1, 2)}",
        "@tool\ndef t(x): return x['d'].year",
        "2024",
    )
    .await;
}

#[tokio::test]
async fn a_generator_is_read_by_the_next_node() {
    let generator = "@tool\ndef t():\n  for i in range(3): yield str(i)";
    check_passed_on(generator, "@tool\ndef t(x): return [piece for piece in x]", r#"["0","1","2"]"#).await;
    check_passed_on(generator, "@tool\ndef t(x): return next(x) + '-' + ''.join(x)", r#""0-12""#).await;
    let asynchronous = "@tool\nasync def t():\n  for i in range(3): yield str(i)";
    check_passed_on(asynchronous, "@tool\nasync def t(x): return [piece async for piece in x]", r#"["0","1","2"]"#)
        .await;
}

async fn check_drained(text: &str, expected: &str, chunks: &[&str]) {
    let flow = Flow::of_tool(text);
    let generator = handle(&flow.call(&[]).await.expect("returns"));
    assert_eq!(&*generator.type_name, "generator");
    // Whoever reads it reads all of it.
    for _ in 0..2 {
        let heard = Heard::default();
        assert_eq!(flow.pool.drain(&generator, &heard, None).await.expect("drained"), expected);
        assert_eq!(*heard.chunks.lock().expect("not poisoned"), chunks);
    }
}

#[tokio::test]
async fn a_generator_is_joined_and_its_pieces_are_told() {
    check_drained("@tool\ndef t():\n  yield 0\n  yield 'é'\n  yield None", "0éNone", &["0", "é", "None"]).await;
    check_drained("@tool\nasync def t():\n  for p in 'ab': yield p", "ab", &["a", "b"]).await;
    check_drained("@tool\ndef t(): return (c for c in 'ab')", "ab", &["a", "b"]).await;
}

#[tokio::test]
async fn what_a_generator_prints_and_raises_belongs_to_who_drains_it() {
    let flow = Flow::of_tool("@tool\ndef t():\n  print('begun')\n  yield 1\n  raise ValueError('in the middle')\n");
    let heard = Heard::default();
    let generator = handle(&flow.call_for(&[], &heard).await.expect("returns"));
    assert_eq!(heard.stdout(), "");
    let error = flow.pool.drain(&generator, &heard, None).await.expect_err("raises");
    assert_eq!(error.to_string(), "ValueError: in the middle");
    assert_eq!(heard.stdout(), "begun\n");
    assert_eq!(*heard.chunks.lock().expect("not poisoned"), ["1"]);
}

#[tokio::test]
async fn steps_are_taken_where_the_object_lives() {
    let flow = Flow::of_tool(
        "class O:\n  def __init__(self):\n    self.rows = [{'k k': (1, 2)}]\n    self.self = self\n@tool\ndef t(): return O()\n",
    );
    let object = handle(&flow.call(&[]).await.expect("returns"));
    let word = |word: &str| PropertyStep::Word(word.into());
    let steps =
        [word("self"), word("rows"), PropertyStep::Index(0), PropertyStep::Key("k k".into()), PropertyStep::Index(1)];
    assert_eq!(flow.pool.property(&object, &steps, None).await.expect("there"), Value::Int(2));
    let tuple = flow.pool.property(&object, &steps[..4], None).await.expect("there");
    assert_eq!(&*handle(&tuple).type_name, "tuple");
    for missing in [word("nothing"), PropertyStep::Index(3), PropertyStep::Key("x".into())] {
        let error = flow.pool.property(&object, std::slice::from_ref(&missing), None).await;
        assert!(matches!(error, Err(PythonError::NoSuchProperty(_))), "{missing:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_released_object_is_gone() {
    let flow = Flow::of_tool(
        "import sys, weakref\nclass O: pass\n@tool\ndef t(x=None):\n  if x is None:\n    o = O()\n    sys.ref = weakref.ref(o)\n    return o\n  return sys.ref() is x\n",
    );
    let object = flow.call(&[]).await.expect("returns");
    assert_eq!(flow.json(&[("x", object.clone())]).await, "true");
    let kept = handle(&object);
    flow.pool.release(std::slice::from_ref(&kept));
    match flow.call(&[("x", object)]).await {
        Err(PythonError::HandleLost { lost }) => assert_eq!(lost, [(kept.worker.clone(), kept.id)]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn objects_of_a_dead_worker_are_told_by_number() {
    let flow = Flow::of_tool("import os\n@tool\ndef t(x=None, die=False):\n  if die: os._exit(1)\n  return {1}\n");
    let object = flow.call(&[]).await.expect("returns");
    flow.call(&[("die", true.into())]).await.expect_err("dies");
    let kept = handle(&object);
    match flow.call(&[("x", object)]).await {
        Err(PythonError::HandleLost { lost }) => assert_eq!(lost, [(kept.worker.clone(), kept.id)]),
        other => panic!("{other:?}"),
    }
}

/// Two workers, each kept busy until both have begun.
const MEET: &str = "import os, pathlib, time\n@tool\ndef t(name, other, value=None):\n  pathlib.Path(name).touch()\n  \
                    while not os.path.exists(other): time.sleep(0.005)\n  return {1} if value is None else (value,)\n";

async fn in_two_workers(flow: &Flow, inputs: [&[(&str, Value)]; 2], lines: [u64; 2]) -> [Value; 2] {
    let tool = flow.load("tool.py").await;
    let call = |index: usize| call_in_line(&tool, inputs[index], lines[index]);
    let (first, second) = (call(0), call(1));
    let heard = Heard::default();
    let (first, second) = tokio::join!(flow.pool.call(&first, &heard), flow.pool.call(&second, &heard));
    [first.expect("returns"), second.expect("returns")]
}

#[tokio::test]
async fn objects_of_two_workers_meet_only_if_one_can_travel() {
    let files = [("tool.py", tool_file(MEET)), ("pair.py", tool_file("@tool\ndef t(a, b): return [str(a), str(b)]\n"))];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let flow = Flow::with(&files, Settings { size: Some(2), ..settings() });
    let text = |text: &str| Value::from(text);
    let [left, right] = in_two_workers(
        &flow,
        [
            &[("name", text("a")), ("other", text("b"))],
            &[("name", text("b")), ("other", text("a")), ("value", text("v"))],
        ],
        [1, 2],
    )
    .await;
    let (set, tuple) = (handle(&left), handle(&right));
    assert_ne!(set.worker, tuple.worker);
    let pair = flow.load("pair.py").await;
    let heard = Heard::default();
    let both = call_of(&pair, &[("a", left.clone()), ("b", right.clone())]);
    assert_eq!(flow.pool.call(&both, &heard).await.expect("the tuple travels").to_json(), r#"["{1}","['v']"]"#);

    let [_, other] = in_two_workers(
        &flow,
        [&[("name", text("c")), ("other", text("d"))], &[("name", text("d")), ("other", text("c"))]],
        // One of the calls goes to where the set of line 1 is, so the other's set is not there.
        [1, 3],
    )
    .await;
    let other = handle(&other);
    assert_ne!(other.worker, set.worker);
    let apart = call_in_line(&pair, &[("a", left), ("b", Value::Handle(other.clone()))], 1);
    match flow.pool.call(&apart, &heard).await {
        Err(PythonError::HandlesApart { worker, elsewhere, .. }) => {
            assert_eq!(worker, set.worker);
            assert_eq!(elsewhere, [(other.worker.clone(), other.id)]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_line_goes_where_its_objects_are_until_it_ends() {
    let text = "import os\n@tool\ndef t(keep=False): return [os.getpid(), {1} if keep else None]\n";
    let flow = Flow::with(&[("tool.py", &tool_file(text))], Settings { size: Some(2), ..settings() });
    let tool = flow.load("tool.py").await;
    let heard = Heard::default();
    let pid = |value: &Value| value.as_list().and_then(|items| items[0].as_int()).expect("a number");
    let first = flow.pool.call(&call_in_line(&tool, &[("keep", true.into())], 7), &heard).await.expect("returns");
    for _ in 0..3 {
        let calls = (0..4).map(|_| async {
            let value = flow.pool.call(&call_in_line(&tool, &[], 7), &Heard::default()).await.expect("returns");
            assert_eq!(pid(&value), pid(&first));
        });
        futures_util::future::join_all(calls).await;
    }
    let kept = handle(&first.as_list().expect("a list")[1]);
    flow.pool.end_line(sluicegate_python::LineId(7));
    let error = flow.pool.property(&kept, &[], None).await;
    assert!(matches!(error, Err(PythonError::HandleLost { .. })), "{error:?}");
}
