//! Tools that ask their host.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sluicegate_model::TraceContext;
use sluicegate_python::{Argument, Ask, HostError, Pool, ToolCall};
use sluicegate_value::Value;
use tokio::sync::Notify;

use crate::support::{Flow, Heard, call_of, handle, tool_file};

const LINK: &str = "from sluicegate_worker import host\n";

async fn double(ask: Ask) -> Result<Argument, HostError> {
    let number = ask.fields.get("number").and_then(Value::as_int).unwrap_or_default();
    Ok(Argument::from(number * 2))
}

#[tokio::test]
async fn a_question_is_answered() {
    let heard = Heard::answering(|ask| Box::pin(double(ask)));
    let flow = Flow::of_tool(&format!("{LINK}@tool\ndef t(x): return host.link.ask('double', number=x)\n"));
    assert_eq!(flow.call_for(&[("x", Value::Int(4))], &heard).await.expect("returns"), Value::Int(8));
    let flow =
        Flow::of_tool(&format!("{LINK}@tool\nasync def t(x): return await host.link.ask_async('double', number=x)\n"));
    assert_eq!(flow.call_for(&[("x", Value::Int(4))], &heard).await.expect("returns"), Value::Int(8));
    let flow = Flow::of_tool(&format!(
        "{LINK}from concurrent.futures import ThreadPoolExecutor\n@tool\ndef t(x):\n  with ThreadPoolExecutor(4) as p: \
         return list(p.map(lambda n: host.link.ask('double', number=n), range(x)))\n"
    ));
    assert_eq!(flow.call_for(&[("x", Value::Int(3))], &heard).await.expect("returns").to_json(), "[0,2,4]");
    let flow = Flow::new(&[(
        "tool.py",
        &tool_file(&format!("{LINK}told = host.link.ask('double', number=21)\n@tool\ndef t(): return told\n")),
    )]);
    assert_eq!(flow.call_for(&[], &heard).await.expect("a module may ask"), Value::Int(42));
}

