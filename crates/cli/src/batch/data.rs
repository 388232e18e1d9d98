//! The rows of a batch: found, mapped, and looked through before anything is paid for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_dataset::{
    ColumnMapping, Columns, Dataset, Line as Row, MappingContext, RunRows, Source, Survey, Where,
};
use sluicegate_events::{BatchData, Failure, RunId};
use sluicegate_executor::batch::Line;
use sluicegate_flow::coerce::InputError;
use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_store::Store;
use sluicegate_value::Map;

use super::asked::{Asked, OnBadLine};
use super::coerced::Coerced;
use super::memory::run_rows;
use super::spool::STDIN;
use crate::commands::runs::store_error;
use crate::error::CliError;
use crate::prepared::Prepared;
use crate::session::Session;
use crate::takes::Takes;
use crate::terminal::show_problems;

/// The rows of a batch, ready to be read again as they were looked through.
pub(crate) struct Data {
    dataset: Dataset,
    mapping: Arc<ColumnMapping>,
    takes: Arc<Takes>,
    survey: Survey,
    earlier: Option<(Store, RunId)>,
    on_bad_line: OnBadLine,
    /// What was asked for.
    sources: Vec<String>,
}

impl Data {
    /// Finds, maps and looks through. `spool` is where standard input is kept.
    pub(crate) fn prepare(
        session: &Session,
        prepared: &Prepared,
        asked: &Asked,
        spool: &Path,
    ) -> Result<Self, CliError> {
        let earlier = asked.run.as_deref().map(|run| earlier_run(session, run)).transpose()?;
        let sources: Vec<Source> = asked.data.iter().map(|name| source(name, session, spool)).collect();
        let mut dataset = match (&sources[..], &earlier) {
            ([], None) => return Err(no_data(prepared)),
            ([], Some(_)) => Dataset::of_run_only(),
            (sources, _) => Dataset::open(sources)?,
        };
        let parsed = |text: &String| {
            let file = SourceFile::new("--where", text.clone());
            let span = Span { start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) };
            Where::parse(&file, span, text).map_err(|problem| vec![problem])
        };
        let filter = asked.filter.as_ref().map(parsed).transpose()?;
        if let Some(text) = &asked.filter {
            dataset = dataset.with_filter(parsed(text)?);
        }
        if let Some(limit) = asked.limit {
            dataset = dataset.with_limit(limit);
        }
        let folder = asked.data.first().map(Path::new).filter(|path| path.is_absolute());
        let folder = folder.map(|path| if path.is_dir() { path } else { path.parent().unwrap_or(path) });
        let takes = prepared.takes(session, folder)?;
        let plan = &takes.plan;
        // An input that the section gives has a default as good as the flow's own.
        let optional = |name: &Arc<str>| plan.flex.as_ref().is_some_and(|flex| flex.optional.contains(name));
        let inputs: Vec<(Arc<str>, bool)> = plan
            .inputs
            .keys()
            .map(|name| {
                let has_default =
                    plan.default_of(name).is_some() || takes.of_section.contains_key(name) || optional(name);
                (name.clone(), has_default)
            })
            .collect();
        let context = MappingContext {
            inputs: &inputs,
            takes_more: plan.flex.as_ref().is_some_and(|flex| flex.open),
            has_data: !sources.is_empty(),
            has_run: earlier.is_some(),
        };
        let (mapping, problems) = ColumnMapping::for_inputs(&asked.mapping, &context);
        tell(session, problems)?;
        let mut coerced = Coerced::default();
        let check = |row: &Row| {
            let given = mapping.apply_to(row).map_err(|missing| missing.to_problem())?;
            let taken = takes.inputs(&given).map_err(|errors| row.row.problem("data::input", in_words(&errors)))?;
            coerced.see(plan, &takes.secret, &given, &taken);
            Ok(())
        };
        let survey = dataset.survey(rows_of(&earlier)?, check);
        refuse_broken(session, &survey)?;
        // Where no row could be read, nothing is known of columns.
        let is_read = survey.lines > 0 || survey.columns.names().next().is_some();
        let mut problems = if is_read || survey.bad_rows == 0 { mapping.check(&survey) } else { Vec::new() };
        if let Some(filter) = &filter {
            problems.extend(misread_filter(filter, &survey, is_read, earlier.is_some()));
        }
        tell(session, problems)?;
        let mapped = mapping.to_map();
        // As in prompt flow, which surprises whoever sees it first.
        let kept = inputs
            .iter()
            .filter(|(name, has_default)| *has_default && !mapped.contains_key(name) && survey.columns.exists(name));
        let kept: Vec<&str> = kept.map(|(name, _)| &**name).collect();
        if !kept.is_empty() {
            let names: Vec<String> = kept.iter().map(|name| format!("`{name}`")).collect();
            let flags: Vec<String> = kept.iter().map(|name| format!("{name}='${{data.{name}}}'")).collect();
            session.printer().warn(&format!(
                "inputs with a default keep it unless they are mapped: {} {} a column of the data; to take it, write \
                 --column-mapping {}",
                names.join(", "),
                if kept.len() == 1 { "is also" } else { "are each also" },
                flags.join(" ")
            ));
        }
        coerced.notes().for_each(|note| session.printer().warn(&note));
        let data = Self {
            dataset: dataset.as_surveyed(&survey),
            mapping: Arc::new(mapping),
            takes: Arc::new(takes),
            survey,
            earlier,
            on_bad_line: asked.on_bad_line,
            sources: asked.data.clone(),
        };
        data.refuse_bad_lines(session)?;
        data.refuse_no_lines(asked, filter.as_ref())?;
        Ok(data)
    }

    /// What is wrong with rows ends the batch before it begins, unless lines may fail for it.
    fn refuse_bad_lines(&self, session: &Session) -> Result<(), CliError> {
        let Survey { lines, bad_rows, refused, unmatched_rows, unmatched_run_lines, filter_failures, unwanted, .. } =
            &self.survey;
        if unmatched_rows + unmatched_run_lines > 0 {
            session.printer().warn(&format!(
                "{unmatched_rows} rows have no line in the earlier run, and {unmatched_run_lines} of its lines have no row: \
                 they are left out"
            ));
        }
        let bad = bad_rows + refused;
        if bad == 0 || self.on_bad_line == OnBadLine::FailLine {
            return Ok(());
        }
        let more = show_bad_rows(session, &self.survey);
        // The filter saw those that it left out, too.
        let of = lines + bad_rows + if *filter_failures > 0 { *unwanted } else { 0 };
        let error = match (*filter_failures, bad - filter_failures) {
            (0, bad) => CliError::misused(format!("{bad} of {of} rows are no inputs{more}")),
            (failed, 0) => CliError::misused(format!("`--where` fails on {failed} of {of} rows{more}")).hint(
                "write it so that it can tell of them too (`NAME is defined and …`), or let only these lines fail by \
                 --on-bad-line fail-line",
            ),
            (failed, bad) => {
                CliError::misused(format!("{bad} of {of} rows are no inputs, and `--where` fails on {failed}{more}"))
            }
        };
        Err(match bad == *filter_failures {
            true => error,
            false => error.hint(
                "nothing was asked yet: correct the rows, or let only their lines fail by --on-bad-line fail-line",
            ),
        })
    }

    /// A batch over nothing is a mistake: says which.
    fn refuse_no_lines(&self, asked: &Asked, filter: Option<&Where>) -> Result<(), CliError> {
        let Survey { lines, bad_rows, unwanted, unmatched_rows, unmatched_run_lines, .. } = self.survey;
        if lines + bad_rows > 0 {
            return Ok(());
        }
        let error = CliError::misused("there are no rows to run");
        let files: Vec<String> = self.dataset.file_names().map(|name| format!("`{name}`")).collect();
        Err(match filter {
            _ if asked.limit == Some(0) => error.cause("`--limit 0` leaves none"),
            Some(filter) if unwanted > 0 => {
                let so_many =
                    if unwanted == 1 { "the only row".to_owned() } else { format!("none of {unwanted} rows") };
                let holds = if unwanted == 1 { "does not hold for" } else { "holds for" };
                let error = error.cause(format!("`--where {}` {holds} {so_many}", filter.source()));
                match filter.reads("run") && self.earlier.is_some() {
                    true => error.hint(format!("the earlier run's outputs are {}", listed(&self.survey.run_outputs))),
                    false => error.hint(format!("the columns are {}", listed(&self.survey.columns))),
                }
            }
            _ if unmatched_rows + unmatched_run_lines > 0 => {
                error.cause("no row has a line in the earlier run that completed")
            }
            _ if files.is_empty() => error.cause("no line of the earlier run completed"),
            _ => error.cause(format!("there is no row in {}", files.join(", "))),
        })
    }

    /// How many lines fail for their rows alone.
    pub(crate) fn bad_lines(&self) -> u64 {
        self.survey.bad_rows + self.survey.refused
    }

    /// What a batch over these rows records of them.
    pub(crate) fn recorded(&self) -> BatchData {
        BatchData {
            sources: self.sources.clone(),
            hash: self.survey.hash.clone(),
            lines: self.survey.lines + self.survey.bad_rows,
            column_mapping: self.mapping.to_map(),
        }
    }

    /// The lines, read once more.
    pub(crate) fn lines(&self) -> Result<impl Iterator<Item = Result<Line, String>> + use<>, CliError> {
        let (mapping, takes) = (self.mapping.clone(), self.takes.clone());
        let lines = self.dataset.lines(rows_of(&self.earlier)?);
        Ok(lines.map(move |line| match line {
            Ok(row) => Ok(Line { number: row.number, inputs: inputs(&mapping, &takes, &row) }),
            Err(bad) if bad.is_fatal => Err(bad.problem.to_string()),
            Err(bad) => Ok(Line { number: bad.number, inputs: Err(Failure::new("row", bad.problem.to_string())) }),
        }))
    }
}

