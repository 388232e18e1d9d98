//! What Python costs: a warm call on the host's side, and a cold start beside `python3 -c pass`.
//!
//! Targets: 100 µs of the host's CPU a warm call; a cold run with one Python node 100 ms of wall time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicegate_python::{Argument, NoHost, Pool, Pools, Search, Settings, Tool, ToolCall, ToolSource};
use sluicegate_value::{Map, Value};

const WARM: u32 = 5000;
const COLD: usize = 15;

const TOOL: &str = "from promptflow.core import tool\n@tool\ndef clean(text: str, kind: str) -> dict:\n    \
                    return {'kind': kind, 'words': [word.strip() for word in text.split(',')]}\n";

#[expect(clippy::print_stdout, reason = "a benchmark says what it found")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("tool.py"), TOOL)?;
    let cache = tempfile::tempdir()?;
    for python in pythons() {
        println!("{}", python.display());
        let bare = median((0..COLD).map(|_| bare(&python)));
        println!("  python -c pass                      {bare:>10.1?}  wall, median of {COLD}");
        let cold = median((0..COLD).map(|_| cold(&python, folder.path(), cache.path())));
        println!("  start, load, first call, shutdown   {cold:>10.1?}  wall, median of {COLD} (target 100 ms)");
        let (host, wall) = warm(&python, folder.path(), cache.path())?;
        println!("  warm call                           {host:>10.1?}  host CPU (target 100 µs), {wall:.1?} wall");
    }
    Ok(())
}

/// The Python on the path, a version manager's shim resolved, and the system's if it is another.
fn pythons() -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a benchmark runs where it is started")]
    let search = Search { path: std::env::var_os("PATH"), ..Search::default() };
    let found =
        search.find().map(|interpreter| interpreter.program).into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    let mut pythons: Vec<PathBuf> = Vec::new();
    for program in found {
        let said = Command::new(program).args(["-c", "import sys; print(sys.executable)"]).output();
        let executable =
            said.map(|said| PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())).unwrap_or_default();
        if executable.is_file() && !pythons.contains(&executable) {
            pythons.push(executable);
        }
    }
    pythons
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn bare(python: &Path) -> Duration {
    let begun = Instant::now();
    let _ = Command::new(python).args(["-c", "pass"]).status();
    begun.elapsed()
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

fn pool(python: &Path, folder: &Path, cache: &Path) -> (Pools, Pool) {
    let search = Search { configured: Some(python.to_owned()), ..Search::default() };
    let pools = Pools::new(Settings { search, cache: Some(cache.to_owned()), size: Some(1), ..Settings::default() });
    let pool = pools.pool(folder, &[]);
    (pools, pool)
}

async fn load(pool: &Pool) -> Result<ToolCall, sluicegate_python::PythonError> {
    let tool: Arc<Tool> = pool.load(&ToolSource::File(pool.folder().join("tool.py")), &NoHost, None).await?;
    let input = |name: &str, text: &str| (name.into(), Argument::from(text));
    Ok(ToolCall::new(tool, vec![input("text", "Marie Curie, Paris, 1903"), input("kind", "name")]))
}

fn cold(python: &Path, folder: &Path, cache: &Path) -> Duration {
    let begun = Instant::now();
    let ran = runtime().map(|runtime| {
        runtime.block_on(async {
            let (pools, pool) = pool(python, folder, cache);
            let call = load(&pool).await?;
            pool.call(&call, &NoHost).await?;
            pools.shutdown().await;
            Ok::<_, sluicegate_python::PythonError>(())
        })
    });
    match ran {
        Ok(Ok(())) => begun.elapsed(),
        other => panic!("{other:?}"),
    }
}

fn warm(python: &Path, folder: &Path, cache: &Path) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    runtime()?.block_on(async {
        let (pools, pool) = pool(python, folder, cache);
        let call = load(&pool).await?;
        let expected = Value::from(Map::from([
            ("kind", Value::from("name")),
            ("words", Value::from(vec!["Marie Curie".into(), "Paris".into(), "1903".into()])),
        ]));
        assert_eq!(pool.call(&call, &NoHost).await?, expected);
        let (begun, cpu) = (Instant::now(), own_cpu());
        for _ in 0..WARM {
            pool.call(&call, &NoHost).await?;
        }
        let (wall, cpu) = (begun.elapsed() / WARM, (own_cpu() - cpu) / WARM);
        pools.shutdown().await;
        Ok((cpu, wall))
    })
}

/// The CPU time of this process, its children not counted.
fn own_cpu() -> Duration {
    // Fields 14 and 15: user and system time in hundredths of a second.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