#[tokio::test]
async fn a_refusal_is_raised() {
    let heard = Heard::answering(|_| {
        Box::pin(async {
            let mut error = HostError::new("GetConnectionError", "no such connection");
            error.codes = vec!["UserError".into()];
            Err(error)
        })
    });
    let flow = Flow::of_tool(&format!(
        "{LINK}@tool\ndef t():\n  try: host.link.ask('connection', name='x')\n  except host.Refused as e: return [str(e), e.told['type'], e.told['codes']]\n"
    ));
    let value = flow.call_for(&[], &heard).await.expect("returns");
    assert_eq!(value.to_json(), r#"["no such connection","GetConnectionError",["UserError"]]"#);
}

#[tokio::test]
async fn an_answer_may_come_in_pieces() {
    let heard = Heard::answering(|ask| {
        Box::pin(async move {
            let pieces = ask.pieces.expect("the tool reads pieces");
            for piece in ["a", "", "b"] {
                pieces.send(piece).await;
            }
            Ok(Argument::from("ab"))
        })
    });
    let flow = Flow::of_tool(&format!("{LINK}@tool\ndef t(): return list(host.link.stream('chat'))\n"));
    assert_eq!(flow.call_for(&[], &heard).await.expect("returns").to_json(), r#"["a","","b"]"#);
    let flow = Flow::of_tool(&format!(
        "{LINK}@tool\nasync def t(): return [p async for p in host.link.stream_async('chat')]\n"
    ));
    assert_eq!(flow.call_for(&[], &heard).await.expect("returns").to_json(), r#"["a","","b"]"#);
    // A generator that passes them on.
    let flow = Flow::of_tool(&format!("{LINK}@tool\ndef t():\n  for p in host.link.stream('chat'): yield p + '!'\n"));
    let generator = handle(&flow.call_for(&[], &heard).await.expect("returns"));
    assert_eq!(flow.pool.drain(&generator, &heard, None).await.expect("drained"), "a!!b!");
}

#[tokio::test]
async fn objects_come_and_go_with_questions() {
    let heard = Heard::answering(|ask| {
        Box::pin(async move { Ok(Argument::from(ask.fields.get("value").cloned().unwrap_or_default())) })
    });
    let flow = Flow::of_tool(&format!(
        "{LINK}@tool\ndef t():\n  o = {{1}}\n  return host.link.ask('same', value=[o])[0] is o\n"
    ));
    assert_eq!(flow.call_for(&[], &heard).await.expect("returns"), Value::from(true));
}

#[tokio::test]
async fn notes_reach_the_host() {
    let flow = Flow::of_tool(&format!(
        "{LINK}@tool\ndef t():\n  host.link.note('metric', key='k', value=float('nan'))\n  \
         host.link.note('span', phase='begin', inputs={{'o': object}})\n  return host.link.call()['trace']\n"
    ));
    let heard = Heard::default();
    let tool = flow.load("tool.py").await;
    let trace = TraceContext { trace_id: 1, span_id: 2, sampled: true };
    let call = ToolCall { trace: Some(trace), ..call_of(&tool, &[]) };
    let value = flow.pool.call(&call, &heard).await.expect("returns");
    assert_eq!(value.to_json(), r#""00-00000000000000000000000000000001-0000000000000002-01""#);
    let metrics = heard.metrics.lock().expect("not poisoned");
    assert_eq!(*metrics, [("k".to_owned(), Value::from(f64::NAN))]);
    let spans = heard.spans.lock().expect("not poisoned");
    assert!(spans.iter().any(|span| span.get("inputs").and_then(|inputs| inputs.get("o")).is_some()), "{spans:?}");
}

/// A tool that asks the host, which calls the tool again, so often.
const NESTED: &str =
    "@tool\ndef t(depth):\n  return [depth] if depth == 0 else [depth] + host.link.ask('again', depth=depth - 1)\n";

#[derive(Clone)]
struct Again(Arc<Mutex<Option<ToolOfPool>>>);

type ToolOfPool = (Pool, Arc<sluicegate_python::Tool>);

impl Again {
    fn host(&self) -> Heard {
        let again = self.clone();
        Heard::answering(move |ask| {
            let again = again.clone();
            Box::pin(async move {
                let (pool, tool) = again.0.lock().expect("not poisoned").clone().expect("set");
                let depth = ask.fields.get("depth").cloned().unwrap_or_default();
                let call = call_of(&tool, &[("depth", depth)]);
                let host = again.host();
                pool.call(&call, &host)
                    .await
                    .map(Argument::from)
                    .map_err(|error| HostError::new("E", error.to_string()))
            })
        })
    }
}

#[tokio::test]
async fn a_pool_of_one_is_not_locked_by_calls_in_calls() {
    let threaded = "from concurrent.futures import ThreadPoolExecutor\n@tool\ndef t(depth):\n  if depth == 0: return [0]\n  \
                    with ThreadPoolExecutor(2) as p: return [depth] + p.submit(host.link.ask, 'again', depth=depth - 1).result()\n";
    let asynchronous = "@tool\nasync def t(depth):\n  return [depth] if depth == 0 else [depth] + await host.link.ask_async('again', depth=depth - 1)\n";
    for text in [NESTED, threaded, asynchronous] {
        let flow = Flow::of_tool(&format!("{LINK}{text}"));
        let tool = flow.load("tool.py").await;
        let again = Again(Arc::new(Mutex::new(Some((flow.pool.clone(), tool.clone())))));
        let call = call_of(&tool, &[("depth", Value::Int(5))]);
        let value = flow.pool.call(&call, &again.host()).await.expect("returns");
        assert_eq!(value.to_json(), "[5,4,3,2,1,0]", "{text}");
        *again.0.lock().expect("not poisoned") = None;
    }
}

#[tokio::test]
async fn while_one_call_waits_for_the_host_another_runs() {
    let flow = Flow::of_tool(&format!("{LINK}@tool\ndef t(wait): return host.link.ask('wait') if wait else 'ran'\n"));
    let tool = flow.load("tool.py").await;
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let heard = {
        let (asked, go) = (asked.clone(), go.clone());
        Heard::answering(move |_| {
            let (asked, go) = (asked.clone(), go.clone());
            Box::pin(async move {
                asked.notify_one();
                go.notified().await;
                Ok(Argument::from("waited"))
            })
        })
    };
    let waiting = call_of(&tool, &[("wait", true.into())]);
    let waiting = flow.pool.call(&waiting, &heard);
    let other = async {
        asked.notified().await;
        let value = flow.call(&[("wait", false.into())]).await.expect("returns");
        go.notify_one();
        value
    };
    let (waited, other) = tokio::join!(waiting, other);
    assert_eq!((waited.expect("returns").to_json(), other.to_json()), (r#""waited""#.into(), r#""ran""#.into()));
}

#[tokio::test]
async fn nobody_answers_when_no_call_runs() {
    let flow = Flow::of_tool(&format!(
        "{LINK}import threading\nfrom sluicegate_worker import output\ntold = []\ndef late(release):\n  release.wait()\n  \
         try: host.link.ask('late')\n  except Exception as e: told.append(str(e))\nrelease = threading.Event()\n\
         @tool\ndef t(end=False):\n  if not end:\n    global thread\n    thread = threading.Thread(target=late, args=(release,)); thread.start()\n    return\n  \
         release.set(); thread.join(); return told\n"
    ));
    flow.call(&[]).await.expect("returns");
    assert_eq!(flow.json(&[("end", true.into())]).await, r#"["the host answers only while the node's call runs"]"#);
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_any_more_is_dropped() {
    let (dropped, asked) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    struct Dropped(Arc<Notify>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let heard = {
        let (dropped, asked) = (dropped.clone(), asked.clone());
        Heard::answering(move |_| {
            let guard = Dropped(dropped.clone());
            asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                let _guard = guard;
                std::future::pending().await
            })
        })
    };
    let flow = Flow::of_tool(&format!(
        "{LINK}import asyncio\n@tool\nasync def t():\n  try: await asyncio.wait_for(host.link.ask_async('never'), 0.01)\n  \
         except asyncio.TimeoutError: pass\n  await asyncio.sleep(0)\n  return 'gave up'\n"
    ));
    let value = flow.call_for(&[], &heard).await.expect("returns");
    assert_eq!((value.to_json().as_str(), asked.load(Ordering::SeqCst)), (r#""gave up""#, 1));
    dropped.notified().await;
}

#[tokio::test]
async fn a_cancelled_call_that_waits_for_the_host_ends_without_its_worker() {
    let flow = Flow::of_tool(&format!(
        "{LINK}import os\nended = []\n@tool\ndef t(wait):\n  if not wait: return [os.getpid(), ended]\n  \
         try: host.link.ask('never')\n  finally: ended.append('cleaned up')\n"
    ));
    let tool = flow.load("tool.py").await;
    let pid = |json: &str| json.split(',').next().map(ToOwned::to_owned);
    let before = flow.json(&[("wait", false.into())]).await;
    let asked = Arc::new(Notify::new());
    let heard = {
        let asked = asked.clone();
        Heard::answering(move |_| {
            asked.notify_one();
            Box::pin(std::future::pending())
        })
    };
    let call = call_of(&tool, &[("wait", true.into())]);
    tokio::select! {
        ended = flow.pool.call(&call, &heard) => panic!("{ended:?}"),
        () = asked.notified() => {}
    }
    // It unwinds at its next turn, which may come after ours.
    let mut after = String::new();
    while !after.ends_with(r#"["cleaned up"]]"#) {
        after = flow.json(&[("wait", false.into())]).await;
        assert_eq!(pid(&before), pid(&after));
    }
}
