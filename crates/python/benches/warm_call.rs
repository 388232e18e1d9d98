//! What Python costs: a warm call on the host's side, many calls at once over two workers, and a cold start beside
//! `python3 -c pass`.
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

/// Tasks that call at once, over so many workers, and what all of them call together.
const TASKS: u32 = 200;
const WORKERS: usize = 2;
const CROWDED: u32 = 20_000;

/// What a task does between two calls where the runtime has other work too.
const BUSY: Duration = Duration::from_micros(100);

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
        for (about, work) in [("at once over two workers", Duration::ZERO), ("the same, busy between", BUSY)] {
            let crowd = crowded(&python, folder.path(), cache.path(), work)?;
            println!(
                "  {about:<34}  {:>10.1?}  host CPU, {:.1?} workers' CPU, {:.1?} wall ({:.0} calls a second)",
                crowd.host / CROWDED,
                crowd.workers / CROWDED,
                crowd.wall / CROWDED,
                f64::from(CROWDED) / crowd.wall.as_secs_f64(),
            );
        }
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

fn pool(python: &Path, folder: &Path, cache: &Path, size: usize) -> (Pools, Pool) {
    let search = Search { configured: Some(python.to_owned()), ..Search::default() };
    let pools = Pools::new(Settings { search, cache: Some(cache.to_owned()), size: Some(size), ..Settings::default() });
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
            let (pools, pool) = pool(python, folder, cache, 1);
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
        let (pools, pool) = pool(python, folder, cache, 1);
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

/// What many calls at once took, all together.
struct Crowded {
    host: Duration,
    workers: Duration,
    wall: Duration,
}

fn crowded(python: &Path, folder: &Path, cache: &Path, work: Duration) -> Result<Crowded, Box<dyn std::error::Error>> {
    runtime()?.block_on(async {
        let (pools, pool) = pool(python, folder, cache, WORKERS);
        let call = load(&pool).await?;
        // Until all workers are there and know the tool.
        calls_at_once(&pool, &call, 20, Duration::ZERO).await?;
        let workers = children();
        assert_eq!(workers.len(), WORKERS, "{workers:?}");
        let workers_cpu = || workers.iter().map(|worker| cpu_of(worker)).sum::<Duration>();
        let (begun, host, theirs) = (Instant::now(), own_cpu(), workers_cpu());
        calls_at_once(&pool, &call, CROWDED / TASKS, work).await?;
        let crowd = Crowded { host: own_cpu() - host, workers: workers_cpu() - theirs, wall: begun.elapsed() };
        pools.shutdown().await;
        Ok(crowd)
    })
}

/// So many calls of each task, one after the other, with so much work between.
async fn calls_at_once(
    pool: &Pool,
    call: &ToolCall,
    each: u32,
    work: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (pool, call) = (pool.clone(), call.clone());
        tasks.spawn(async move {
            for _ in 0..each {
                let begun = Instant::now();
                while begun.elapsed() < work {}
                pool.call(&call, &NoHost).await?;
            }
            Ok::<_, sluicegate_python::PythonError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// The processes that this one has started and that run.
fn children() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The CPU time of this process, its children not counted.
fn own_cpu() -> Duration {
    cpu_of("self")
}

fn cpu_of(process: &str) -> Duration {
    // Fields 14 and 15: user and system time in hundredths of a second.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
