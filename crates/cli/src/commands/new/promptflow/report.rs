//! What a person is told of a project: Markdown, so that it can go into an issue or a pull request.

use std::collections::BTreeSet;
use std::path::Path;

use sluicegate_flow::plan::NodeKind;

use super::super::draft::Draft;
use super::abilities::{RUNS_PYTHON, takes};
use super::evaluation_draft::evaluations;
use super::flows::FlowFacts;
use super::scripts::{Role, ScriptFacts};
use super::survey::{Survey, is_below, name_of, parent};
use super::translate::{Translation, flow_of_script, is_part_of_a_flow, of_run_file};
use super::words::{Word, line, words};
use super::workflows::Change;

/// Parts of the original's package that code of flows may import here (spec: promptflow.md §10.3).
const OFFERED: &[&str] = &[
    "_constants",
    "_core",
    "_internal",
    "_sdk",
    "_utils",
    "client",
    "connections",
    "contracts",
    "core",
    "entities",
    "exceptions",
    "executor",
    "tools",
    "tracing",
];
/// What may be imported from `promptflow` itself.
const OFFERED_NAMES: &[&str] = &["tool", "log_metric", "ToolProvider", "PFClient", "load_flow", "log_flow_metric"];
/// Lines of one list beyond this many are counted.
const MOST_LINES: usize = 1_000;

/// Everything that is told.
pub(crate) struct Report<'a> {
    pub(crate) survey: &'a Survey,
    pub(crate) changes: &'a [Change],
    pub(crate) drafts: &'a [Draft],
    pub(crate) root: &'a Path,
    pub(crate) write: bool,
}

/// Whether a flow runs here.
enum Standing {
    AsItIs,
    Differs(Vec<String>),
    Not(Vec<String>),
}

/// An old command, what it becomes, and where it stands.
struct Row {
    old: String,
    new: Translation,
    place: String,
}

