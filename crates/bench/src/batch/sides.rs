//! The two sides of a comparison, each run once: a fresh mock, a fresh project, a process measured, its output checked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::batch::outcome::{Order, check_counts, check_output};
use crate::batch::project::{ENVIRONMENT, Project};
use crate::batch::scenario::Scenario;
use crate::failure::Failure;
use crate::measure::{self, Measured};
use crate::mock::Behaviour;
use crate::mock::counts::Counts;
use crate::mock::process::MockProcess;

/// How sides are run.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) sluicegate: PathBuf,
    /// Where projects are written; the system's temporary folder if nobody says.
    pub(crate) folder: Option<PathBuf>,
    /// Whether projects stay when their run is over.
    pub(crate) keep: bool,
    pub(crate) python: Option<PathBuf>,
    /// What `--concurrency` gets in place of the calls in flight.
    pub(crate) concurrency: Option<usize>,
    /// Further arguments of `sluicegate batch`.
    pub(crate) arguments: Vec<String>,
    pub(crate) floor_threads: usize,
}

/// One run of one side.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) measured: Measured,
    pub(crate) counts: Counts,
    /// CPU milliseconds of the mock.
    pub(crate) mock_cpu: Option<f64>,
}

/// Runs the floor.
pub(crate) fn floor(scenario: &Scenario, setting: &Setting) -> Result<Ran, Failure> {
    let program = std::env::current_exe().map_err(Failure::while_doing("finding this program"))?;
    run(scenario, setting, Order::Any, |project, mock, out| {
        let mut command = Command::new(program);
        command.arg("floor").arg("--url").arg(mock).arg("--rows").arg(project.rows()).arg("--out").arg(out);
        command.args(["--in-flight", &scenario.in_flight.to_string()]);
        command.args(["--threads", &setting.floor_threads.to_string()]);
        (command, out.to_owned())
    })
}

/// Runs `sluicegate batch`.
pub(crate) fn sluicegate(scenario: &Scenario, setting: &Setting) -> Result<Ran, Failure> {
    run(scenario, setting, Order::Rows, |project, _, out| {
        (batch(scenario, setting, project, out), out.join("output.jsonl"))
    })
}

/// The command line that is measured.
fn batch(scenario: &Scenario, setting: &Setting, project: &Project, out: &Path) -> Command {
    let mut command = Command::new(&setting.sluicegate);
    command.arg("batch").arg(scenario.flow.name());
    command.arg("-C").arg(project.path());
    command.args(["--environment_name", ENVIRONMENT]);
    command.arg("--data").arg(project.rows());
    command.args(["--concurrency", &setting.concurrency.unwrap_or(scenario.in_flight).to_string()]);
    command.arg("--output").arg(out);
    command.args(&setting.arguments);
    command
}

/// Whether this binary has the command at all.
pub(crate) fn has_batch(sluicegate: &Path) -> bool {
    let help = Command::new(sluicegate).args(["batch", "--help"]).output();
    help.is_ok_and(|output| output.status.success())
}

fn run(
    scenario: &Scenario,
    setting: &Setting,
    order: Order,
    command: impl FnOnce(&Project, &str, &Path) -> (Command, PathBuf),
) -> Result<Ran, Failure> {
    let mock = MockProcess::start(Behaviour { latency: scenario.latency, refuse_every: None }, 1)?;
    let project = Project::write(scenario, setting, &mock.base_url())?;
    let (mut command, output) = command(&project, &mock.base_url(), &project.out("out"));
    let talk = project.out("talk.txt");
    let file = File::create(&talk).map_err(Failure::while_doing("making a file for what is said"))?;
    let copy = file.try_clone().map_err(Failure::while_doing("making a file for what is said"))?;
    command.env_clear().envs(kept_variables()).stdin(std::process::Stdio::null()).stdout(file).stderr(copy);
    let measured = measure::run(&mut command, &[mock.id()])?;
    let mock_cpu = mock.cpu_milliseconds();
    let counts = mock.finish()?;
    let said = || last_of(&fs::read_to_string(&talk).unwrap_or_default());
    if !measured.status.success() {
        return Err(Failure::new(format_args!("{} ended with {}:\n{}", scenario.name, measured.status, said())));
    }
    let checked = check_output(&output, scenario.rows, order)
        .and_then(|()| check_counts(&counts, if scenario.flow.calls() { scenario.rows } else { 0 }));
    checked.map_err(|failure| Failure::new(format_args!("{}: {failure}\n{}", scenario.name, said())))?;
    Ok(Ran { measured, counts, mock_cpu })
}

/// What programs need to start at all; nothing else, so that no variable of the machine changes what is measured.
fn kept_variables() -> Vec<(&'static str, OsString)> {
    #[expect(clippy::disallowed_methods, reason = "a program under measurement inherits these and nothing else")]
    let kept = |name| Some((name, std::env::var_os(name)?));
    ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"].into_iter().filter_map(kept).collect()
}

fn last_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
