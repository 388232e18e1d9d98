//! A decision made again from what its receipt kept: no model is asked.

use sluicegate_source::{Problem, SourceFile, yaml};

use crate::judge::{Facts, judge};
use crate::policy::{self, Known, Policy, Sections};
use crate::{Decision, Receipt, Rule};

/// What came of making a decision again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The hash that the receipt's decision has now.
    pub computed_hash: String,
    /// Whether that is the hash which the receipt was written with: if not, somebody changed it since.
    pub hash_holds: bool,
    /// What the kept evidence and the kept policy come to.
    pub replayed: Replayed,
}

/// What the kept evidence and the kept policy come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The same decision.
    Same {
        /// At which look of how many, if it was one of several.
        look: Option<[u32; 2]>,
    },
    /// Another one; what differs, in words.
    Differs(Vec<String>),
    /// It cannot be made again; why not, in words.
    NotPossible(String),
}

impl Replay {
    /// Whether the receipt is what it says it is, as far as can be known.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.hash_holds && !matches!(self.replayed, Replayed::Differs(_))
    }
}

/// Makes a receipt's decision again.
#[must_use]
pub fn replay(receipt: &Receipt) -> Replay {
    let computed_hash = receipt.computed_hash();
    let hash_holds = computed_hash == receipt.decision_hash;
    Replay { replayed: replayed(receipt, &computed_hash), hash_holds, computed_hash }
}

fn replayed(receipt: &Receipt, wanted: &str) -> Replayed {
    if receipt.decision.unchanged {
        let why = "nothing was measured, it repeats what its baseline came to";
        return Replayed::NotPossible(why.to_owned());
    }
    let Some(evidence) = &receipt.evidence else {
        return Replayed::NotPossible("it keeps no evidence".to_owned());
    };
    let policy = match kept_policy(receipt) {
        Ok(policy) => policy,
        Err(problems) => {
            let first = problems.first().map_or_else(String::new, |problem| problem.message.clone());
            return Replayed::NotPossible(format!("its policy cannot be read: {first}"));
        }
    };
    let facts = kept_facts(receipt);
    let again = judge(&policy, evidence, &facts);
    if again.decision_hash == wanted {
        return Replayed::Same { look: facts.look };
    }
    Replayed::Differs(differences(&receipt.decision, &again.decision))
}

/// The policy that a receipt was judged by, its rules at the places where they were written.
///
/// # Errors
/// What stands there is no policy that this program reads.
pub fn kept_policy(receipt: &Receipt) -> Result<Policy, Vec<Problem>> {
    let decision = &receipt.decision;
    let file = SourceFile::new("the receipt's policy", decision.policy.to_string());
    let document = yaml::read(&file)?;
    let metrics = receipt.evidence.as_ref().map_or(&[][..], |evidence| &evidence.metrics);
    let known = Known { metrics, environment: decision.environment.as_deref(), ..Known::default() };
    let mut policy = policy::read(&file, Sections::of(&document.root), known)?.policy;
    let place = |rule: &Rule| decision.rules.iter().find(|judged| judged.id == rule.id)?.place.clone();
    policy.rules.iter_mut().for_each(|rule| rule.place = place(rule));
    Ok(policy)
}

/// What was known of an evaluation besides what was measured, as its receipt has it.
#[must_use]
pub fn kept_facts(receipt: &Receipt) -> Facts {
    let decision = &receipt.decision;
    Facts {
        flow: decision.flow.clone(),
        environment: decision.environment.clone(),
        hashes: decision.hashes.clone(),
        baseline: decision.baseline.clone(),
        about: receipt.about.clone(),
        // All rules of a receipt draw from one seed.
        seed: decision.rules.iter().find_map(|rule| rule.seed).unwrap_or_default(),
        resamples: None,
        look: decision.look,
    }
}

/// How many differences are told one by one.
const MOST: usize = 12;

fn differences(written: &Decision, again: &Decision) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, was: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
        let (was, now) = (was.to_string(), now.to_string());
        if was != now {
            found.push(format!("{what}: written {was}, judged again {now}"));
        }
    };
    differs("verdict", &written.verdict, &again.verdict);
    differs("exit code", &written.exit_code, &again.exit_code);
    differs("cases", &written.integrity.cases, &again.integrity.cases);
    differs("cases with every score", &written.integrity.scored, &again.integrity.scored);
    differs("number of rules", &written.rules.len(), &again.rules.len());
    for (was, now) in written.rules.iter().zip(&again.rules).filter(|(was, _)| !was.is_timed()) {
        let name = |part: &str| format!("rule `{}`, {part}", now.id);
        let number = |number: Option<f64>| number.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
        differs(&name("name"), &was.id, &now.id);
        differs(&name("verdict"), &was.verdict, &now.verdict);
        differs(&name("estimate"), &number(was.estimate), &number(now.estimate));
        differs(&name("lower bound"), &number(was.lower), &number(now.lower));
        differs(&name("upper bound"), &number(was.upper), &number(now.upper));
        differs(&name("demand"), &was.threshold, &now.threshold);
    }
    differs("cases that got worse", &written.regressions_total, &again.regressions_total);
    if found.is_empty() {
        found.push("numbers or texts of rules and cases".to_owned());
    }
    if found.len() > MOST {
        let more = found.len() - MOST;
        found.truncate(MOST);
        found.push(format!("and {more} more"));
    }
    found
}
