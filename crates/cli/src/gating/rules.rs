//! Rules as they are given: a file, flags, or both.

use std::sync::Arc;

use sluicegate_gate::Policy;
use sluicegate_gate::policy::{Known, Reading, Sections, read, read_flags};
use sluicegate_source::{Problem, SourceFile};

/// The policy of an evaluation file and of `--gate` flags. A flag's rule replaces the file's of the same name, others are
/// added; `strict` and `errors <= …` count over the file. Without a file the flags are all there is.
///
/// # Errors
/// Every problem of both.
pub(crate) fn policy_of(
    file: Option<(&Arc<SourceFile>, Sections<'_>)>,
    flags: &[String],
    known: Known<'_>,
) -> Result<Reading, Vec<Problem>> {
    let Some((file, sections)) = file else { return read_flags(flags, known) };
    let mut reading = read(file, sections, known)?;
    if flags.is_empty() {
        return Ok(reading);
    }
    let Reading { policy: given, warnings } = read_flags(flags, known)?;
    let policy = &mut reading.policy;
    let unsaid = Policy::default();
    for rule in given.rules {
        match policy.rules.iter_mut().find(|written| written.id == rule.id) {
            Some(written) => *written = rule,
            None => policy.rules.push(rule),
        }
    }
    if given.errors != unsaid.errors {
        policy.errors = given.errors;
    }
    if given.inconclusive != unsaid.inconclusive {
        policy.inconclusive = given.inconclusive;
    }
    reading.warnings.extend(warnings);
    Ok(reading)
}
