//! Whatever a tool prints: it is heard, and disturbs nobody.

use std::sync::{Arc, Mutex};

use sluicegate_python::{Listener, Settings};

use crate::support::{Flow, Heard, call_of, settings, tool_file};

async fn check_said(body: &str, stdout: &str, stderr: &str) {
    let flow = Flow::of_tool(&format!("import os, sys, threading\n@tool\ndef t():\n{body}\n  return 'fine'\n"));
    let heard = Heard::default();
    assert_eq!(flow.call_for(&[], &heard).await.expect("returns").to_json(), r#""fine""#, "{body}");
    assert_eq!((heard.stdout().as_str(), heard.stderr().as_str()), (stdout, stderr), "{body}");
}

#[tokio::test]
async fn prints_belong_to_their_call() {
    check_said("  print('a'); print('b', end='')", "a\nb", "").await;
    check_said("  print('e', file=sys.stderr)", "", "e\n").await;
    check_said("  sys.stdout.buffer.write('é'.encode()); sys.stdout.flush()", "é", "").await;
    check_said("  print('\\ud800')", "?\n", "").await;
    check_said(
        "  t = threading.Thread(target=print, args=('from a thread',)); t.start(); t.join()",
        "from a thread\n",
        "",
    )
    .await;
    check_said(
        "  from concurrent.futures import ThreadPoolExecutor\n  with ThreadPoolExecutor(1) as p: list(p.map(print, 'ab'))",
        "a\nb\n",
        "",
    )
    .await;
    check_said("  assert sys.stdin.read() == ''", "", "").await;
}

#[tokio::test]
async fn many_lines_are_all_heard_in_order() {
    let flow = Flow::of_tool("@tool\ndef t():\n  for i in range(50_000): print(i)\n");
    let heard = Heard::default();
    flow.call_for(&[], &heard).await.expect("returns");
    let expected: String = (0..50_000).map(|line| format!("{line}\n")).collect();
    assert!(heard.stdout() == expected);
}

#[tokio::test]
async fn what_passes_python_by_is_heard_as_the_workers_own() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let listener: Listener = {
        let lines = lines.clone();
        Arc::new(move |line| lines.lock().expect("not poisoned").push(line.to_owned()))
    };
    let files = tool_file(
        "import os, subprocess, sys\n@tool\ndef t():\n  os.write(1, b'to one\\n'); os.write(2, b'to two\\n')\n  \
         subprocess.run([sys.executable, '-S', '-c', 'print(\"from a child\")'])\n  os.system('echo from a shell')\n",
    );
    let flow = Flow::with(&[("tool.py", &files)], Settings { listener: Some(listener), ..settings() });
    flow.call(&[]).await.expect("returns");
    flow.pools.shutdown().await;
    let lines = lines.lock().expect("not poisoned").clone();
    assert_eq!(lines, ["to one", "to two", "from a child", "from a shell"]);
}

#[tokio::test]
async fn prints_of_calls_at_once_are_kept_apart() {
    let flow = Flow::of_tool(
        "import asyncio\n@tool\nasync def t(name):\n  for _ in range(20):\n    print(name)\n    await asyncio.sleep(0)\n",
    );
    let tool = flow.load("tool.py").await;
    let calls = (0..10).map(|number| {
        let (flow, tool) = (&flow, &tool);
        async move {
            let heard = Heard::default();
            let name = format!("call {number}");
            let call = call_of(tool, &[("name", name.as_str().into())]);
            flow.pool.call(&call, &heard).await.expect("returns");
            assert_eq!(heard.stdout(), format!("{name}\n").repeat(20));
        }
    });
    futures_util::future::join_all(calls).await;
}
