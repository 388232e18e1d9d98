//! Calls that wait in a worker for the one that runs there.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_python::{Argument, PythonError, Settings, Tool, ToolCall};
use sluicegate_value::Value;
use tokio::sync::Notify;

use crate::support::{Flow, Heard, call_of, settings, tool_file};

/// Does what it is told: `sleep:SECONDS`, `hang`, `die`, `ask`, or a number to remember.
const TOOL: &str = "import os, time\nfrom sluicegate_worker import host\nran = []\n@tool\ndef t(what):\n  \
                    if what == 'ran': return ran[:]\n  \
                    if what == 'pid': return os.getpid()\n  \
                    ran.append(what)\n  \
                    print('began', what, flush=True)\n  \
                    if what.startswith('sleep:'): time.sleep(float(what[6:]))\n  \
                    if what == 'hang':\n    while True: time.sleep(0.01)\n  \
                    if what == 'die': time.sleep(0.2); os._exit(3)\n  \
                    if what == 'ask': return host.link.ask('wait')\n  \
                    return what\n";

/// A pool whose tool is known to be quick.
async fn quick() -> (Flow, Arc<Tool>) {
    let flow = Flow::of_tool(TOOL);
    let tool = flow.load("tool.py").await;
    for _ in 0..3 {
        flow.call(&[("what", "pid".into())]).await.expect("returns");
    }
    (flow, tool)
}

fn told(tool: &Arc<Tool>, what: &str) -> ToolCall {
    call_of(tool, &[("what", what.into())])
}

fn limited(tool: &Arc<Tool>, what: &str, millis: u64) -> ToolCall {
    ToolCall { timeout: Some(Duration::from_millis(millis)), ..told(tool, what) }
}

async fn ran(flow: &Flow) -> String {
    flow.json(&[("what", "ran".into())]).await
}

fn check_repeatable(ended: &Result<Value, PythonError>) {
    assert!(ended.as_ref().is_err_and(PythonError::is_repeatable), "{ended:?}");
}

#[tokio::test]
async fn calls_run_in_the_order_in_which_they_came() {
    let (flow, tool) = quick().await;
    let heard = Heard::default();
    let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let calls = names.iter().map(|name| {
        let (flow, heard, call) = (&flow, &heard, told(&tool, name));
        async move { flow.pool.call(&call, heard).await.expect("returns") }
    });
    let returned: Vec<Value> = futures_util::future::join_all(calls).await;
    assert_eq!(returned, names.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>());
    assert_eq!(ran(&flow).await, Value::from(returned).to_json());
}

#[tokio::test]
async fn the_time_of_a_call_is_its_own_and_not_that_of_the_calls_before_it() {
    let (flow, tool) = quick().await;
    let heard = Heard::default();
    let calls =
        [limited(&tool, "sleep:0.8", 1500), limited(&tool, "sleep:0.80", 1500), limited(&tool, "sleep:0.800", 1500)];
    let ended = futures_util::future::join_all(calls.iter().map(|call| flow.pool.call(call, &heard))).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
}

#[tokio::test]
async fn who_waits_behind_a_call_that_hangs_is_not_to_blame() {
    let (flow, tool) = quick().await;
    let heard = Heard::default();
    let (hangs, behind) = (limited(&tool, "hang", 600), limited(&tool, "behind", 600));
    let (hung, waited) = tokio::join!(flow.pool.call(&hangs, &heard), flow.pool.call(&behind, &heard));
    assert!(matches!(hung, Err(PythonError::TimedOut)), "{hung:?}");
    check_repeatable(&waited);
    assert_eq!(flow.pool.call(&behind, &heard).await.expect("returns"), "behind".into());
    assert!(!heard.stdout().starts_with("began behind"), "{}", heard.stdout());
}

#[tokio::test]
async fn the_second_call_that_hangs_has_its_own_time_too() {
    let (flow, tool) = quick().await;
    let heard = Heard::default();
    let (sleeps, hangs) = (limited(&tool, "sleep:0.3", 2000), limited(&tool, "hang", 500));
    let (slept, hung) = tokio::join!(flow.pool.call(&sleeps, &heard), flow.pool.call(&hangs, &heard));
    assert_eq!(slept.expect("returns"), "sleep:0.3".into());
    assert!(matches!(hung, Err(PythonError::TimedOut)), "{hung:?}");
    assert!(heard.stdout().contains("began hang"));
}

#[tokio::test]
async fn only_the_call_that_ran_is_blamed_for_a_workers_death() {
    let (flow, tool) = quick().await;
    let heard = Heard::default();
    let calls = [told(&tool, "die"), told(&tool, "behind"), told(&tool, "behind it")];
    let ended = futures_util::future::join_all(calls.iter().map(|call| flow.pool.call(call, &heard))).await;
    assert!(matches!(ended[0], Err(PythonError::WorkerDied { .. })), "{:?}", ended[0]);
    check_repeatable(&ended[1]);
    check_repeatable(&ended[2]);
    // The second of two: the first had ended, and who died is who ran.
    let (flow, tool) = quick().await;
    let calls = [told(&tool, "sleep:0.1"), told(&tool, "die"), told(&tool, "behind")];
    let ended = futures_util::future::join_all(calls.iter().map(|call| flow.pool.call(call, &heard))).await;
    assert!(ended[0].is_ok(), "{:?}", ended[0]);
    assert!(matches!(ended[1], Err(PythonError::WorkerDied { .. })), "{:?}", ended[1]);
    check_repeatable(&ended[2]);
}

