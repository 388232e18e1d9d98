//! The chance of a false alarm, shared among looks and rules.

use std::cell::RefCell;

use crate::Policy;
use crate::policy::SpendingMethod;
use crate::statistics::{AlphaSpending, equal_looks, group_sequential};

/// The error that a test may have at this look if the share `of_alpha` of the policy's alpha is spent on it over all looks;
/// with one look that share itself.
///
/// Several rules divide what is spent over all looks, not what is left of it at one of them: the first looks get far less
/// than their part then, the last ones a little less (Maurer and Bretz 2013).
pub(crate) fn level_at_look(policy: &Policy, look: Option<[u32; 2]>, of_alpha: f64) -> f64 {
    let alpha = policy.alpha * of_alpha;
    let (Some([at, of]), Some(sequential)) = (look, &policy.sequential) else { return alpha };
    if at == 1 && of == 1 {
        return alpha;
    }
    let spending = match sequential.method {
        SpendingMethod::ObrienFleming => AlphaSpending::ObrienFleming,
        SpendingMethod::Pocock => AlphaSpending::Pocock,
    };
    let found = (at as usize).checked_sub(1).and_then(|place| levels(of, alpha, spending)?.get(place).copied());
    // A look that is none of those that were planned may decide next to nothing.
    found.unwrap_or(0.0).max(1e-12)
}

/// What was computed before, newest last: which looks, at which alpha, and the level at each.
type Known = Vec<((u32, u64, AlphaSpending), Vec<f64>)>;

/// How many of them are kept.
const MOST: usize = 64;

thread_local! {
    /// Integrals that every rule asks for again.
    static KNOWN: RefCell<Known> = const { RefCell::new(Vec::new()) };
}

/// The level at each of so many looks at equal distances; `None` if there is none.
fn levels(looks: u32, alpha: f64, spending: AlphaSpending) -> Option<Vec<f64>> {
    let key = (looks, alpha.to_bits(), spending);
    let before =
        KNOWN.with_borrow(|known| known.iter().find(|(other, _)| *other == key).map(|(_, levels)| levels.clone()));
    if before.is_some() {
        return before;
    }
    let found = group_sequential(&equal_looks(looks as usize), alpha, spending).ok()?;
    let found: Vec<f64> = found.into_iter().map(|look| look.nominal_alpha).collect();
    KNOWN.with_borrow_mut(|known| {
        if known.len() == MOST {
            known.remove(0);
        }
        known.push((key, found.clone()));
    });
    Some(found)
}