/// What is wrong is told with the row's file and line, which its line of the batch does not have.
fn inputs(mapping: &ColumnMapping, takes: &Takes, row: &Row) -> Result<Map, Failure> {
    let given = mapping.apply_to(row).map_err(|missing| Failure::new("row", missing.to_problem().to_string()))?;
    let inputs = takes
        .inputs(&given)
        .map_err(|errors| Failure::new("input", row.row.problem("data::input", in_words(&errors)).to_string()))?;
    takes.hide_secrets(&inputs);
    Ok(inputs)
}

/// Data of which nobody knows the rows: a header, an encoding, the end of a file.
fn refuse_broken(session: &Session, survey: &Survey) -> Result<(), CliError> {
    if !survey.is_broken {
        return Ok(());
    }
    let more = show_bad_rows(session, survey);
    let read = match survey.lines + survey.unwanted {
        0 => String::new(),
        1 => ": 1 row can be".to_owned(),
        rows => format!(": {rows} rows can be"),
    };
    Err(CliError::misused(format!("the data cannot be read to their end{read}{more}"))
        .hint("nothing was asked yet: correct the file"))
}

/// Shows what is wrong with rows; returns how much of it that is, if it is not all.
fn show_bad_rows(session: &Session, survey: &Survey) -> String {
    let mut problems = survey.bad_row_problems.clone();
    problems.extend(survey.refusals.iter().cloned());
    session.printer().say(&show_problems(&problems, session.printer().colour()));
    let told = problems.len() as u64;
    if survey.bad_rows + survey.refused > told { format!(" ({told} are shown)") } else { String::new() }
}