#[tokio::test]
async fn a_worker_that_is_killed_from_outside_fails_the_call_that_ran_and_no_other() {
    let (flow, tool) = quick().await;
    let pid = flow.call(&[("what", "pid".into())]).await.expect("returns").as_int().expect("a number");
    let heard = Heard::default();
    let calls = [told(&tool, "hang"), told(&tool, "behind")];
    let killed = async {
        heard.until_printed("began hang").await;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    };
    let (hung, waited, ()) = tokio::join!(flow.pool.call(&calls[0], &heard), flow.pool.call(&calls[1], &heard), killed);
    assert!(matches!(hung, Err(PythonError::WorkerDied { .. })), "{hung:?}");
    check_repeatable(&waited);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_does_not_run_and_does_not_cost_the_worker() {
    let (flow, tool) = quick().await;
    let pid = flow.json(&[("what", "pid".into())]).await;
    let heard = Heard::default();
    // Longer than the patience with cancelled calls.
    let (first, dropped, last) = (told(&tool, "sleep:1.2"), told(&tool, "dropped"), told(&tool, "last"));
    let dropped = async {
        tokio::select! {
            biased;
            ended = flow.pool.call(&dropped, &heard) => panic!("{ended:?}"),
            () = heard.until_printed("began sleep") => {}
        }
    };
    let (first, (), last) = tokio::join!(flow.pool.call(&first, &heard), dropped, flow.pool.call(&last, &heard));
    assert_eq!((first.expect("returns"), last.expect("returns")), ("sleep:1.2".into(), "last".into()));
    assert_eq!(ran(&flow).await, r#"["sleep:1.2","last"]"#);
    assert_eq!(flow.json(&[("what", "pid".into())]).await, pid);
}

#[tokio::test]
async fn while_a_call_waits_for_the_host_those_behind_it_run() {
    let (flow, tool) = quick().await;
    let go = Arc::new(Notify::new());
    let heard = {
        let go = go.clone();
        Heard::answering(move |_| {
            let go = go.clone();
            Box::pin(async move {
                go.notified().await;
                Ok(Argument::from("waited"))
            })
        })
    };
    let calls = [limited(&tool, "ask", 60_000), limited(&tool, "one", 60_000), limited(&tool, "two", 60_000)];
    let others = async {
        let others = tokio::join!(flow.pool.call(&calls[1], &heard), flow.pool.call(&calls[2], &heard));
        go.notify_one();
        others
    };
    let (asked, (one, two)) = tokio::join!(flow.pool.call(&calls[0], &heard), others);
    assert_eq!(asked.expect("returns"), "waited".into());
    assert_eq!((one.expect("returns"), two.expect("returns")), ("one".into(), "two".into()));
    assert_eq!(ran(&flow).await, r#"["ask","one","two"]"#);
}

#[tokio::test]
async fn a_call_behind_one_that_came_back_from_the_host_has_its_own_time() {
    let (flow, tool) = quick().await;
    let heard = Heard::answering(|_| Box::pin(async { Ok(Argument::from("at once")) }));
    // It is before the others again, or behind one of them: nobody's time suffers.
    let calls = [told(&tool, "ask"), limited(&tool, "sleep:0.8", 1500), limited(&tool, "sleep:0.80", 1500)];
    let ended = futures_util::future::join_all(calls.iter().map(|call| flow.pool.call(call, &heard))).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
}

#[tokio::test]
async fn who_waits_behind_a_call_that_is_slow_after_all_goes_to_another_worker() {
    let text = tool_file(
        "import os, time\n@tool\ndef t(file):\n  while file and not os.path.exists(file): time.sleep(0.002)\n  \
         return os.getpid()\n",
    );
    let flow = Flow::with(&[("tool.py", &text)], Settings { size: Some(2), ..settings() });
    let heard = Heard::default();
    let until = flow.folder.path().join("until");
    let tool = flow.load("tool.py").await;
    let call = |file: &str| call_of(&tool, &[("file", file.into())]);
    for _ in 0..3 {
        flow.pool.call(&call(""), &heard).await.expect("returns");
    }
    // The first ends when the others have.
    let (slow, others) = (call(&until.to_string_lossy()), [call(""), call(""), call("")]);
    let others = async {
        let ended = futures_util::future::join_all(others.iter().map(|call| flow.pool.call(call, &heard))).await;
        std::fs::write(&until, "").expect("written");
        ended
    };
    let (slow, others) = tokio::join!(flow.pool.call(&slow, &heard), others);
    let slow = slow.expect("returns");
    for other in others {
        assert_ne!(other.expect("returns"), slow);
    }
}
