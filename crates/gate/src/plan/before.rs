//! Before a comparison is paid for: would it see a drop of its margin?

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::planning::{CHANGED, plain, tested};
use super::{POWER, Spread};
use crate::judge::levels::level_at_look;
use crate::judge::next_look;
use crate::judge::table::Table;
use crate::statistics::{
    MOST_CASES, clustered_mean, mcnemar_cases_for_power, mcnemar_power, mean_with_error, normal_cdf,
    student_t_quantile, variance_split,
};
use crate::{Adjust, Check, Evidence, Metric, Policy, Rule};

/// No plan proposes more repeats of each case than this.
const MOST_REPEATS: u32 = 20;

/// What one comparison with the baseline can see. Drops are shares of the metric's scale.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PowerLine {
    /// The rule's name.
    pub rule: String,
    /// Over how many cases it will go.
    pub cases: u64,
    /// How often each is answered.
    pub repeats: u32,
    /// The drop that still counts as equally good.
    pub margin: f64,
    /// The smallest drop that is seen with the power wanted; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// The chance to see a drop of the margin.
    pub power: f64,
    /// The chance that is wanted: `require_power`, or [`POWER`].
    pub wanted: f64,
    /// Whether the rule itself demands it (`require_power`).
    pub required: bool,
    /// How many cases it takes in all to see a drop of the margin; `None` if no number does, or if these suffice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases_needed: Option<u64>,
    /// How many repeats of each case do instead; `None` where that is not known, or no number does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_needed: Option<u32>,
    /// Where the spread comes from.
    pub spread: Spread,
    /// One sentence for people.
    pub words: String,
}

impl PowerLine {
    /// Whether a drop of the margin is seen with the power wanted.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.power >= self.wanted
    }

    /// Whether nothing may be spent: the rule requires a power that so few cases do not have.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.required && !self.suffices()
    }
}

/// What each comparison of a policy (`no_regression`, `against: baseline`) can see, before anything is paid for.
///
/// The spread is that of the baseline's evidence: of the paired differences to *its* baseline where it has one, for those are
/// what a version changes; else of its repeats, for luck alone makes as much difference. Without either, one answer in ten is
/// assumed to change. The chance of a false alarm is what is left for one rule of those that are tested, at the last of the
/// looks. A caller warns with [`PowerLine::words`] where a line does not [suffice](PowerLine::suffices), and stops where it
/// [refuses](PowerLine::refuses).
#[must_use]
pub fn before_spending(policy: &Policy, baseline: Option<&Evidence>, cases: u64, repeats: u32) -> Vec<PowerLine> {
    let looks = policy.sequential.as_ref().map_or(1, |_| next_look(policy, cases as usize).len() as u32);
    let shared = if policy.adjust == Adjust::None { 1.0 } else { 1.0 / tested(policy) as f64 };
    let alpha = level_at_look(policy, Some([looks, looks]), shared);
    let line = |rule: &Rule| {
        let Check::NoRegression { metric, margin, require_power, .. } = &rule.check else { return None };
        let metric = baseline.and_then(|evidence| evidence.metrics.iter().find(|known| known.name == *metric));
        let measured = baseline.zip(metric).and_then(|(evidence, metric)| Differences::of(evidence, metric, rule));
        let asked = Asked {
            cases: chosen(cases, baseline, rule),
            repeats: repeats.max(1),
            margin: *margin,
            wanted: require_power.unwrap_or(POWER),
            alpha,
        };
        Some(asked.line(
            rule,
            metric,
            measured.unwrap_or_else(|| Differences::assumed(metric)),
            require_power.is_some(),
        ))
    };
    policy.rules.iter().filter_map(line).collect()
}

/// As many of the cases as a rule's `where` chose in the baseline.
fn chosen(cases: u64, baseline: Option<&Evidence>, rule: &Rule) -> u64 {
    let share = baseline.zip(rule.only.as_ref()).and_then(|(evidence, only)| {
        let all = Table::of(&evidence.candidate).len();
        let chosen = evidence.selections.get(only)?.len();
        (all > 0).then(|| (chosen as f64 / all as f64).min(1.0))
    });
    (cases as f64 * share.unwrap_or(1.0)).round() as u64
}

/// How paired differences of one case spread, in shares of the scale.
#[derive(Clone, Copy, Debug)]
struct Differences {
    /// Their variance with the repeats that were measured.
    variance: f64,
    /// What of it repeats make smaller, with one answer in each arm; `None` where that is not known.
    luck: Option<f64>,
    /// With how many answers in each arm it was measured.
    repeats: f64,
    /// Whether each difference is of two single draws of yes or no, so that their number decides.
    single_draws: bool,
    /// Whether they are those of one version with itself, in yes and no: the cases that a drop changes come on top.
    of_luck_alone: bool,
    /// How many cases are independent of one another, as a share of all: 1 without clusters.
    independent: f64,
    spread: Spread,
}