/// What is wrong with `--where` as a whole, and not with single rows.
fn misread_filter(filter: &Where, survey: &Survey, is_read: bool, has_run: bool) -> Vec<Problem> {
    let mut problems = filter.check(&survey.columns, has_run);
    // Where no row could be read, nothing is known of columns.
    problems.retain(|problem| is_read || problem.code == "data::no_run");
    let rows = survey.lines + survey.unwanted + survey.filter_failures;
    let first = survey.bad_row_problems.iter().find(|problem| problem.code == Where::FAILED);
    if let Some(first) = first.filter(|_| problems.is_empty() && survey.filter_failures == rows) {
        let all = if rows == 1 { "the only row".to_owned() } else { format!("all {rows} rows, this one first") };
        let message = first.message.replace(" fails here: ", &format!(" fails on {all}: "));
        problems.push(Problem { message, ..first.clone() });
    }
    if problems.is_empty() {
        problems.extend(survey.odd_answer.clone());
    }
    problems
}

fn listed(columns: &Columns) -> String {
    const SHOWN: usize = 20;
    let names: Vec<String> = columns.names().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

fn in_words(errors: &[InputError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Warnings are said, errors end the command.
fn tell(session: &Session, problems: Vec<Problem>) -> Result<(), CliError> {
    if crate::session::any_error(&problems) {
        return Err(CliError::Problems(problems));
    }
    if !problems.is_empty() {
        session.printer().say(&show_problems(&problems, session.printer().colour()));
    }
    Ok(())
}

fn source(name: &str, session: &Session, spool: &Path) -> Source {
    if name == STDIN {
        return Source::spooled("stdin", spool);
    }
    let shown = Path::new(name).strip_prefix(session.directory()).unwrap_or(Path::new(name));
    Source::new(PathBuf::from(name)).named(&shown.to_string_lossy())
}

fn no_data(prepared: &Prepared) -> CliError {
    CliError::misused(format!("no data are named for flow `{}`", prepared.flow.name)).hint(
        "write --data FILE (.jsonl, .json, .csv, .tsv, a folder, or - for standard input), or `data_path:` into the flow's section \
         of config/config.yaml",
    )
}

fn earlier_run(session: &Session, run: &str) -> Result<(Store, RunId), CliError> {
    let (store, _) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
    let id = store.find(run).map_err(store_error)?;
    if !store.is_batch(&id).map_err(store_error)? {
        return Err(CliError::misused(format!("run `{id}` is no batch: it has no lines")));
    }
    Ok((store, id))
}

fn rows_of(earlier: &Option<(Store, RunId)>) -> Result<Option<RunRows<'static>>, CliError> {
    earlier.as_ref().map(|(store, run)| run_rows(store, run).map_err(store_error)).transpose()
}
