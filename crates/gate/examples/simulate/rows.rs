//! The rows of the table: each a world, a question and the bound that its answer must keep.

use sluicegate_gate::judge::AfterLook;
use sluicegate_gate::plan::before_spending;
use sluicegate_gate::statistics::{Random, Scale, Sides, mean_bounds};
use sluicegate_gate::*;

use super::world::{
    Kind, Measured, Outcomes, World, at_all_looks, decide, first, number, row_differences, steps, yes_no,
};

/// How often a rule may block by luck alone.
pub(crate) const ALPHA: f64 = 0.05;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) runs: usize,
    pub(crate) rate: f64,
    pub(crate) bound: Bound,
    pub(crate) note: String,
}

/// What an answer must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// For comparison only.
    Shown,
}

impl Row {
    /// The standard error that so many runs leave, at the bound.
    pub(crate) fn error(&self) -> f64 {
        let rate = match self.bound {
            Bound::AtMost(bound) | Bound::AtLeast(bound) => bound,
            Bound::Shown => self.rate,
        };
        (rate * (1.0 - rate) / self.runs as f64).sqrt()
    }

    /// Whether the bound is kept, but for so many standard errors.
    pub(crate) fn holds_within(&self, errors: f64) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.rate <= bound + errors * self.error(),
            Bound::AtLeast(bound) => self.rate >= bound - errors * self.error(),
            Bound::Shown => true,
        }
    }
}

/// A row yet to be computed: from how many runs and which seed.
pub(crate) type Question = Box<dyn Fn(usize, u64) -> Row + Send + Sync>;

pub(crate) fn questions() -> Vec<Question> {
    let mut all: Vec<Question> = Vec::new();
    same_pipeline(&mut all);
    at_the_threshold(&mut all);
    clusters_and_repeats(&mut all);
    drops(&mut all);
    all.push(Box::new(usable));
    all
}

fn share(runs: usize, seed: u64, mut happened: impl FnMut(&mut Random, u64) -> bool) -> f64 {
    let mut random = Random::from_seed(seed);
    (0..runs).filter(|run| happened(&mut random, *run as u64)).count() as f64 / runs as f64
}

/// How often a candidate that is the same pipeline is blocked as a regression.
pub(crate) fn blocked(what: &str, world: World, sections: &'static str) -> Question {
    let what = what.to_owned();
    Box::new(move |runs, seed| {
        let policy = world.policy(sections);
        let (mut stopped, mut cases) = (0, 0);
        let rate = share(runs, seed, |random, run| {
            let outcome = decide(&policy, &world.evidence(random), run);
            stopped += usize::from(outcome.after != AfterLook::Continue);
            cases += outcome.cases;
            outcome.failed()
        });
        let note = match policy.sequential {
            Some(_) => format!(
                "{:.0}% of cases measured, {:.0}% stopped early",
                100.0 * cases as f64 / (runs * world.cases) as f64,
                100.0 * stopped as f64 / runs as f64
            ),
            None => String::new(),
        };
        Row { what: what.clone(), runs, rate, bound: Bound::AtMost(ALPHA), note }
    })
}

pub(crate) fn four() -> Vec<Measured> {
    vec![yes_no("exact"), yes_no("valid"), number("f1"), steps("quality")]
}

