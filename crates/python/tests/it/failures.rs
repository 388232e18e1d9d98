//! What user code raises.

use sluicegate_python::{HowDied, PythonError, Raised};
use sluicegate_value::Value;

use crate::support::Flow;

async fn raised(body: &str) -> Raised {
    let flow = Flow::of_tool(&format!("@tool\ndef t(x=1):\n{body}\n"));
    match flow.call(&[]).await {
        Err(PythonError::Raised(raised)) => {
            // The worker is none the worse for it.
            assert!(flow.pool.python().await.is_ok());
            *raised
        }
        other => panic!("{body}: {other:?}"),
    }
}

async fn check_raised(body: &str, type_name: &str, message: &str) {
    let raised = raised(body).await;
    assert_eq!((&*raised.type_name, &*raised.message), (type_name, message), "{raised:?}");
}

#[tokio::test]
async fn an_exception_is_told_with_its_place() {
    let raised = raised("  y = x\n  raise ValueError('böse 😀')").await;
    assert_eq!(raised.to_string(), "ValueError: böse 😀");
    assert_eq!((raised.module.as_str(), raised.line, raised.function.as_deref()), ("builtins", Some(5), Some("t")));
    assert!(raised.file.as_deref().is_some_and(|file| file.ends_with("tool.py")));
    assert!(raised.traceback.starts_with("Traceback (most recent call last):\n  File \""), "{}", raised.traceback);
    assert!(
        raised.traceback.ends_with("    raise ValueError('böse 😀')\nValueError: böse 😀\n"),
        "{}",
        raised.traceback
    );
    assert!(!raised.traceback.contains("sluicegate_worker"), "{}", raised.traceback);
}

#[tokio::test]
async fn causes_are_told_too() {
    let told = raised("  try: {}['a']\n  except KeyError as e: raise RuntimeError('outer') from e").await;
    let (inner, outer) = (told.traceback.find("KeyError: 'a'"), told.traceback.find("RuntimeError: outer"));
    assert!(inner < outer && inner.is_some(), "{}", told.traceback);
    assert!(told.traceback.contains("The above exception was the direct cause"), "{}", told.traceback);
}

#[tokio::test]
async fn what_would_end_a_program_fails_the_node() {
    check_raised("  import sys; sys.exit(3)", "SystemExit", "3").await;
    check_raised("  raise KeyboardInterrupt", "KeyboardInterrupt", "").await;
    check_raised("  def f(): f()\n  f()", "RecursionError", "maximum recursion depth exceeded").await;
    check_raised("  raise MemoryError('no more')", "MemoryError", "no more").await;
    check_raised(
        "  class E(Exception):\n    def __str__(self): raise OSError\n  raise E",
        "E",
        "<its message cannot be made: OSError>",
    )
    .await;
    check_raised("  raise ValueError('\\ud800')", "ValueError", "?").await;
}

#[tokio::test]
async fn wrong_arguments_are_pythons_words() {
    let flow = Flow::of_tool("@tool\ndef a(req, opt=1): return req\n");
    let error = flow.call(&[]).await.expect_err("fails").to_string();
    assert_eq!(error, "TypeError: a() missing 1 required positional argument: 'req'");
    let error = flow.call(&[("req", Value::Null), ("x", Value::Null)]).await.expect_err("fails").to_string();
    assert_eq!(error, "TypeError: a() got an unexpected keyword argument 'x'");
}

#[tokio::test]
async fn prompt_flows_own_errors_say_whose_fault_they_are() {
    let raised =
        raised("  from promptflow.exceptions import UserErrorException\n  raise UserErrorException('yours')").await;
    assert_eq!(raised.codes, ["UserError", "UserErrorException"]);
}

#[tokio::test]
async fn a_fork_that_comes_back_from_the_tool_ends_there() {
    let flow = Flow::of_tool(
        "import os\n@tool\ndef t():\n  pid = os.fork()\n  if pid == 0:\n    print('child')\n    return 'child'\n  \
         return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
    );
    assert_eq!(flow.json(&[]).await, "0");
    assert_eq!(flow.json(&[]).await, "0");
}

#[tokio::test]
async fn processes_of_a_tools_own_work() {
    let flow = Flow::of_tool(
        "import multiprocessing\ndef square(x): return x * x\n@tool\ndef t():\n  \
         with multiprocessing.get_context('fork').Pool(2) as pool: return pool.map(square, [1, 2, 3])\n",
    );
    assert_eq!(flow.json(&[]).await, "[1,4,9]");
}

async fn check_died(body: &str, expected: HowDied) {
    let flow = Flow::of_tool(&format!(
        "import ctypes, os, signal, sys\n@tool\ndef t(die=True):\n  if not die: return 'alive'\n  \
         os.write(2, b'last words')\n{body}\n"
    ));
    match flow.call(&[]).await {
        Err(PythonError::WorkerDied { how, stderr }) => {
            assert_eq!(how, expected, "{body}");
            assert!(stderr.starts_with("last words"), "{stderr}");
        }
        other => panic!("{body}: {other:?}"),
    }
    // Another worker takes its place.
    assert_eq!(flow.json(&[("die", false.into())]).await, r#""alive""#);
}

#[tokio::test]
async fn what_kills_the_process_fails_the_call_and_the_next_has_a_new_worker() {
    check_died("  os._exit(7)", HowDied::Exit(7)).await;
    check_died("  os.kill(os.getpid(), signal.SIGSEGV); signal.pause()", HowDied::Signal(11)).await;
    check_died("  ctypes.string_at(0)", HowDied::Signal(11)).await;
    check_died("  os.abort()", HowDied::Signal(6)).await;
    // It has closed the channel, and cannot even say so.
    check_died("  os.closerange(3, 100)", HowDied::Signal(9)).await;
}
