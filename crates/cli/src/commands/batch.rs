//! `batch`: a flow over a data set; and going on with one.

mod args;
mod ready;
mod resume;

use sluicegate_dataset::MappingEntry;
use sluicegate_events::{LineCounts, RunId};
use sluicegate_executor::NewRun;
use sluicegate_executor::batch::BatchStart;
use sluicegate_flow::bind::Setting;
use sluicegate_value::Map;

use super::run::{check_address, remembered, variant};
use crate::batch::{
    Asked, Before, Data, Places, RunFile, STDIN, keep_batches, node_flags, nodes_to_map, provider_batches, spool_place,
    spool_stdin,
};
use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs::read_inputs;
use crate::interrupt;
use crate::prepared::{Choices, Prepared, one};
use crate::session::{Flow, Session};
use crate::terminal::{harmless, show_problems};
pub(crate) use args::{BatchArgs, dollars};
use ready::Ready;
use resume::resume;
pub(crate) use resume::resume_by;

/// Runs a flow over a data set, or goes on with that.
pub(crate) fn batch(session: &Session, args: BatchArgs) -> Result<Exit, CliError> {
    check_address(args.deploy_traces.as_deref())?;
    let session = &session.replaying(args.kept.replay.is_some());
    match &args.resume {
        Some(run) => resume(session, &args, run),
        None => begin(session, &args),
    }
}

fn begin(session: &Session, args: &BatchArgs) -> Result<Exit, CliError> {
    let mut file = match &args.file {
        Some(file) => RunFile::read(&session.directory().join(file), &file.display().to_string())?,
        None => RunFile::default(),
    };
    if !file.warnings.is_empty() {
        session.printer().say(&show_problems(&file.warnings, session.printer().colour()));
    }
    let asked_flow = args.flow.as_deref().or(file.flow.as_deref()).ok_or_else(|| {
        CliError::misused("the run file names no flow")
            .hint("write `flow:` into it, or sluicegate batch FLOW --file FILE")
    })?;
    let flow = session.flow(asked_flow, args.environment_name.as_deref())?;
    tell_environment(session, &flow);
    let asked = asked(session, &flow, args, &mut file)?;
    node_flags(&args.connections, &mut file.nodes).map_err(CliError::misused)?;
    file.variables.extend(
        read_inputs(&pairs("environment-variables", &args.environment_variables)?, session.directory())?.inputs,
    );
    file.init.extend(read_inputs(&args.init, session.directory())?.inputs);
    let variant_name = args.variant.as_deref().or(file.variant.as_deref());
    let choices = Choices {
        set: args.set.iter().map(|text| Setting::parse(text).map_err(CliError::misused)).collect::<Result<_, _>>()?,
        variant: variant_name.map(variant).transpose()?,
        init: file.init,
        max_in_flight: args.concurrency.map(|limit| limit as usize),
        variables: file.variables,
        nodes: file.nodes,
        provider_batch: provider_batches(session, args.provider_batch, args.progress),
        ..Choices::default()
    };
    let manner = args.manner(session);
    let options = args.options(&manner)?;
    let interrupted = interrupt::listen(session.printer().clone())?;
    let prepared = Prepared::new(session, flow, &choices)?;
    let done = (|| {
        let store = session.store_of(prepared.flow.environment.project())?;
        let run = match args.name.as_ref().or(file.name.as_ref()) {
            Some(name) => RunId(name.as_str().into()),
            None => RunId::generate(),
        };
        let spool = spool_place(&store.0, &run)?;
        // Before anything of that run is written over.
        if store.0.open_run(&run).is_ok() {
            return Err(CliError::misused(format!("there is a run `{run}` already"))
                .hint(format!("choose another name, or go on with it: sluicegate batch --resume {run}")));
        }
        if asked.data.iter().any(|name| name == STDIN) {
            spool_stdin(&spool)?;
        }
        let data = Data::prepare(session, &prepared, &asked, &spool).inspect_err(|_| {
            let _ = std::fs::remove_file(&spool);
        })?;
        let (bad, recorded) = (data.bad_lines(), data.recorded());
        if options.fail_fast && !options.max_failures.allows(bad, recorded.lines) {
            return Err(CliError::misused(format!(
                "{bad} of {} rows are no inputs, which is more than may fail",
                recorded.lines
            ))
            .hint("nothing was asked yet: correct them, or allow more by --max-failures"));
        }
        keep_batches(session, choices.provider_batch.as_ref(), &store.0, &run)?;
        let places = Places::of(&manner, &store.0, &run);
        places.open(&store.0, &run, args.force)?;
        let mut remembered = remembered(&args.set, variant_name, &choices, &prepared.flow.name);
        remembered.insert("batch", asked.remembered());
        remembered.insert("manner", manner.remembered());
        remembered.insert("environment_variables", choices.variables.clone());
        remembered.insert("connections", nodes_to_map(&choices.nodes));
        let new = NewRun {
            run: run.clone(),
            inputs: Map::new(),
            flow: prepared.flow.name.clone(),
            flow_path: prepared.flow.path.display().to_string(),
            environment: prepared.flow.environment.environment_name().map(ToOwned::to_owned),
            hashes: prepared.hashes(),
            options: remembered,
        };
        let journal = prepared.new_journal(session, &run)?;
        let recorded = data.recorded();
        let before =
            Before { lines: LineCounts { left: recorded.lines, ..LineCounts::default() }, ..Before::default() };
        let ready = Ready {
            session,
            args,
            manner: &manner,
            prepared: &prepared,
            data: &data,
            batches: choices.provider_batch.as_ref(),
            store: &store.0,
            places: &places,
            options: &options,
            spool: Some(&*spool).filter(|spool| spool.exists()),
        };
        ready.run(journal, BatchStart::New { run: new, data: recorded }, &before, interrupted)
    })();
    prepared.close();
    done
}

