//! Workers that are killed, with what they have started, and those who die with their host.

use std::time::{Duration, Instant};

use sluicegate_python::{PythonError, ToolCall};
use sluicegate_value::Value;
use tokio::io::AsyncBufReadExt as _;

use crate::support::{Flow, Heard, call_of, is_alive, tool_file, until_gone};

/// Prints its process's number and that of a child, and never ends.
const ENDLESS: &str = "import os, subprocess, sys\n@tool\ndef t(x=1):\n  child = subprocess.Popen(['sleep', '1000'])\n  \
                       print(os.getpid(), child.pid, 'begun', flush=True)\n  while x: pass\n";

fn pids(heard: &Heard) -> Vec<i64> {
    heard.stdout().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[tokio::test]
async fn an_endless_loop_ends_with_its_time_and_leaves_nothing() {
    let flow = Flow::of_tool(ENDLESS);
    let tool = flow.load("tool.py").await;
    let heard = Heard::default();
    let endless = ToolCall { timeout: Some(Duration::from_secs(3)), ..call_of(&tool, &[]) };
    assert!(matches!(flow.pool.call(&endless, &heard).await, Err(PythonError::TimedOut)));
    let pids = pids(&heard);
    assert_eq!(pids.len(), 2);
    for pid in pids {
        until_gone(pid).await;
    }
    // The pool of one has another worker.
    assert_eq!(flow.call(&[("x", Value::Int(0))]).await.expect("returns"), Value::Null);
}

#[tokio::test]
async fn a_dropped_call_is_killed_and_others_are_told_that_they_may_repeat() {
    let flow = Flow::new(&[
        ("endless.py", &tool_file(ENDLESS)),
        (
            "patient.py",
            &tool_file(
                "import asyncio\n@tool\nasync def t():\n  print('waiting', flush=True)\n  await asyncio.sleep(1000)\n",
            ),
        ),
    ]);
    let (endless, patient) = (flow.load("endless.py").await, flow.load("patient.py").await);
    let (endless, patient) = (call_of(&endless, &[]), call_of(&patient, &[]));
    let (heard, other) = (Heard::default(), Heard::default());
    let dropped = async {
        other.until_printed("waiting").await;
        tokio::select! {
            ended = flow.pool.call(&endless, &heard) => panic!("{ended:?}"),
            () = heard.until_printed("begun") => {}
        }
    };
    let (ended, ()) = tokio::join!(flow.pool.call(&patient, &other), dropped);
    let error = ended.expect_err("its worker is gone");
    assert!(error.is_repeatable(), "{error:?}");
    for pid in pids(&heard) {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_deadline_holds_for_loading_too() {
    let flow = Flow::of_tool("while True: pass\n");
    let deadline = Some(Instant::now() + Duration::from_secs(2));
    let loaded = flow.pool.load(&flow.source("tool.py"), &Heard::default(), deadline).await;
    assert!(matches!(loaded, Err(PythonError::TimedOut)), "{loaded:?}");
}

#[tokio::test]
async fn an_asynchronous_call_is_cancelled_in_its_worker() {
    let flow = Flow::of_tool(
        "import asyncio, os\nended = []\n@tool\nasync def t(wait):\n  if not wait:\n    return [os.getpid(), ended]\n  print('waiting', flush=True)\n  \
         try: await asyncio.sleep(1000)\n  finally: ended.append('cancelled')\n",
    );
    let tool = flow.load("tool.py").await;
    let before = flow.call(&[("wait", false.into())]).await.expect("returns");
    let heard = Heard::default();
    let waiting = call_of(&tool, &[("wait", true.into())]);
    tokio::select! {
        ended = flow.pool.call(&waiting, &heard) => panic!("{ended:?}"),
        () = heard.until_printed("waiting") => {}
    }
    let after = flow.call(&[("wait", false.into())]).await.expect("returns");
    let after = after.as_list().expect("a list");
    assert_eq!(after[0], before.as_list().expect("a list")[0], "the same process");
    assert_eq!(after[1].to_json(), r#"["cancelled"]"#);
}

#[tokio::test]
async fn a_worker_killed_in_mid_call_fails_it_and_is_replaced() {
    let flow = Flow::of_tool(ENDLESS);
    let tool = flow.load("tool.py").await;
    let heard = Heard::default();
    let endless = call_of(&tool, &[]);
    let killed = async {
        heard.until_printed("begun").await;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pids(&heard)[0]).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    };
    let (ended, ()) = tokio::join!(flow.pool.call(&endless, &heard), killed);
    assert!(matches!(ended, Err(PythonError::WorkerDied { .. })), "{ended:?}");
    // What it had started is gone too.
    until_gone(pids(&heard)[1]).await;
    assert_eq!(flow.call(&[("x", Value::Int(0))]).await.expect("returns"), Value::Null);
}

#[tokio::test]
async fn shutting_down_runs_exit_functions_and_ends_children() {
    let flow = Flow::of_tool(
        "import atexit, os, pathlib, subprocess\natexit.register(lambda: pathlib.Path('said-bye').touch())\n@tool\ndef t(): \
         return [os.getpid(), subprocess.Popen(['sleep', '1000']).pid]\n",
    );
    let value = flow.call(&[]).await.expect("returns");
    let pids: Vec<i64> = value.as_list().expect("a list").iter().filter_map(Value::as_int).collect();
    flow.pools.shutdown().await;
    for pid in pids {
        until_gone(pid).await;
    }
    assert!(flow.folder.path().join("said-bye").exists());
    assert!(matches!(flow.pool.python().await, Err(PythonError::ShutDown)));
}

#[tokio::test]
async fn dropping_the_pool_ends_its_workers() {
    let flow = Flow::of_tool("import os\n@tool\ndef t(): return os.getpid()\n");
    let pid = flow.call(&[]).await.expect("returns").as_int().expect("a number");
    assert!(is_alive(pid));
    drop(flow);
    until_gone(pid).await;
}

/// Starts another program with a worker in this state, kills it, and waits for the worker and its child to end.
async fn check_dies_with_its_host(state: &str) {
    let flow = Flow::of_tool(&format!(
        "import os, re, subprocess, time\n@tool\ndef t():\n  child = subprocess.Popen(['sleep', '1000'])\n  \
         print(os.getpid(), child.pid, 'begun', flush=True)\n  {state}\n"
    ));
    let mut host = tokio::process::Command::new(example("one_call"))
        .arg(crate::support::python())
        .arg(flow.folder.path())
        .arg(crate::support::cache())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the example is built");
    let mut lines = tokio::io::BufReader::new(host.stdout.take().expect("piped")).lines();
    let mut pids: Vec<i64> = Vec::new();
    while pids.is_empty() {
        let line = lines.next_line().await.expect("reads").expect("the example prints");
        pids = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    }
    assert_eq!(pids.len(), 2);
    assert!(is_alive(pids[0]));
    host.kill().await.expect("killed");
    for pid in pids {
        until_gone(pid).await;
    }
}

/// A program of this crate's examples; Cargo builds them with the tests.
fn example(name: &str) -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a program");
    let profile = test.parent().and_then(std::path::Path::parent).expect("target/debug");
    profile.join("examples").join(name)
}

#[tokio::test]
async fn workers_die_with_a_host_that_is_killed() {
    check_dies_with_its_host("time.sleep(1000)").await;
    check_dies_with_its_host("while True: pass").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn even_workers_whose_python_cannot_run_die_with_their_host() {
    // This expression holds the interpreter's lock for years: no other thread of the worker runs.
    check_dies_with_its_host("re.match(r'(a+)+$', 'a' * 60 + 'b')").await;
}