impl Report<'_> {
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("# From prompt flow to sluicegate\n\n{}\n", self.counts());
        text += &self.flows();
        text += &section("What differs everywhere", "", self.differences());
        text += &section("Not supported", "", self.unsupported());
        text += &self.commands();
        text += &self.shown_drafts();
        text + &section("Not read, or odd", "", self.survey.notes.clone())
    }

    fn counts(&self) -> String {
        let survey = self.survey;
        let parts = [
            (survey.flows.len(), "flow"),
            (survey.connections.len(), "connection file"),
            (survey.runs.len(), "run file"),
            (survey.scripts.files.len(), "Python file"),
            (self.changes.len(), "pipeline with old commands"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, thing)| match *thing {
                "pipeline with old commands" if *number > 1 => format!("{number} pipelines with old commands"),
                thing => count(*number, thing),
            })
            .collect();
        format!(
            "{} looked at: {}. Nothing was run, nothing was sent. What is\nsaid of flows holds with the drafts below in place.\n",
            count(survey.files.len(), "file"),
            parts.join(", ")
        )
    }

    fn flows(&self) -> String {
        let own: Vec<&FlowFacts> = self.survey.flows.iter().filter(|flow| flow.is_own).collect();
        let (mut as_they_are, mut differ, mut not) = (Vec::new(), Vec::new(), Vec::new());
        for flow in own {
            let place = if flow.name == flow.path { String::new() } else { format!(" ({})", flow.path) };
            let title = format!("`{}`{place}: {}", flow.name, flow.described());
            match self.standing(flow) {
                Standing::AsItIs => as_they_are.push(format!("{title}\n  `{}`", line(&self.run_command(flow)))),
                Standing::Differs(how) => {
                    let command = line(&self.run_command(flow));
                    differ.push(format!("{title}\n  `{command}`{}", inner(&how)));
                }
                Standing::Not(why) => not.push(format!("{title}{}", inner(&why))),
            }
        }
        let parts = self.survey.flows.iter().filter(|flow| !flow.is_own).count();
        let told = "Sound by its files; nothing was run to see it.\n\n";
        let mut text = section("Runs as it is", told, as_they_are);
        text += &section("Runs, and differs", "", differ);
        text += &section("Does not run", "", not);
        if parts > 0 {
            let (files, are) =
                if parts == 1 { ("file beside a flow is", "part") } else { ("files beside flows are", "parts") };
            text += &format!("{parts} `.prompty` {files} {are} of it.\n\n");
        }
        text
    }

    /// How a flow is run here.
    fn run_command(&self, flow: &FlowFacts) -> Vec<Word> {
        let mut command = words(&["sluicegate", "run", &flow.name]);
        let sections = self.survey.config.flows.get(&flow.name);
        let environment = match sections {
            Some(sections) => sections.environments.first().cloned(),
            None if flow.asking.is_empty() => None,
            None => self.survey.config.environments.first().cloned().or_else(|| Some("pr".to_owned())),
        };
        command.extend(environment.iter().flat_map(|name| words(&["--environment_name", name])));
        command
    }

    fn standing(&self, flow: &FlowFacts) -> Standing {
        if flow.is_csharp {
            return Standing::Not(vec!["it is written in C#, which is not supported".to_owned()]);
        }
        let mut wrong = flow.errors.clone();
        if wrong.is_empty() && flow.needs_python() && !RUNS_PYTHON {
            wrong.push(
                "sound as far as it can be told; Python nodes are not in this version and come with a later one"
                    .to_owned(),
            );
        }
        wrong.extend(self.wrong_tools(flow));
        for (path, facts) in self.survey.scripts.files.iter().filter(|(path, _)| is_below(path, &flow.path)) {
            let absent = absent_modules(facts);
            if !absent.is_empty() && !facts.tools.is_empty() {
                wrong.push(format!(
                    "{path} imports {}, which the built-in `promptflow` does not offer: do without, or install promptflow and \
                     write `python: {{ prefer_installed: true }}` into config/config.yaml",
                    quoted(&absent)
                ));
            }
        }
        if !wrong.is_empty() {
            return Standing::Not(wrong);
        }
        let mut how = flow.warnings.clone();
        if flow.is_chat {
            how.push("text of the chat's history stays text: it cannot open a message of its own".to_owned());
        }
        how.extend(flow.written_secrets.iter().map(|key| {
            format!(
                "`{key}` holds its secret itself: put it into a variable, write `${{env:NAME}}`, and renew the secret"
            )
        }));
        if let (Some(sections), Some(plan)) = (self.survey.config.flows.get(&flow.name), &flow.plan) {
            let unread: Vec<String> = sections
                .values
                .iter()
                .filter(|key| !plan.inputs.contains_key(key.as_str()))
                .map(|key| format!("`{key}`"))
                .collect();
            if !unread.is_empty() {
                how.push(format!(
                    "its section has {}: only scripts read that, the flow has no such input",
                    unread.join(", ")
                ));
            }
        }
        if how.is_empty() { Standing::AsItIs } else { Standing::Differs(how) }
    }

    /// Files of Python nodes that cannot be loaded, as far as their syntax trees tell.
    fn wrong_tools(&self, flow: &FlowFacts) -> Vec<String> {
        let scripts = &self.survey.scripts;
        if scripts.files.is_empty() {
            return Vec::new();
        }
        let nodes = flow.plan.iter().flat_map(|plan| &plan.nodes);
        let files: BTreeSet<&str> = nodes
            .filter_map(|node| match &node.kind {
                NodeKind::Python(python) if python.entry.is_none() => python.file.as_ref().map(|file| file.name()),
                _ => None,
            })
            .collect();
        let wrong =
            files.into_iter().filter(|file| self.survey.files.iter().any(|known| known == file)).filter_map(|file| {
                match scripts.files.get(file).map(|facts| facts.tools.len()) {
                    None => Some(format!("{file} cannot be parsed as Python")),
                    // Methods of a `ToolProvider` are tools too, and several may stand in one class.
                    Some(0) => Some(format!("{file} has no function with `@tool`")),
                    Some(1) => None,
                    Some(_) if scripts.files.get(file).is_some_and(|facts| facts.provides_tools()) => None,
                    Some(number) => {
                        Some(format!("{file} has {number} functions with `@tool`: a node needs exactly one"))
                    }
                }
            });
        wrong.collect()
    }

    fn differences(&self) -> Vec<String> {
        let survey = self.survey;
        let roles: BTreeSet<u8> = survey.scripts.files.values().map(|facts| facts.role() as u8).collect();
        let has = |role: Role| roles.contains(&(role as u8));
        let mut all = Vec::new();
        let asks = survey.flows.iter().any(|flow| !flow.asking.is_empty());
        if asks {
            all.push(
                "roles are safe: text from data never opens a message of its own (docs/compatibility.md)".to_owned(),
            );
            all.push("calls are repeated as the connection's `retry` says, with `Retry-After` honoured, not a fixed ten times".to_owned());
        }
        if !survey.connections.is_empty() || has(Role::Connects) {
            all.push("connections stand in config/config.yaml, their secrets in variables or `.env`: there is no keyring and no store to fill".to_owned());
        }
        for connection in survey.connections.iter().filter(|connection| !connection.written_secrets.is_empty()) {
            let keys: Vec<String> = connection.written_secrets.iter().map(|key| format!("`{key}`")).collect();
            all.push(format!(
                "{} holds {} itself: the draft takes a variable; put the value into `.env`, and renew it if the file was ever committed",
                connection.file,
                keys.join(", ")
            ));
        }
        if survey.config.text.is_some() {
            all.push("`${NAME}` in config/config.yaml is looked up after the file is parsed; a variable that is needed and not set is an error that names it".to_owned());
        }
        let offers = |command: &str| takes(&words(&["sluicegate", command, "x"]));
        if (!survey.runs.is_empty() || has(Role::Runs)) && offers("batch") {
            all.push("a missing column is an error before any call, where the original sends the text `nan`; a failed line makes exit code 1, where the original says Completed".to_owned());
        }
        if has(Role::Evaluates) && offers("evaluate") {
            all.push("evaluations have a gate: without limits of yours, only a shown regression fails".to_owned());
        }
        all
    }

    fn unsupported(&self) -> Vec<String> {
        let survey = self.survey;
        let mut all = Vec::new();
        let csharp = survey.flows.iter().filter(|flow| flow.is_csharp).count();
        if csharp > 0 {
            all.push(format!("flows in C#: {csharp}"));
        }
        for run in survey.runs.iter().filter(|run| !run.of_the_cloud.is_empty()) {
            all.push(format!("{}: {} only means something in Azure", run.file, quoted(&run.of_the_cloud)));
        }
        for (path, facts) in &survey.scripts.files {
            if facts.is_of_azure() {
                all.push(format!("{path} works in Azure (`promptflow.azure`): flows run where they are started"));
            }
            if facts.role() == Role::Deploys {
                all.push(format!("{path} deploys to Azure ML endpoints"));
            }
            let absent = absent_modules(facts);
            let is_told_with_its_flow = !facts.tools.is_empty();
            if !absent.is_empty() && is_part_of_a_flow(path, survey) && !is_told_with_its_flow {
                all.push(format!("{path} imports {}, which the built-in `promptflow` does not offer", quoted(&absent)));
            }
        }
        if survey.config.has_deployments {
            all.push("`deployment_configs` of config/config.yaml is checked and used by nothing yet".to_owned());
        }
        if survey.config.has_ai_studio {
            all.push("`aistudio_config` of config/config.yaml: results go to no Azure project; traces go to any OpenTelemetry collector".to_owned());
        }
        let mut told = BTreeSet::new();
        for evaluation in evaluations(survey) {
            for evaluator in evaluation.evaluators.iter().filter(|evaluator| evaluator.ours.is_none()) {
                if told.insert((evaluation.script.to_owned(), evaluator.class.clone())) {
                    let what =
                        if evaluator.is_of_a_service() { "is a service of Azure" } else { "is Python of your own" };
                    all.push(format!(
                        "{}: evaluator `{}` {what} and has no twin here",
                        evaluation.script, evaluator.class
                    ));
                }
            }
        }
        for path in &survey.experiments {
            all.push(format!("{path}: experiment files are not read; sections of config/config.yaml and evaluation.yaml take their place"));
        }
        all
    }

    fn commands(&self) -> String {
        let rows = self.rows();
        if rows.is_empty() {
            return String::new();
        }
        let mut seen = BTreeSet::new();
        let (mut later, mut table) = (false, String::new());
        for row in rows.iter().filter(|row| seen.insert((row.old.clone(), row.new.line()))).take(MOST_LINES) {
            let new = match row.new.ours.is_empty() {
                true => "-".to_owned(),
                false => {
                    let ours = row.new.ours.iter().map(|command| {
                        let known = works(command);
                        later |= !known;
                        format!("`{}`{}", cell(&line(command)), if known { "" } else { " *" })
                    });
                    ours.collect::<Vec<_>>().join("<br>")
                }
            };
            let notes = cell(&row.new.notes.join("; "));
            table += &format!("| `{}` | {new} | {} | {notes} |\n", cell(&row.old), cell(&row.place));
        }
        let mut text = format!("## Commands\n\n| old | new | where | |\n| --- | --- | --- | --- |\n{table}");
        if later {
            text += "\n\\* not in this version: comes with a later one.\n";
        }
        if takes(&words(&["sluicegate", "pf", "run", "list"])) {
            text += "\n`sluicegate pf …` takes the original's own flags, for scripts that change one word.\n";
        }
        text + "\n"
    }

    fn rows(&self) -> Vec<Row> {
        let survey = self.survey;
        let mut rows: Vec<Row> = Vec::new();
        for change in self.changes {
            rows.extend(change.commands.iter().map(|command| Row {
                old: command.old.clone(),
                new: command.new.clone(),
                place: format!("{}:{}", change.path(), command.line),
            }));
        }
        for (path, facts) in &survey.scripts.files {
            rows.extend(script_row(path, facts, survey));
        }
        rows.extend(survey.runs.iter().filter(|run| !run.flow.is_empty()).map(|run| Row {
            old: format!("pf run create --file {}", run.file),
            new: of_run_file(run, survey),
            place: run.file.clone(),
        }));
        rows.extend(survey.connections.iter().map(|connection| {
            let import = words(&["sluicegate", "connections", "import", "--write", &connection.file]);
            let note = format!("or take `connections.{}` of the draft", connection.name);
            Row {
                old: format!("pf connection create --file {}", connection.file),
                new: Translation { ours: vec![import], notes: vec![note] },
                place: connection.file.clone(),
            }
        }));
        rows.extend(survey.flows.iter().filter(|flow| flow.is_own).map(|flow| Row {
            old: format!("pf flow test --flow {}", flow.path),
            new: Translation { ours: vec![self.run_command(flow)], notes: Vec::new() },
            place: flow.file.clone(),
        }));
        rows
    }

    fn shown_drafts(&self) -> String {
        if self.drafts.is_empty() {
            return String::new();
        }
        let mut text = "## Drafts\n\n".to_owned();
        for draft in self.drafts {
            let place = draft.place(self.root);
            let beside = if place == draft.path { String::new() } else { format!(" (written as `{place}`)") };
            text += &format!("`{}`{beside}: {}\n\n", draft.path, draft.about);
            if !self.write {
                let language = match name_of(&draft.path) {
                    _ if draft.shown.starts_with("--- ") => "diff",
                    name if name.ends_with(".yaml") || name.ends_with(".yml") => "yaml",
                    _ => "sh",
                };
                text += &format!("```{language}\n{}\n```\n\n", draft.shown.trim_end());
            }
        }
        text
    }
}