/// Nobody chose a config environment: says so where there are some, before anything is asked by the wrong connection.
fn tell_environment(session: &Session, flow: &Flow) {
    let settings = flow.environment.settings();
    let known = settings.environments(flow.environment.flow());
    if settings.environment_name().is_some() || known.is_empty() {
        return;
    }
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    session.printer().say(&harmless(&format!(
        "no config environment is chosen, so what all share applies; `{}` has {} (-e NAME or SLUICEGATE_ENVIRONMENT)",
        flow.name,
        known.join(", ")
    )));
}

fn asked(session: &Session, flow: &Flow, args: &BatchArgs, file: &mut RunFile) -> Result<Asked, CliError> {
    let mut data: Vec<String> = args.data.iter().map(|name| absolute(session, name)).collect();
    if data.is_empty() {
        data.extend(file.data.take());
    }
    let run = args.run.clone().or(file.run.take());
    if data.is_empty() && run.is_none() {
        let path = one(flow.environment.data_path())?;
        data.extend(path.map(|path| path.display().to_string()));
    }
    let mut mapping = match one(flow.environment.column_mapping())? {
        Some(map) => MappingEntry::of_map(&map, None),
        None => Vec::new(),
    };
    mapping.append(&mut file.mapping);
    for text in &args.column_mapping {
        let entry = Asked::mapping_entry(text).ok_or_else(|| {
            CliError::misused(format!("`--column-mapping {text}` names no input"))
                .hint("write --column-mapping question='${data.q}' tone=formal")
        })?;
        if entry.value.as_str() != Some("") {
            mapping.push(entry);
            continue;
        }
        let count = mapping.len();
        mapping.retain(|other| other.target != entry.target);
        if mapping.len() == count {
            return Err(CliError::misused(format!(
                "`--column-mapping {text}` takes back a mapping, and there is none"
            ))
            .hint("an empty text as a value is written in a run file, under `column_mapping:`"));
        }
    }
    Ok(Asked {
        data,
        run,
        mapping,
        filter: args.filter.clone(),
        limit: args.limit,
        on_bad_line: args.on_bad_line.unwrap_or_default(),
    })
}

/// A path as a resume in another folder finds it. What is no path is told as it was written.
fn absolute(session: &Session, name: &str) -> String {
    if name == "-" || name.to_lowercase().starts_with("azureml:") || name.contains("://") {
        return name.to_owned();
    }
    session.directory().join(name).display().to_string()
}

/// Pairs of a flag that takes no file.
fn pairs(flag: &str, given: &[String]) -> Result<Vec<String>, CliError> {
    match given.iter().find(|pair| !pair.contains('=')) {
        Some(wrong) => Err(CliError::misused(format!("`--{flag} {wrong}`: write NAME=VALUE"))),
        None => Ok(given.to_vec()),
    }
}
