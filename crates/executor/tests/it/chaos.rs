//! Any flow, stopped and killed anywhere, on a slow disk: the run ends as it would have, and pays for no reply twice.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sluicegate_events::{CallEnd, Event, EventKind, Journal, JournalError, NodePath, RunStatus};
use sluicegate_executor::{Engine, Listeners, NewRun, Options, Redact, RunReport, Start};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_model::{BoxFuture, ModelError, Prices};
use sluicegate_value::Value;

use crate::support::*;

/// Numbers that follow from a seed, so that one number tells a whole story.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        hashed(&self.0) % count
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, among: &'a [String]) -> &'a str {
        &among[self.below(among.len() as u64) as usize]
    }
}

fn hashed(what: &(impl std::hash::Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// Writes a flow from text `q` to text `q`, with others inside it, and returns the folder that it is in.
fn write_flow(dice: &mut Dice, depth: u32, times: bool, files: &mut Vec<(String, String)>) -> String {
    let folder = format!("f{}", files.len());
    files.push((format!("{folder}/ask.jinja2"), "user:\n{{tag}} {{q}}\n".to_owned()));
    let mut texts = vec!["${inputs.q}".to_owned()];
    let mut lists = Vec::new();
    let mut nodes = String::new();
    for index in 0..1 + dice.below(3) {
        let name = format!("n{index}");
        let kind = if depth == 0 { dice.below(4) } else { dice.below(7) };
        let q = dice.pick(&texts).to_owned();
        let _ = match kind {
            0..3 => {
                let q = if dice.one_in(3) { dice.pick(&[texts.clone(), lists.clone()].concat()).to_owned() } else { q };
                texts.push(format!("${{{name}.output}}"));
                let inputs = format!("{{deployment_name: m, tag: {folder}{name}, q: \"{q}\"}}");
                write!(nodes, "- {{name: {name}, type: llm, source: {{type: code, path: ask.jinja2}}, inputs: {inputs}")
            }
            3 => {
                lists.push(format!("${{{name}.output}}"));
                write!(
                    nodes,
                    "- {{name: {name}, type: embedding, inputs: {{deployment_name: m, user: {folder}{name}, input: \"{q}\"}}"
                )
            }
            kind => {
                let inner = write_flow(dice, depth - 1, times, files);
                let source = format!("source: {{type: code, path: ../{inner}/flow.dag.yaml}}");
                match kind {
                    4 => {
                        texts.push(format!("${{{name}.output.q}}"));
                        write!(nodes, "- {{name: {name}, type: flow, {source}, inputs: {{q: \"{q}\"}}")
                    }
                    5 => {
                        lists.push(format!("${{{name}.output}}"));
                        let width = 1 + dice.below(3);
                        write!(
                            nodes,
                            "- {{name: {name}, type: map, over: \"${{inputs.items}}\", as: q, concurrency: {width}, {source}"
                        )
                    }
                    _ => {
                        texts.push(format!("${{{name}.output.q}}"));
                        let rounds = 1 + dice.below(3);
                        write!(
                            nodes,
                            "- {{name: {name}, type: loop, until: \"iteration == {rounds}\", max_iterations: 3, {source}, inputs: {{q: \"{q}\"}}"
                        )
                    }
                }
            }
        };
        if dice.one_in(2) {
            let _ = write!(nodes, ", retry: {{max_attempts: {}, initial: 1s}}", 2 + dice.below(2));
        }
        if times && dice.one_in(2) {
            let _ = write!(nodes, ", timeout: {}s", 1 + dice.below(4));
        }
        nodes.push_str("}\n");
    }
    let items = ["[]", "[x]", "[x, y]", "[x, y, z]"][dice.below(4) as usize];
    let q = texts.last().unwrap();
    let yaml = format!(
        "inputs: {{q: {{type: string}}, items: {{type: list, default: {items}}}}}\noutputs: {{q: {{type: string, reference: \"{q}\"}}}}\nnodes:\n{nodes}"
    );
    files.push((format!("{folder}/flow.dag.yaml"), yaml));
    folder
}

/// A plan, the same one without any `timeout`, and how it is written.
fn any_plan(dice: &mut Dice, times: bool) -> (BoundPlan, BoundPlan, String) {
    let mut files = Vec::new();
    let root = format!("{}/flow.dag.yaml", write_flow(dice, 2, times, &mut files));
    let note = files.iter().map(|(path, text)| format!("=== {path}\n{text}")).collect();
    let patient: Vec<(String, String)> =
        files.iter().map(|(path, text)| (path.clone(), text.replace(", timeout: ", ", timeout: 999"))).collect();
    let compile = |files: &[(String, String)]| {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        plan_at(&files, &root)
    };
    (compile(&files), compile(&patient), note)
}

/// Answers with a text that follows from what was asked; a troubled one fails or dawdles at first.
fn model(trouble: Option<u64>) -> Arc<FakeModel> {
    FakeModel::new(move |text, before| {
        let says = format!("{:x}", hashed(text) % 0xffff);
        let odd = || ModelError::Malformed { message: "odd".to_owned() };
        let no = || ModelError::Rejected { status: 400, message: "no".to_owned(), parameter: None };
        let answer = Answer::text(says).after(Duration::from_millis(5 + hashed(text) % 300));
        let Some(trouble) = trouble else { return answer };
        match (hashed(&(trouble, text)) % 24, before) {
            (0..2, 0) | (2, 0..2) => Answer::error(odd()),
            (3, 0) => answer.after(Duration::from_secs(6)),
            (4, 0) => answer.after(Duration::from_millis(990)),
            (5, _) if trouble.is_multiple_of(4) => Answer::error(no()),
            _ => answer,
        }
    })
}

/// A disk that takes its time. What it was given may be kept long before it says so.
struct SlowJournal {
    kept: Mutex<Vec<Event>>,
    grown: tokio::sync::watch::Sender<usize>,
    seed: u64,
    appends: AtomicU64,
}

impl Journal for SlowJournal {
    fn append(&self, events: Arc<Vec<Event>>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            let mut dice = Dice(hashed(&(self.seed, self.appends.fetch_add(1, Ordering::SeqCst))));
            let keep = |events: Arc<Vec<Event>>| {
                let mut kept = self.kept.lock().unwrap();
                kept.extend(events.iter().cloned());
                self.grown.send_replace(kept.len());
            };
            let (before, after) = (dice.below(3) * dice.below(60), dice.below(3) * dice.below(300));
            tokio::time::sleep(Duration::from_millis(before)).await;
            keep(events);
            tokio::time::sleep(Duration::from_millis(after)).await;
            Ok(())
        })
    }
}