fn same_pipeline(all: &mut Vec<Question>) {
    for cases in [50, 200] {
        let one = |metric: Measured| World::new(cases, vec![metric]);
        let rule = "gate: { no_regression: true }";
        all.push(blocked(&format!("A/A, yes and no, n = {cases}"), one(yes_no("exact")), rule));
        all.push(blocked(&format!("A/A, scores, n = {cases}"), one(number("f1")), rule));
        all.push(blocked(&format!("A/A, steps 1 to 5, n = {cases}"), one(steps("quality")), rule));
        let world = World::new(cases, four());
        all.push(blocked(&format!("A/A, 4 rules, Holm, n = {cases}"), world.clone(), rule));
        all.push(blocked(
            &format!("A/A, 4 rules, BH, n = {cases}"),
            world.clone(),
            "gate: { no_regression: true, adjust: bh }",
        ));
        all.push(unadjusted(world.clone()));
        all.push(blocked(
            &format!("A/A, 4 rules, Holm, 3 looks, n = {cases}"),
            world.clone(),
            "sequential: { looks: 3, min_cases: 15 }\ngate: { no_regression: true }",
        ));
        all.push(blocked(
            &format!("A/A, 4 rules, BH, 3 looks, n = {cases}"),
            world.clone(),
            "sequential: { looks: 3, min_cases: 15 }\ngate: { no_regression: true, adjust: bh }",
        ));
        all.push(blocked(
            &format!("A/A, 4 rules, Holm, 3 Pocock looks, n = {cases}"),
            world,
            "sequential: { method: pocock, looks: 3, min_cases: 15 }\ngate: { no_regression: true }",
        ));
    }
    for cases in [8, 12, 16] {
        let world = World::new(cases, vec![number("f1")]);
        all.push(blocked(&format!("A/A, scores, sign-flip, n = {cases}"), world, "gate: { no_regression: true }"));
    }
}

/// Several rules and three looks without any correction: what all of this is for.
pub(crate) fn unadjusted(world: World) -> Question {
    Box::new(move |runs, seed| {
        let (cases, rules) = (world.cases, world.metrics.len());
        let policy = world.policy("gate: { no_regression: true, adjust: none }");
        let rate = share(runs, seed, |random, run| {
            let evidence = world.evidence(random);
            [cases.div_ceil(3), (2 * cases).div_ceil(3), cases]
                .into_iter()
                .any(|count| decide(&policy, &first(&evidence, count), run).failed())
        });
        let what = format!("A/A, {rules} rules, 3 looks, uncorrected, n = {cases}");
        Row { what, runs, rate, bound: Bound::Shown, note: "what the corrections are for".to_owned() }
    })
}

/// A candidate exactly at its threshold must neither fail nor pass oftener than alpha.
fn at_the_threshold(all: &mut Vec<Question>) {
    for looks in [false, true] {
        for (cases, threshold) in [(50, 0.8), (50, 0.95), (40, 0.97), (200, 0.8), (200, 0.95)] {
            all.push(exactly_met(cases, threshold, looks, RuleVerdict::Fail));
            all.push(exactly_met(cases, threshold, looks, RuleVerdict::Pass));
        }
    }
}

/// How often a candidate exactly at its threshold comes to a verdict, at any look.
pub(crate) fn exactly_met(cases: usize, threshold: f64, looks: bool, wanted: RuleVerdict) -> Question {
    Box::new(move |runs, seed| {
        let kind = Kind::YesNo { sure: 2.0 * threshold - 1.0, lucky: 2.0 * (1.0 - threshold) };
        let world = World::new(cases, vec![Measured { name: "exact", kind, drop: 0.0 }]);
        let sequential = if looks { "sequential: { looks: 3, min_cases: 13 }\n" } else { "" };
        let policy = world.policy(&format!("{sequential}gate: {{ exact: '>= {threshold}', strict: true }}"));
        let rate = share(runs, seed, |random, run| {
            let decisions = at_all_looks(&policy, &world.evidence(random), run);
            decisions.iter().any(|decision| decision.rules.iter().any(|rule| rule.verdict == wanted))
        });
        let word = if wanted == RuleVerdict::Fail { "fails" } else { "passes" };
        let when = if looks { " at any of 3 looks" } else { "" };
        let what = format!("exactly {threshold} against `>= {threshold}` {word}{when}, n = {cases}");
        Row { what, runs, rate, bound: Bound::AtMost(ALPHA), note: String::new() }
    })
}

/// What a t test over rows says, which knows nothing of clusters or repeats.
pub(crate) fn by_rows(what: &str, world: World, metric: &'static str) -> Question {
    let what = what.to_owned();
    Box::new(move |runs, seed| {
        let rate = share(runs, seed, |random, _| {
            let differences = row_differences(&world.evidence(random), metric);
            let scale = Some(Scale { lowest: -4.0, highest: 4.0 });
            mean_bounds(&differences, scale, 1.0 - ALPHA, Sides::One).is_ok_and(|interval| interval.upper < 0.0)
        });
        Row { what: what.clone(), runs, rate, bound: Bound::Shown, note: "a t test over rows".to_owned() }
    })
}