impl Differences {
    fn assumed(metric: Option<&Metric>) -> Self {
        let single_draws = metric.is_some_and(|metric| metric.boolean);
        let (variance, spread) = (CHANGED, Spread::Assumed);
        Self { variance, luck: None, repeats: 1.0, single_draws, of_luck_alone: false, independent: 1.0, spread }
    }

    fn of(evidence: &Evidence, metric: &Metric, rule: &Rule) -> Option<Self> {
        let width = metric.width().filter(|width| *width > 0.0)?;
        let now = Table::of(&evidence.candidate);
        let before = evidence.baseline.as_ref().map(Table::of);
        let chosen = rule.only.as_ref().and_then(|only| evidence.selections.get(only));
        let (mut differences, mut clusters, mut scores, mut single_draws) = (Vec::new(), Vec::new(), Vec::new(), true);
        for (key, row) in now.rows().filter(|(key, _)| chosen.is_none_or(|chosen| chosen.contains(key))) {
            let Some(mean) = row.mean(&metric.name) else { continue };
            let answers = row.by_answer(&metric.name);
            single_draws &= answers.iter().map(Vec::len).sum::<usize>() == 1;
            scores.push(answers);
            if let Some(was) = before.as_ref().and_then(|before| before.row(key)?.mean(&metric.name)) {
                differences.push((mean - was) / width);
                clusters.push(row.cluster().unwrap_or(key.as_str()));
            }
        }
        let split = variance_split(&scores).ok();
        let luck = split.and_then(|split| {
            let readings = split.scores as f64 / split.answers as f64;
            let of_one_answer = split.target? + split.judge.unwrap_or(0.0) / readings;
            Some(2.0 * of_one_answer / (width * width))
        });
        let cases = scores.len().max(1) as f64;
        let repeats = scores.iter().map(Vec::len).sum::<usize>() as f64 / cases;
        let n = differences.len() as f64;
        let independent = match now.has_clusters() && !clusters.is_empty() {
            true => clusters.iter().collect::<BTreeSet<_>>().len() as f64 / n,
            false => 1.0,
        };
        let single_draws = single_draws && metric.boolean && !now.has_clusters();
        let (of_luck_alone, spread) = (false, Spread::Measured);
        let measured = Self { variance: 0.0, luck, repeats, single_draws, of_luck_alone, independent, spread };
        if differences.len() < 2 {
            let luck = luck.filter(|luck| *luck > 0.0)?;
            let variance = luck / repeats;
            let of_luck_alone = metric.boolean;
            return Some(Self { variance, luck: Some(luck), single_draws: false, of_luck_alone, ..measured });
        }
        if single_draws {
            // One more than were seen: that none changed does not mean that none will.
            let changed = differences.iter().filter(|difference| **difference != 0.0).count() as f64;
            let variance = (changed + 1.0) / (n + 2.0);
            return Some(Self { variance, ..measured });
        }
        let deviation = mean_with_error(&differences).ok()?.standard_deviation.filter(|deviation| *deviation > 0.0)?;
        let effect = match now.has_clusters() {
            true => clustered_mean(&differences, &clusters).ok()?.design_effect,
            false => None,
        };
        let variance = deviation * deviation * effect.unwrap_or(1.0).max(1.0);
        Some(Self { variance, ..measured })
    }

    /// Their variance with so many answers to each case in each arm; `None` where it is not known what repeats change.
    fn with_repeats(&self, repeats: u32) -> Option<f64> {
        let (before, now) = (self.repeats, f64::from(repeats));
        if (before - now).abs() < 1e-9 {
            return Some(self.variance);
        }
        let luck = self.luck?;
        Some((self.variance - luck / before).max(0.0) + luck / now)
    }
}

struct Asked {
    cases: u64,
    repeats: u32,
    margin: f64,
    wanted: f64,
    alpha: f64,
}

impl Asked {
    fn line(&self, rule: &Rule, metric: Option<&Metric>, differences: Differences, required: bool) -> PowerLine {
        let power = self.power(&differences, self.margin, self.cases, self.repeats);
        let mut line = PowerLine {
            rule: rule.id.clone(),
            cases: self.cases,
            repeats: self.repeats,
            margin: self.margin,
            detectable: self.detectable(&differences),
            power,
            wanted: self.wanted,
            required,
            spread: differences.spread,
            ..PowerLine::default()
        };
        if !line.suffices() {
            line.cases_needed = self.cases_needed(&differences);
            let enough = |repeats: &u32| {
                differences.with_repeats(*repeats).is_some()
                    && self.power(&differences, self.margin, self.cases, *repeats) >= self.wanted
            };
            line.repeats_needed = (self.repeats + 1..=MOST_REPEATS).find(enough);
        }
        line.words = self.words(&line, metric);
        line
    }

