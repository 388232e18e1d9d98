//! The command `batch`: floor and sluicegate in turn, several times, and a table of what came of it.

pub(crate) mod outcome;
mod project;
pub(crate) mod rows;
mod scenario;
mod sides;
mod table;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) use self::rows::prompt_of;
use self::scenario::{Scenario, Targets};
use self::sides::{Ran, Setting};
use self::table::{Outcome, Side, render};
use crate::arguments::Arguments;
use crate::failure::Failure;

/// The command `batch`. A wrong output ends with exit code 1, and the other scenarios are measured all the same; a target
/// that is missed does not.
pub(crate) fn main(mut arguments: Arguments) -> Result<ExitCode, Failure> {
    if arguments.switch("--list") {
        for scenario in scenario::all() {
            println!("{}{}", scenario.name, if scenario.by_hand { "  (only if asked for)" } else { "" });
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios = chosen(&mut arguments)?;
    let repetitions = arguments.count("--repetitions")?.unwrap_or(3);
    let setting = Setting {
        sluicegate: arguments.path("--sluicegate")?.map_or_else(beside_this, Ok)?,
        folder: arguments.path("--folder")?,
        keep: arguments.switch("--keep"),
        python: arguments.path("--python")?,
        concurrency: arguments.count("--concurrency")?,
        arguments: arguments.texts("--argument")?,
        floor_threads: arguments.count("--floor-threads")?.unwrap_or(1),
    };
    let profile = arguments.switch("--profile");
    let mut floor_only = arguments.switch("--floor-only");
    arguments.finish()?;
    if !floor_only && !sides::has_batch(&setting.sluicegate) {
        eprintln!("{} has no command `batch`: the floor is measured alone", setting.sluicegate.display());
        floor_only = true;
    }
    let folder = setting.folder.clone().unwrap_or_else(std::env::temp_dir);
    println!("one commit costs {:.2} ms in {}\n", commit_milliseconds(&folder)?, folder.display());
    let mut outcomes = Vec::new();
    let mut exit = ExitCode::SUCCESS;
    for scenario in scenarios {
        let mut outcome = Outcome { scenario, floor: Side::default(), sluicegate: Side::default() };
        if let Err(failure) = measure(&mut outcome, &setting, repetitions, floor_only, profile) {
            eprintln!("error: {failure}");
            exit = failure.exit_code();
        }
        outcomes.push(outcome);
    }
    // Whoever reads may have gone; the exit code says what matters.
    let _ = writeln!(std::io::stdout(), "{}", render(&outcomes));
    Ok(exit)
}

/// Runs both sides in turn, so that what else the machine does hits both.
fn measure(
    outcome: &mut Outcome,
    setting: &Setting,
    repetitions: usize,
    floor_only: bool,
    profile: bool,
) -> Result<(), Failure> {
    let scenario = &outcome.scenario;
    for repetition in 1..=repetitions {
        if scenario.flow.calls() {
            let ran = sides::floor(scenario, setting)?;
            report(scenario, repetition, "floor", &ran);
            outcome.floor.runs.push(ran.measured);
        }
        if !floor_only {
            let ran = sides::sluicegate(scenario, setting)?;
            report(scenario, repetition, "sluicegate", &ran);
            if profile {
                threads(&ran);
            }
            outcome.sluicegate.runs.push(ran.measured);
        }
    }
    Ok(())
}

/// One run, in one line, for those who watch.
fn report(scenario: &Scenario, repetition: usize, side: &str, ran: &Ran) {
    let Ran { measured, counts, mock_cpu } = ran;
    let spans = if counts.trace_requests == 0 {
        String::new()
    } else {
        format!(", {} spans in {} requests, {} KiB", counts.spans, counts.trace_requests, counts.trace_bytes / 1024)
    };
    eprintln!(
        "{:16} {repetition} {side:10} {:7.3} s wall {:7.0} ms CPU {:6.1} MiB ({:.1} with children); mock: {} connections, at most {} \
         in flight, {:.0} ms CPU{spans}",
        scenario.name,
        measured.wall.as_secs_f64(),
        measured.cpu_milliseconds,
        measured.peak_mib,
        measured.peak_with_children_mib,
        counts.connections,
        counts.most_in_flight,
        mock_cpu.unwrap_or(f64::NAN),
    );
}

fn threads(ran: &Ran) {
    let mut threads: Vec<_> = ran.measured.threads.iter().collect();
    threads.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    for (name, milliseconds) in threads {
        eprintln!("    {name:16} {milliseconds:8.1} ms CPU");
    }
}

/// The scenarios that flags ask for, changed as they say. What is changed has no target any more, but for memory, which is
/// to stay the same whatever the number of rows.
fn chosen(arguments: &mut Arguments) -> Result<Vec<Scenario>, Failure> {
    let names = arguments.text("--only")?;
    let rows = arguments.count("--rows")?;
    let latency: Option<u64> = arguments.number("--latency")?;
    let in_flight = arguments.count("--in-flight")?;
    let all = scenario::all();
    let mut chosen: Vec<Scenario> = match &names {
        None => all.into_iter().filter(|scenario| !scenario.by_hand).collect(),
        Some(names) => {
            let named = |name: &str| {
                let found = all.iter().find(|scenario| scenario.name == name).cloned();
                found.ok_or_else(|| Failure::asked_wrongly(format_args!("there is no scenario `{name}`; see --list")))
            };
            names.split(',').map(named).collect::<Result<_, _>>()?
        }
    };
    for scenario in &mut chosen {
        scenario.rows = rows.unwrap_or(scenario.rows);
        if latency.is_some() || in_flight.is_some() {
            scenario.latency = latency.map_or(scenario.latency, Duration::from_millis);
            scenario.in_flight = in_flight.unwrap_or(scenario.in_flight);
            scenario.targets =
                Targets { memory: scenario.targets.memory.filter(|_| scenario.in_flight <= 200), ..Targets::default() };
        }
    }
    Ok(chosen)
}

/// The binary that was built into the same folder as this one.
fn beside_this() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe().map_err(Failure::while_doing("finding this program"))?;
    Ok(this.with_file_name(format!("sluicegate{}", std::env::consts::EXE_SUFFIX)))
}

/// What the disk takes for a small write that must survive a power cut: the journal's price, which differs from one machine
/// to the next more than anything else here.
fn commit_milliseconds(folder: &Path) -> Result<f64, Failure> {
    const TIMES: u32 = 50;
    let failed = || Failure::while_doing::<std::io::Error>(format!("writing in {}", folder.display()));
    let path = tempfile::Builder::new().tempfile_in(folder).map_err(failed())?.into_temp_path();
    let mut file = File::create(&path).map_err(failed())?;
    let start = Instant::now();
    for _ in 0..TIMES {
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map_err(failed())?;
    }
    Ok(start.elapsed().as_secs_f64() * 1000.0 / f64::from(TIMES))
}
