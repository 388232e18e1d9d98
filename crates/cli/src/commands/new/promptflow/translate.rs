//! A command line of the original's, or of a script around it, in our words.

use sluicegate_value::Value;

use super::abilities::takes;
use super::run_files::RunFacts;
use super::scripts::{Role, ScriptFacts};
use super::survey::{Survey, is_below, name_of, plain};
use super::words::{Word, line, words};

/// What an old command becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Translation {
    /// Our commands, `sluicegate` in front; none if there is nothing to run in its place.
    pub(crate) ours: Vec<Vec<Word>>,
    /// What one should know.
    pub(crate) notes: Vec<String>,
}

impl Translation {
    fn to(command: Vec<Word>) -> Self {
        Self { ours: vec![command], notes: Vec::new() }
    }

    fn nothing(note: &str) -> Self {
        Self { ours: Vec::new(), notes: vec![note.to_owned()] }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Our commands on one line.
    pub(crate) fn line(&self) -> String {
        self.ours.iter().map(|command| line(command)).collect::<Vec<_>>().join(" && ")
    }
}

/// Translates a command; `None` if it is none that concerns us.
pub(crate) fn translate(command: &[Word], survey: &Survey) -> Option<Translation> {
    let (program, rest) = command.split_first()?;
    match program.value.as_str() {
        "pf" | "pf.exe" if is_of_the_original(rest) => Some(pf(rest, survey)),
        "pfazure" if is_of_the_original(rest) => Some(pfazure(rest, survey)),
        "python" | "python3" | "py" | "python.exe" => {
            // `py -3`, `python -u` and the like.
            let rest = &rest[rest.iter().take_while(|word| is_own_flag(&word.value)).count()..];
            python(rest, survey)
        }
        _ => None,
    }
}

/// Groups of the original's commands.
const GROUPS: &[&str] =
    &["flow", "run", "connection", "config", "service", "trace", "tool", "experiment", "workspace", "upgrade"];

/// Whether words go on as a command of the original's does: a name such as "pf tests" does not.
fn is_of_the_original(rest: &[Word]) -> bool {
    rest.first().is_some_and(|group| GROUPS.contains(&group.value.as_str()))
}

fn is_own_flag(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word != "-m" && word != "-c"
}

fn python(rest: &[Word], survey: &Survey) -> Option<Translation> {
    let (first, after) = rest.split_first()?;
    if first.value == "-m" {
        let (module, arguments) = after.split_first()?;
        return match module.value.as_str() {
            "promptflow._cli.pf" | "promptflow._cli._pf.entry" | "promptflow" => Some(pf(arguments, survey)),
            "promptflow._cli.pf_azure" | "promptflow.azure._cli.entry" => Some(pfazure(arguments, survey)),
            name => script(&format!("{}.py", dots_to_slashes(name)), arguments, survey),
        };
    }
    first.value.ends_with(".py").then(|| script(&first.value, after, survey)).flatten()
}

/// `flows.${{ inputs.type }}.evaluate` as a path: dots within `${{ … }}` stay.
fn dots_to_slashes(module: &str) -> String {
    let mut path = String::new();
    let mut open = 0_usize;
    for letter in module.chars() {
        match letter {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        path.push(if letter == '.' && open == 0 { '/' } else { letter });
    }
    path
}

/// A Python script of the project that runs or evaluates flows.
fn script(path: &str, arguments: &[Word], survey: &Survey) -> Option<Translation> {
    let found = matching_scripts(path, survey);
    let (_, facts) = found.first()?;
    let role = match role_of(found.first()?.0, facts) {
        role if found.iter().all(|(path, facts)| role_of(path, facts) == role) => role,
        _ => return None,
    };
    let given = Given::of(arguments);
    let mut translation = match role {
        Role::Tool | Role::Other => return None,
        Role::Connects => return Some(Translation::nothing("connections stand in config/config.yaml")),
        Role::RegistersData => Translation::to(words(&["sluicegate", "data", "register"])),
        Role::Deploys => return Some(Translation::nothing("deploying to Azure ML endpoints is not offered")),
        Role::Runs | Role::Evaluates => {
            let flow = given
                .one(&["--flow_to_execute", "--flow_name", "--flow-name", "--flow", "--model_type"])
                .cloned()
                .or_else(|| flow_of_scripts(path, &found, survey))?;
            let environment = given.one(&["--environment_name", "--environment-name", "--env_name", "--env"]);
            let command = |verb: &str| {
                let mut command = words(&["sluicegate", verb]);
                command.push(flow.clone());
                if let Some(environment) = environment {
                    command.push(Word::of("--environment_name"));
                    command.push(environment.clone());
                }
                command
            };
            match role {
                Role::Evaluates => Translation::to(command("evaluate")),
                _ => Translation { ours: vec![command("run"), command("batch")], notes: Vec::new() },
            }
        }
    };
    if found.iter().any(|(_, facts)| facts.is_of_azure()) {
        translation = translation.note("it ran in Azure; this runs where it is started");
    }
    if given.has("--visualize") {
        translation = translation.note("`--visualize` is left out");
    }
    Some(translation)
}

fn role_of(path: &str, facts: &ScriptFacts) -> Role {
    // A script that runs evaluation flows over a run evaluates, whatever it calls.
    match facts.role() {
        Role::Runs if name_of(path).contains("eval") => Role::Evaluates,
        role => role,
    }
}

/// The scripts that a path may mean: `${{ … }}`, `$(…)` and `$x` in it stand for any name.
fn matching_scripts<'s>(path: &str, survey: &'s Survey) -> Vec<(&'s str, &'s ScriptFacts)> {
    let wanted = plain(path);
    let all = survey.scripts.files.iter().map(|(path, facts)| (path.as_str(), facts));
    let whole: Vec<_> = all.clone().filter(|(path, _)| matches_path(&wanted, path)).collect();
    if !whole.is_empty() {
        return whole;
    }
    // Started in a folder of the project.
    let ends: Vec<_> = all
        .filter(|(path, _)| path.split('/').count() > wanted.split('/').count())
        .filter(|(path, _)| {
            let skipped = path.split('/').count() - wanted.split('/').count();
            matches_path(&wanted, &path.split('/').skip(skipped).collect::<Vec<_>>().join("/"))
        })
        .collect();
    if ends.len() == 1 { ends } else { Vec::new() }
}

fn matches_path(wanted: &str, path: &str) -> bool {
    let (wanted, path): (Vec<&str>, Vec<&str>) = (split_path(wanted), path.split('/').collect());
    wanted.len() == path.len()
        && wanted.iter().zip(&path).all(|(wanted, name)| match wildcard(wanted) {
            Some((before, _, after)) => {
                name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            }
            None => wanted == name,
        })
}

/// Parts of a path; a `/` within `${{ … }}` cuts nothing.
fn split_path(path: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut open) = (Vec::new(), 0, 0_usize);
    for (at, letter) in path.char_indices() {
        match letter {
            '{' | '(' => open += 1,
            '}' | ')' => open = open.saturating_sub(1),
            '/' if open == 0 => {
                parts.push(&path[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&path[begin..]);
    parts
}

/// What stands before a variable in a name, the variable, and what stands behind it.
fn wildcard(name: &str) -> Option<(&str, &str, &str)> {
    let begin = name.find('$')?;
    let rest = &name[begin..];
    let end = match () {
        () if rest.starts_with("${{") => rest.find("}}")? + 2,
        () if rest.starts_with("${") => rest.find('}')? + 1,
        () if rest.starts_with("$(") => rest.find(')')? + 1,
        () => {
            1 + rest[1..]
                .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .unwrap_or(rest.len() - 1)
        }
    };
    Some((&name[..begin], &rest[..end], &rest[end..]))
}

/// The flow that scripts are about: what stands for a name in their path, if it is the flow's; else the one that they name.
fn flow_of_scripts(path: &str, found: &[(&str, &ScriptFacts)], survey: &Survey) -> Option<Word> {
    let parts = split_path(path);
    let position = parts.iter().position(|part| wildcard(part).is_some());
    if let Some((position, (before, variable, after))) = position.and_then(|at| Some((at, wildcard(parts[at])?))) {
        let is_name = |path: &str, facts: &ScriptFacts| {
            let name = path.split('/').nth(position).unwrap_or_default();
            let name = name.strip_prefix(before).and_then(|name| name.strip_suffix(after)).unwrap_or_default();
            flow_of_script(path, facts, survey).as_deref() == Some(name)
        };
        return found
            .iter()
            .all(|(path, facts)| is_name(path, facts))
            .then(|| Word { raw: variable.to_owned(), value: variable.to_owned() });
    }
    let (path, facts) = found.first()?;
    flow_of_script(path, facts, survey).map(|name| Word::of(&name))
}

/// The flow that a script is about.
pub(crate) fn flow_of_script(path: &str, facts: &ScriptFacts, survey: &Survey) -> Option<String> {
    if let (Some(name), 1) = (facts.flow_names.first(), facts.flow_names.len()) {
        return Some(name.clone());
    }
    // `run_web_classification.py`, `flows/web_classification/evaluate.py`.
    let stem = name_of(path).trim_end_matches(".py");
    let by_name =
        survey.flows.iter().filter(|flow| stem.contains(flow.name.as_str())).max_by_key(|flow| flow.name.len());
    by_name.or_else(|| survey.flow_near(path)).map(|flow| flow.name.clone())
}

/// Flags and what is given for them.
struct Given<'a>(Vec<(&'a str, Vec<&'a Word>)>);

impl<'a> Given<'a> {
    fn of(arguments: &'a [Word]) -> Self {
        let mut flags: Vec<(&str, Vec<&Word>)> = Vec::new();
        for word in arguments {
            if word.is_flag() {
                flags.push((word.value.split('=').next().unwrap_or_default(), Vec::new()));
                if let (Some((_, values)), true) = (flags.last_mut(), word.value.contains('=')) {
                    values.push(word);
                }
            } else if let Some((_, values)) = flags.last_mut() {
                values.push(word);
            }
        }
        Self(flags)
    }

    fn all(&self, names: &[&str]) -> Vec<Word> {
        let found = self.0.iter().filter(|(name, _)| names.contains(name));
        found.flat_map(|(_, values)| values.iter().map(|word| (*word).clone())).collect()
    }

    fn one(&self, names: &[&str]) -> Option<&'a Word> {
        self.0.iter().find(|(name, _)| names.contains(name)).and_then(|(_, values)| values.first().copied())
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }
}

fn pfazure(rest: &[Word], survey: &Survey) -> Translation {
    let verbs: Vec<&str> = rest.iter().take(2).map(|word| word.value.as_str()).collect();
    match verbs[..] {
        ["run", _] | ["flow", "test" | "validate"] => {
            pf(rest, survey).note("`pfazure` ran in Azure; this runs where it is started")
        }
        _ => Translation::nothing("what is kept in Azure is not reached from here"),
    }
}

fn pf(rest: &[Word], survey: &Survey) -> Translation {
    let [group, verb, arguments @ ..] = rest else {
        return Translation::nothing("`sluicegate --help` shows all commands");
    };
    let given = Given::of(arguments);
    match (group.value.as_str(), verb.value.as_str()) {
        ("flow", "test") => flow_test(&given, survey),
        ("flow", "validate") => match given.one(&["--source", "-s"]) {
            Some(flow) => Translation::to([words(&["sluicegate", "check"]), vec![flow.clone()]].concat()),
            None => Translation::nothing("it names no flow"),
        },
        ("flow", "init") => {
            let mut command = words(&["sluicegate", "new"]);
            command.extend(given.one(&["--flow"]).cloned());
            Translation::to(command)
        }
        ("flow", "serve") => {
            let mut command = words(&["sluicegate", "serve"]);
            command.extend(given.one(&["--source", "-s"]).cloned());
            for flag in ["--port", "--host"] {
                if let Some(value) = given.one(&[flag]) {
                    command.extend([Word::of(flag), value.clone()]);
                }
            }
            Translation::to(command)
        }
        ("flow", "build") => {
            Translation::nothing("nothing is built: an image needs the program, the flow's folder and config/")
        }
        ("flow", "save") => Translation::nothing("write a flow.flex.yaml with `entry:` by hand"),
        ("run", "create") => run_create(&given, survey),
        ("run", "list") => {
            let mut command = words(&["sluicegate", "runs", "list"]);
            if let Some(most) = given.one(&["-r", "--max-results"]) {
                command.extend([Word::of("--limit"), most.clone()]);
            }
            Translation::to(command)
        }
        ("run", verb @ ("show" | "show-details" | "show-metrics" | "delete")) => {
            let own = match verb {
                "show-details" => "lines",
                "show-metrics" => "metrics",
                verb => verb,
            };
            // Until there is a command for that alone, what shows everything shows it too.
            let is_there = verb == "delete" || takes(&words(&["sluicegate", "runs", own, "x"]));
            let verb = if is_there { own } else { "show" };
            let mut command = words(&["sluicegate", "runs", verb]);
            command.extend(given.one(&["-n", "--name"]).cloned());
            Translation::to(command).note("runs of the original are not among ours: they have ids of their own")
        }
        ("run", "visualize") => Translation::to(words(&["sluicegate", "view"])),
        ("run", "stream") => Translation::nothing("a run tells its progress while it runs"),
        ("run", _) => Translation::nothing("runs are files below .sluicegate/runs"),
        ("connection", "create") => match given.one(&["--file", "-f"]) {
            Some(file) => {
                let mut command = words(&["sluicegate", "connections", "import", "--write"]);
                command.push(file.clone());
                if let Some(name) = given.one(&["--name", "-n"]) {
                    command.extend([Word::of("--name"), name.clone()]);
                }
                let translation = Translation::to(command);
                match given.has("--set") {
                    true => translation.note("`--set` is left out: secrets come from variables or .env"),
                    false => translation,
                }
            }
            None => Translation::nothing("connections stand in config/config.yaml"),
        },
        ("connection", "list") => Translation::to(words(&["sluicegate", "connections", "list"])),
        ("connection", "show") => {
            let mut command = words(&["sluicegate", "connections", "show"]);
            command.extend(given.one(&["-n", "--name"]).cloned());
            Translation::to(command)
        }
        ("connection", _) => Translation::nothing("connections stand in config/config.yaml: edit them there"),
        ("config", "show") => Translation::to(words(&["sluicegate", "config", "show"])),
        ("config", _) => Translation::nothing("settings stand in config/config.yaml"),
        ("service" | "trace", _) => {
            Translation::nothing("there is no service: traces go to any OpenTelemetry collector (--deploy_traces)")
        }
        _ => Translation::nothing("not offered"),
    }
}

/// Flags that only say how the original shows things.
const OF_THE_DISPLAY: &[&str] = &["--ui", "--multi-modal", "--verbose", "--debug", "--skip-open-browser", "--detail"];

fn flow_test(given: &Given<'_>, survey: &Survey) -> Translation {
    let Some(flow) = given.one(&["--flow", "-f"]) else { return Translation::nothing("it names no flow") };
    let mut command = words(&["sluicegate", "run"]);
    command.push(flow.clone());
    let mut translation = Translation::default();
    for (flag, names) in [("--variant", ["--variant", "--variant"]), ("--node", ["--node", "--node"])] {
        if let Some(value) = given.one(&names) {
            command.extend([Word::of(flag), value.clone()]);
        }
    }
    if given.has("--interactive") || given.has("-i") {
        command.push(Word::of("--interactive"));
    }
    let variables = given.all(&["--environment-variables"]);
    if !variables.is_empty() {
        translation = translation.note("the variables stand in front of the command");
        command.splice(0..0, variables);
    }
    // Flags that take all that follows stand last.
    for flag in ["--init", "--inputs"] {
        let values = given.all(&[flag]);
        if !values.is_empty() {
            command.push(Word::of(flag));
            command.extend(values);
        }
    }
    for flag in OF_THE_DISPLAY.iter().chain(&["--collection"]).filter(|flag| given.has(flag)) {
        translation = translation.note(format!("`{flag}` is left out"));
    }
    let connections = survey.flow_at(&flow.value).map(|flow| flow.connections().len()).unwrap_or_default();
    if connections > 0 {
        translation =
            translation.note("a section of config/config.yaml says which connection is asked: add --environment_name");
    }
    translation.ours.push(command);
    translation
}

fn run_create(given: &Given<'_>, survey: &Survey) -> Translation {
    let file = given.one(&["--file", "-f"]);
    let of_file = file.and_then(|file| {
        let path = plain(&file.value);
        let mut found = survey.runs.iter().filter(|run| run.file == path || run.file.ends_with(&format!("/{path}")));
        found.next().filter(|_| found.next().is_none())
    });
    if let (Some(file), None) = (file, of_file) {
        return Translation::nothing(&format!(
            "`{}` is not in this project: its keys are flags of `batch`",
            file.value
        ));
    }
    let mut translation = of_file.map(|run| of_run_file(run, survey)).unwrap_or_default();
    let mut command = translation.ours.pop().unwrap_or_else(|| words(&["sluicegate", "batch"]));
    if let Some(flow) = given.one(&["--flow"]) {
        command.truncate(2);
        command.push(flow.clone());
    }
    for (flag, ours) in [("--data", "--data"), ("--variant", "--variant"), ("--resume-from", "--resume")] {
        if let Some(value) = given.one(&[flag]) {
            command.extend([Word::of(ours), value.clone()]);
        }
    }
    let mapping = given.all(&["--column-mapping"]);
    if !mapping.is_empty() {
        command.push(Word::of("--column-mapping"));
        command.extend(mapping);
    }
    let variables = given.all(&["--environment-variables"]);
    command.splice(0..0, variables);
    if given.has("--run") {
        translation = translation
            .note("an evaluation over a finished run is `sluicegate evaluate FLOW --run RUN` with evaluators in evaluation.yaml");
    }
    if given.has("--connections") {
        translation = translation
            .note("connections of nodes stand in the flow's section: nodes: { NODE: { connection_name: … } }");
    }
    for flag in ["--name", "-n", "--stream", "--set", "--tags"].iter().filter(|flag| given.has(flag)) {
        translation = translation.note(format!("`{flag}` is left out"));
    }
    translation.ours.push(command);
    translation
}

/// What a run file asks for, as a command.
pub(crate) fn of_run_file(run: &RunFacts, survey: &Survey) -> Translation {
    let mut command = words(&["sluicegate", "batch"]);
    let name = survey.flow_at(&run.flow).map_or(run.flow.as_str(), |flow| flow.name.as_str());
    command.push(Word::of(name));
    if let Some(data) = &run.data {
        command.extend(words(&["--data", data]));
    }
    if let Some(variant) = &run.variant {
        command.extend(words(&["--variant", variant]));
    }
    if !run.column_mapping.is_empty() {
        command.push(Word::of("--column-mapping"));
        for (name, value) in &run.column_mapping {
            let value = value.as_str().map_or_else(|| Value::to_json(value), str::to_owned);
            command.push(Word::of(&format!("{name}={value}")));
        }
    }
    let mut translation = Translation::to(command);
    for key in &run.of_the_cloud {
        translation = translation.note(format!("`{key}` only means something in Azure"));
    }
    if run.run.is_some() {
        translation = translation.note("its outputs of another run become evaluators in evaluation.yaml");
    }
    if !run.environment_variables.is_empty() {
        let names = run.environment_variables.join(", ");
        translation = translation.note(format!("set for the process or in .env: {names}"));
    }
    if !run.connections.is_empty() {
        translation =
            translation.note("its `connections` stand in the flow's section: nodes: { NODE: { connection_name: … } }");
    }
    if run.has_init {
        translation = translation.note("its `init` is given by --init");
    }
    translation
}

/// Whether a file lies in a folder that a flow is made of.
pub(crate) fn is_part_of_a_flow(path: &str, survey: &Survey) -> bool {
    survey.flows.iter().any(|flow| flow.path != "." && flow.path != flow.file && is_below(path, &flow.path))
}