fn clusters_and_repeats(all: &mut Vec<Question>) {
    let rule = "gate: { no_regression: true }";
    for (clusters, size) in [(40, 5), (10, 10)] {
        for metric in [number("f1"), yes_no("exact")] {
            let world = World { cluster: size, ..World::new(clusters * size, vec![metric]) };
            let what = format!("A/A, {clusters} clusters of {size}, {}", metric.name);
            all.push(by_rows(&format!("{what}, naive"), world.clone(), metric.name));
            all.push(blocked(&what, world, rule));
        }
    }
    let world = World { cluster: 5, ..World::new(200, vec![number("f1"), yes_no("exact")]) };
    let looks = "sequential: { looks: 3, min_cases: 15 }\ngate: { no_regression: true }";
    all.push(blocked("A/A, 40 clusters of 5, 3 looks", world, looks));
    // Three answers to each of 50 cases, a third of which are flaky, with the truth of pass^3 as its threshold.
    let flaky = Measured { name: "exact", kind: Kind::YesNo { sure: 0.6, lucky: 0.32 }, drop: 0.0 };
    let world = World { repeats: 3, ..World::new(50, vec![flaky]) };
    all.push(blocked("A/A, 3 repeats, 32% flaky cases, n = 50", world.clone(), rule));
    for wanted in [RuleVerdict::Fail, RuleVerdict::Pass] {
        let world = world.clone();
        all.push(Box::new(move |runs, seed| {
            // 0.6 for sure, and an eighth of 0.32.
            let policy = world.policy("gate: { pass_hat_k: { k: 3, lower: '>= 0.64' }, strict: true }");
            let rate = share(runs, seed, |random, run| {
                decide(&policy, &world.evidence(random), run).verdict("pass_hat_k") == Some(wanted)
            });
            let word = if wanted == RuleVerdict::Fail { "fails" } else { "passes" };
            let what = format!("pass^3 exactly at its limit {word}, 3 repeats, n = 50");
            Row { what, runs, rate, bound: Bound::AtMost(ALPHA), note: String::new() }
        }));
    }
}

/// A true drop of twice the margin is caught with the power that was told before anything was spent.
pub(crate) fn caught(what: &str, world: World, sections: &'static str, rule: &'static str, drop: f64) -> Question {
    let what = what.to_owned();
    Box::new(move |runs, seed| {
        let policy = world.policy(sections);
        let mut random = Random::from_seed(seed ^ 0x5eed);
        // What was measured of versions like these before, on many cases, says how much answers change.
        // So many that the told power itself has no luck in it: with 600 clusters it lies between 0.80 and 0.86.
        let many = if cfg!(debug_assertions) { 3_000 } else { 30_000 };
        let before = World { cases: many / world.cluster * world.cluster, ..world.clone() }.evidence(&mut random);
        let mut asked = policy.clone();
        for rule in &mut asked.rules {
            if let Check::NoRegression { margin, .. } = &mut rule.check {
                *margin = drop;
            }
        }
        let lines = before_spending(&asked, Some(&before), world.cases as u64, world.repeats);
        let told = lines.iter().find(|line| line.rule == rule).map_or(1.0, |line| line.power);
        let mut cases = 0;
        let rate = share(runs, seed, |random, run| {
            let outcome = decide(&policy, &world.evidence(random), run);
            cases += outcome.cases;
            outcome.failed()
        });
        let mut note = format!("told {told:.3}");
        if policy.sequential.is_some() {
            note += &format!(", {:.0}% of cases measured", 100.0 * cases as f64 / (runs * world.cases) as f64);
        }
        Row { what: what.clone(), runs, rate, bound: Bound::AtLeast(told), note }
    })
}