/// What a script becomes, if it runs or evaluates flows.
fn script_row(path: &str, facts: &ScriptFacts, survey: &Survey) -> Option<Row> {
    // Nobody starts what lies inside of a flow.
    if is_part_of_a_flow(path, survey) && facts.flags.is_empty() {
        return None;
    }
    let environment =
        ["--environment_name", "--env_name"].iter().find(|flag| facts.flags.iter().any(|known| known == *flag));
    let old_flag = environment.map_or_else(String::new, |flag| format!(" {flag} E"));
    let module = path.trim_end_matches(".py").replace('/', ".");
    let old = match parent(path).is_empty() {
        true => format!("python {path}{old_flag}"),
        false => format!("python -m {module}{old_flag}"),
    };
    let flow = || flow_of_script(path, facts, survey).unwrap_or_else(|| "FLOW".to_owned());
    let command = |verb: &str| {
        let mut command = words(&["sluicegate", verb, &flow()]);
        command.extend(environment.iter().flat_map(|_| words(&["--environment_name", "E"])));
        command
    };
    let new = match facts.role() {
        Role::Runs if name_of(path).contains("eval") => {
            Translation { ours: vec![command("evaluate")], notes: Vec::new() }
        }
        Role::Runs => Translation { ours: vec![command("run"), command("batch")], notes: Vec::new() },
        Role::Evaluates => Translation { ours: vec![command("evaluate")], notes: Vec::new() },
        Role::Connects => {
            Translation { ours: Vec::new(), notes: vec!["connections stand in config/config.yaml".to_owned()] }
        }
        Role::RegistersData => {
            Translation { ours: vec![words(&["sluicegate", "data", "register"])], notes: Vec::new() }
        }
        Role::Deploys | Role::Tool | Role::Other => return None,
    };
    Some(Row { old, new, place: path.to_owned() })
}

/// Whether this version takes a command; variables may stand in front of it.
fn works(command: &[Word]) -> bool {
    let begin = command.iter().position(|word| word.value == "sluicegate").unwrap_or(0);
    takes(&command[begin..])
}

fn absent_modules(facts: &ScriptFacts) -> Vec<String> {
    let is_offered = |module: &str| match module.strip_prefix("promptflow.") {
        None => true,
        Some(inside) => {
            let part = inside.split('.').next().unwrap_or_default();
            OFFERED.contains(&part) || OFFERED_NAMES.contains(&inside)
        }
    };
    facts.modules.iter().filter(|module| !is_offered(module)).cloned().collect()
}

fn section(title: &str, before: &str, items: Vec<String>) -> String {
    if items.is_empty() {
        return String::new();
    }
    let more = items.len().saturating_sub(MOST_LINES);
    let list: String = items.iter().take(MOST_LINES).map(|item| format!("- {item}\n")).collect();
    let rest = if more > 0 { format!("- … and {more} more\n") } else { String::new() };
    format!("## {title}\n\n{before}{list}{rest}\n")
}

fn inner(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  - {item}")).collect()
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