/// What a process comes to.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lives,
    /// Ctrl-C.
    Interrupted,
    /// As by a power cut.
    Killed,
}

/// One process: `None` if it was killed.
async fn live(
    plan: &BoundPlan,
    model: &Arc<FakeModel>,
    journal: &Arc<SlowJournal>,
    fate: Fate,
    dice: &mut Dice,
) -> Option<RunReport> {
    let engine = Engine {
        kept: Default::default(),
        budget: None,
        journal: journal.clone(),
        listeners: Listeners::default(),
        models: Arc::new(FakeModels::of(model)),
        python: None,
        prices: Prices::default(),
        redact: Redact::default(),
        options: Options::default(),
    };
    let past = journal.kept.lock().unwrap().clone();
    let end_at = past.len() + 1 + dice.below(40) as usize;
    let start = match past.is_empty() {
        true => Start::New(NewRun::of(plan.plan().resolve_inputs(&inputs(r#"{"q": "hi"}"#)).unwrap())),
        false => Start::Resume { past },
    };
    let mut grown = journal.grown.subscribe();
    let jitter = Duration::from_millis(dice.below(200));
    let asked_by_then = Mutex::new(None);
    let end = async {
        let _ = grown.wait_for(|count| *count >= end_at).await;
        tokio::time::sleep(jitter).await;
        *asked_by_then.lock().unwrap() = Some(model.heard().len());
    };
    let report = match fate {
        Fate::Lives => Some(sluicegate_executor::run(&engine, plan, start, std::future::pending()).await),
        Fate::Interrupted => Some(sluicegate_executor::run(&engine, plan, start, end).await),
        Fate::Killed => tokio::select! {
            report = sluicegate_executor::run(&engine, plan, start, std::future::pending()) => Some(report),
            () = end => None,
        },
    };
    if let (Fate::Interrupted, Some(asked)) = (fate, *asked_by_then.lock().unwrap()) {
        assert_eq!(model.heard().len(), asked, "nothing is asked after Ctrl-C");
    }
    report
}

/// Whether a node is another one or inside of it, in whichever item or round.
fn is_within(inner: &NodePath, outer: &NodePath) -> bool {
    std::iter::successors(Some(inner.clone()), NodePath::parent).any(|path| path == *outer)
}

/// A journal tells one story: each attempt begins and ends at most once, and nothing is asked again that was answered.
fn check_story(events: &[Event]) {
    let (mut begun, mut ended) = (HashSet::new(), HashSet::new());
    let mut asked: HashMap<(NodePath, u32), String> = HashMap::new();
    let mut answered: HashSet<(NodePath, String)> = HashSet::new();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, index as u64 + 1);
        let path = &event.scope.path;
        let attempt = (path.clone(), event.scope.attempt);
        match &event.kind {
            EventKind::NodeStarted { .. } => {
                assert!(begun.insert(attempt), "`{path}` began twice: {}", in_short(events))
            }
            EventKind::NodeAttemptFailed { .. } => {
                // What is inside begins anew with the next attempt.
                begun.retain(|(inner, _)| inner == path || !is_within(inner, path));
                ended.retain(|(inner, _)| inner == path || !is_within(inner, path));
                answered.retain(|(inner, _)| !is_within(inner, path));
            }
            EventKind::NodeFinished { .. } => {
                assert!(ended.insert(attempt), "`{path}` ended twice: {}", in_short(events))
            }
            EventKind::ModelCallStarted { call, request_hash, .. } => {
                let again = answered.contains(&(path.clone(), request_hash.clone()));
                assert!(!again, "`{path}` asked again what was answered: {}", in_short(events));
                asked.insert((path.clone(), *call), request_hash.clone());
            }
            EventKind::ModelCallFinished { call, end: CallEnd::Replied { .. } | CallEnd::Embedded { .. }, .. } => {
                answered.insert((path.clone(), asked.remove(&(path.clone(), *call)).unwrap()));
            }
            EventKind::RunResumed { .. } => asked.clear(),
            _ => {}
        }
    }
}

/// A run whose processes come to these fates, and at last to none. How it ended, with its outputs.
async fn check_life(plan: &BoundPlan, trouble: u64, fates: &[Fate], dice: &mut Dice) -> Result<String, String> {
    let model = model(Some(trouble));
    let (grown, appends) = (tokio::sync::watch::Sender::new(0), AtomicU64::new(0));
    let journal = Arc::new(SlowJournal { kept: Mutex::default(), grown, seed: dice.below(u64::MAX), appends });
    for fate in fates.iter().copied().chain(std::iter::repeat_n(Fate::Lives, 2)) {
        let report = live(plan, &model, &journal, fate, dice).await;
        let events = journal.kept.lock().unwrap().clone();
        check_story(&events);
        if let Some(EventKind::RunFinished { outputs: Some(outputs), .. }) = events.last().map(|event| &event.kind) {
            return Ok(Value::from(outputs.clone()).to_json());
        }
        let Some(report) = report else { continue };
        if let Some(failure) = &report.failure {
            let is_ours = !matches!(failure.code.as_str(), "internal" | "resume" | "journal");
            assert!(is_ours, "{failure:?} after {}", in_short(&events));
        }
        match report.status {
            RunStatus::Completed => panic!("its end is not kept"),
            // A run that failed may be tried again too.
            RunStatus::Failed if matches!(fate, Fate::Lives) => {
                return Err(report.failure.map(|failure| failure.code).unwrap_or_default());
            }
            RunStatus::Failed => {}
            RunStatus::Interrupted => assert!(matches!(fate, Fate::Interrupted), "{}", in_short(&events)),
        }
    }
    panic!("nobody stopped it and it did not end");
}

fn check(seed: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut dice = Dice(seed);
    let times = dice.one_in(2);
    let (plan, patient, note) = any_plan(&mut dice, times);
    let trouble = dice.below(1000);
    runtime.block_on(async {
        let journal = Arc::new(MemoryJournal::default());
        let calm = outputs(&run_with(&engine(&model(None), &journal), &patient, r#"{"q": "hi"}"#).await);
        let whole = check_life(&plan, trouble, &[], &mut dice).await;
        for _ in 0..3 {
            let fates: Vec<Fate> =
                (0..1 + dice.below(3)).map(|_| if dice.one_in(2) { Fate::Interrupted } else { Fate::Killed }).collect();
            let stopped = check_life(&plan, trouble, &fates, &mut dice).await;
            for found in [&whole, &stopped].into_iter().flatten() {
                assert_eq!(*found, calm, "{note}");
            }
            // How long things take may make a node's time run out in one life and not in another.
            if whole.is_ok() && !times {
                assert_eq!(stopped, whole, "{note}");
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn any_run_that_is_stopped_anywhere_ends_as_it_would_have(seed in any::<u64>()) {
        check(seed);
    }
}