fn drops(all: &mut Vec<Question>) {
    let rule = "gate: { no_regression: true }";
    let exact = yes_no("exact").dropping(0.1);
    let f1 = number("f1").dropping(0.1);
    all.push(caught(
        "A/B, drop 0.10, yes and no, n = 150",
        World::new(150, vec![exact]),
        rule,
        "no_regression.exact",
        0.1,
    ));
    all.push(caught("A/B, drop 0.10, scores, n = 30", World::new(30, vec![f1]), rule, "no_regression.f1", 0.1));
    let mut among = four();
    among[0] = exact;
    all.push(caught(
        "A/B, drop 0.10 in 1 of 4 rules, Holm, n = 200",
        World::new(200, among.clone()),
        rule,
        "no_regression.exact",
        0.1,
    ));
    all.push(caught(
        "A/B, drop 0.10 in 1 of 4 rules, 3 looks, n = 200",
        World::new(200, among),
        "sequential: { looks: 3, min_cases: 30 }\ngate: { no_regression: true }",
        "no_regression.exact",
        0.1,
    ));
    let clustered = World { cluster: 5, ..World::new(150, vec![f1]) };
    all.push(caught("A/B, drop 0.10, 30 clusters of 5, scores", clustered, rule, "no_regression.f1", 0.1));
    let repeated = World { repeats: 3, ..World::new(60, vec![exact]) };
    all.push(caught("A/B, drop 0.10, 3 repeats, n = 60", repeated, rule, "no_regression.exact", 0.1));
}

/// The policy that most people write.
const SHORT: &str = "gate:\n  exact_match: '>= 0.80'\n  groundedness: '>= 4'\n  no_regression: true\n";

/// What pull requests are like: how often, and how much worse exact_match (a share) and groundedness (of 1 to 5) get.
const MIX: [(&str, f64, f64); 4] = [
    ("no change in quality", 0.55, 0.0),
    ("better by 3 points", 0.15, -0.03),
    ("worse by 3 points", 0.15, 0.03),
    ("broken, by 20 points", 0.15, 0.2),
];

/// How a usable verdict is defined, and over what.
pub(crate) const USABLE: &str = "usable: exit 0 (pass, or a warning that does not block), or a shown failure (exit 10); not usable: blocked as \
inconclusive (11) or invalid (12).\nmix: 55% of pull requests change nothing, 15% are better and 15% worse by 3 points of the scale, 15% are \
broken by 20; the flow's truth lies between 0.82 and 0.97 (threshold 0.80) and between 4.1 and 4.7 (threshold 4), evenly; one \
provider in five fails 0.5% of its answers.";

pub(crate) fn usable(runs: usize, seed: u64) -> Row {
    let mut counts = [[0_usize; 3]; MIX.len()];
    let rate = share(runs, seed, |random, run| {
        let mut kind = random.unit();
        let at = MIX
            .iter()
            .position(|(_, often, _)| {
                kind -= often;
                kind < 0.0
            })
            .unwrap_or(0);
        let outcome = pull_request(MIX[at].2, random, run);
        let usable = matches!(outcome.decision.exit_code, 0 | 10);
        counts[at][0] += 1;
        counts[at][1] += usize::from(usable);
        counts[at][2] += usize::from(outcome.failed());
        usable
    });
    let told = MIX.iter().zip(counts).map(|((name, ..), [of, usable, failed])| {
        let percent = |count: usize| 100.0 * count as f64 / of.max(1) as f64;
        format!("{name}: {:.0}% usable, {:.0}% shown to fail", percent(usable), percent(failed))
    });
    let note = told.collect::<Vec<_>>().join("; ");
    Row { what: "usable verdicts, short form, n = 50".to_owned(), runs, rate, bound: Bound::AtLeast(0.8), note }
}

/// A pull request that makes the flow worse by so many parts of the scale.
pub(crate) fn pull_request(worse: f64, random: &mut Random, run: u64) -> Outcomes {
    let right = 0.82 + 0.15 * random.unit();
    let grounded = 4.1 + 0.6 * random.unit();
    let lucky = 0.15_f64.min(2.0 * (1.0 - right));
    let metrics = vec![
        Measured { name: "exact_match", kind: Kind::YesNo { sure: right - lucky / 2.0, lucky }, drop: worse },
        Measured {
            name: "groundedness",
            kind: Kind::Steps { mean: grounded, between: 0.5, within: 0.5 },
            drop: worse * 4.0,
        },
    ];
    let errors = if random.unit() < 0.2 { 0.005 } else { 0.0 };
    let world = World { errors, ..World::new(50, metrics) };
    decide(&world.policy(SHORT), &world.evidence(random), run)
}