    /// Whether exact counts of cases that changed decide, and what share of cases changes if there is such a drop.
    fn changed(&self, differences: &Differences, drop: f64, repeats: u32) -> Option<f64> {
        let counted = differences.single_draws && repeats == 1 && !differences.of_luck_alone;
        counted.then(|| differences.variance.max(drop).min(1.0))
    }

    fn deviation(&self, differences: &Differences, drop: f64, repeats: u32) -> f64 {
        let variance = differences.with_repeats(repeats).unwrap_or(differences.variance);
        // A drop of cases that were right needs cases that change, too.
        let on_top = if differences.of_luck_alone { drop * (1.0 - drop) } else { 0.0 };
        (variance + on_top).sqrt()
    }

    /// The chance to see a drop.
    fn power(&self, differences: &Differences, drop: f64, cases: u64, repeats: u32) -> f64 {
        match self.changed(differences, drop, repeats) {
            Some(changed) => mcnemar_power(cases as usize, changed, drop.min(changed), self.alpha).unwrap_or(0.0),
            None => self.power_of_t(differences, drop, cases, repeats).unwrap_or(0.0),
        }
    }

    /// The power of a one-sided t test, by the normal approximation of the noncentral t.
    fn power_of_t(&self, differences: &Differences, drop: f64, cases: u64, repeats: u32) -> Option<f64> {
        let freedom = (cases as f64 * differences.independent - 1.0).floor();
        if freedom < 1.0 {
            return None;
        }
        let t = student_t_quantile(1.0 - self.alpha, freedom).ok()?;
        let deviation = self.deviation(differences, drop, repeats);
        let shift = drop * (cases as f64).sqrt() / deviation;
        let power = normal_cdf((shift - t) / (1.0 + t * t / (2.0 * freedom)).sqrt());
        (!power.is_nan()).then_some(power)
    }

    fn detectable(&self, differences: &Differences) -> Option<f64> {
        let seen = |drop: f64| self.power(differences, drop, self.cases, self.repeats) >= self.wanted;
        seen(1.0).then(|| {
            let (mut unseen, mut known) = (0.0, 1.0);
            while known - unseen > 1e-4 {
                let middle = f64::midpoint(unseen, known);
                if seen(middle) { known = middle } else { unseen = middle }
            }
            known
        })
    }

    fn cases_needed(&self, differences: &Differences) -> Option<u64> {
        if let Some(changed) = self.changed(differences, self.margin, self.repeats) {
            let found = mcnemar_cases_for_power(changed, self.margin.min(changed), self.alpha, self.wanted);
            return found.ok().map(|cases| cases as u64).filter(|cases| *cases > self.cases);
        }
        let enough = |cases: u64| {
            self.power_of_t(differences, self.margin, cases, self.repeats).is_some_and(|power| power >= self.wanted)
        };
        let (mut failing, mut passing) = (self.cases, self.cases.max(1));
        while !enough(passing) {
            failing = passing;
            passing = passing.checked_mul(2).filter(|cases| *cases <= MOST_CASES as u64)?;
        }
        while passing - failing > 1 {
            let middle = failing + (passing - failing) / 2;
            if enough(middle) { passing = middle } else { failing = middle }
        }
        Some(passing).filter(|cases| *cases > self.cases)
    }

    fn words(&self, line: &PowerLine, metric: Option<&Metric>) -> String {
        let drop = |share: f64| match metric.and_then(Metric::width).filter(|width| (*width - 1.0).abs() > 1e-9) {
            Some(width) => format!("drop of {}", plain(share * width)),
            None => format!("{}-point drop", plain((share * 1e3).round() / 10.0)),
        };
        let with = match line.repeats {
            1 => format!("{} cases", line.cases),
            repeats => format!("{} cases of {repeats} repeats", line.cases),
        };
        let mut words = if line.suffices() {
            format!(
                "this gate sees a {} with {with} (power {})",
                drop(line.margin),
                plain((line.power * 100.0).round() / 100.0)
            )
        } else {
            format!("this gate cannot see a {} with {with}", drop(line.margin))
        };
        if !line.suffices() {
            words.push_str(&match (line.cases_needed, line.repeats_needed) {
                (Some(cases), Some(repeats)) => format!("; needs {cases} cases or {repeats} repeats"),
                (Some(cases), None) => format!("; needs {cases} cases"),
                (None, Some(repeats)) => format!("; needs {repeats} repeats"),
                (None, None) => "; no number of cases would do".to_owned(),
            });
            if let Some(detectable) = line.detectable {
                words.push_str(&format!("; what it sees is a {}", drop(detectable)));
            }
        }
        if line.required && !line.suffices() {
            let power = plain((line.power * 100.0).round() / 100.0);
            words.push_str(&format!("; the rule requires a power of {}, and it is {power}", plain(line.wanted)));
        }
        if line.spread == Spread::Assumed {
            words.push_str(", assuming that one answer in ten changes");
        }
        words
    }
}
