//! Many calls at once.

use sluicegate_python::{Settings, ToolCall};
use sluicegate_value::Value;

use crate::support::{Flow, Heard, call_of, settings, tool_file};

async fn thousand(text: &str, size: usize) -> Vec<i64> {
    let flow = Flow::with(&[("tool.py", &tool_file(text))], Settings { size: Some(size), ..settings() });
    let tool = flow.load("tool.py").await;
    let heard = Heard::default();
    let calls = (0..1000).map(|number| {
        let (flow, heard) = (&flow, &heard);
        let call = call_of(&tool, &[("x", Value::Int(number))]);
        async move {
            let value = flow.pool.call(&call, heard).await.expect("returns");
            let pair = value.as_list().expect("a pair").to_vec();
            assert_eq!(pair[0], Value::Int(number));
            pair[1].as_int().expect("a number")
        }
    });
    futures_util::future::join_all(calls).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_all_return() {
    // Never two at once in one worker.
    let pids = thousand(
        "import os\nrunning = 0\n@tool\ndef t(x):\n  global running\n  running += 1\n  assert running == 1\n  \
         for _ in range(1000): pass\n  running -= 1\n  return [x, os.getpid()]\n",
        2,
    )
    .await;
    assert!(pids.iter().collect::<std::collections::HashSet<_>>().len() <= 2);
    // Asynchronous ones together.
    let most = thousand(
        "import asyncio\nrunning = most = 0\nall_run = None\n@tool\nasync def t(x):\n  global running, most, all_run\n  all_run = all_run or asyncio.Event()\n  running += 1\n  \
         most = max(most, running)\n  if running == 1000: all_run.set()\n  await all_run.wait()\n  return [x, most]\n",
        1,
    )
    .await;
    assert_eq!(most.into_iter().max(), Some(1000));
}

#[tokio::test]
async fn a_synchronous_tool_does_not_hold_up_asynchronous_ones() {
    let flow = Flow::new(&[
        (
            "sync.py",
            &tool_file(
                "import time, os\n@tool\ndef t(file):\n  while not os.path.exists(file): time.sleep(0.002)\n  return 'sync'\n",
            ),
        ),
        (
            "async.py",
            &tool_file(
                "import asyncio, pathlib\n@tool\nasync def t(file):\n  await asyncio.sleep(0)\n  pathlib.Path(file).touch()\n  return 'async'\n",
            ),
        ),
    ]);
    let (waits, ends) = (flow.load("sync.py").await, flow.load("async.py").await);
    let file = [("file", Value::from("made by the other"))];
    let (waits, ends) = (call_of(&waits, &file), call_of(&ends, &file));
    let heard = Heard::default();
    let (waited, ended) = tokio::join!(flow.pool.call(&waits, &heard), flow.pool.call(&ends, &heard));
    assert_eq!((waited.expect("returns"), ended.expect("returns")), ("sync".into(), "async".into()));
}

#[tokio::test]
async fn slow_calls_get_more_workers_and_quick_ones_do_not() {
    let text = tool_file(
        "import os, pathlib, time\n@tool\ndef t(name=None, other=None):\n  if name:\n    pathlib.Path(name).touch()\n    \
         while not os.path.exists(other): time.sleep(0.002)\n  return os.getpid()\n",
    );
    let flow = Flow::with(&[("tool.py", &text)], Settings { size: Some(4), ..settings() });
    let tool = flow.load("tool.py").await;
    let heard = Heard::default();
    let mut pids = Vec::new();
    for _ in 0..5 {
        pids.push(flow.pool.call(&call_of(&tool, &[]), &heard).await.expect("returns"));
    }
    assert!(pids.iter().all(|pid| *pid == pids[0]));
    // Each waits for what the other does: with one worker this would never end.
    let call =
        |name: &str, other: &str| -> ToolCall { call_of(&tool, &[("name", name.into()), ("other", other.into())]) };
    let (first, second) = (call("a", "b"), call("b", "a"));
    let (first, second) = tokio::join!(flow.pool.call(&first, &heard), flow.pool.call(&second, &heard));
    assert_ne!(first.expect("returns"), second.expect("returns"));
}

#[tokio::test]
async fn a_function_that_gives_a_coroutine_is_awaited() {
    let flow = Flow::of_tool(
        "import asyncio\nasync def inner(x):\n  await asyncio.sleep(0)\n  return x\n@tool\ndef t(x): return inner(x)\n",
    );
    assert_eq!(flow.json(&[("x", Value::Int(3))]).await, "3");
}
