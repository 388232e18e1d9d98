//! How a batch works, beside which lines it has: remembered, so that a resume goes on in the same manner.

use std::path::{Path, PathBuf};

use sluicegate_executor::batch::MaxFailures;
use sluicegate_value::{Map, Value};

use crate::keepers::{CacheUse, KeptArgs};

/// How a batch works. What is `None` is not asked for.
///
/// A resume without a word about it keeps the budget, the allowed failures, the place of the outputs and the rest as they
/// were: an interrupted batch must not lose its cap, nor ask an endpoint where it only replayed. (`--timeout` is the time
/// of one process, so it is not among them.)
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) concurrency: Option<u32>,
    /// As it was written: `10m`, or `none`.
    pub(crate) line_timeout: Option<String>,
    pub(crate) max_failures: Option<MaxFailures>,
    pub(crate) fail_fast: bool,
    pub(crate) budget: Option<f64>,
    pub(crate) assume_tokens: Option<u64>,
    /// How many calls go into a batch of the provider; 0: they do not.
    pub(crate) provider_batch: Option<u32>,
    /// Where outputs go: a folder, absolute, or `-`.
    pub(crate) output: Option<String>,
    /// Where prompt flow's run folder goes, absolute.
    pub(crate) run_folder: Option<String>,
    /// Cache and cassette; folders are absolute.
    pub(crate) kept: KeptArgs,
}

impl Manner {
    /// What a run remembers of it.
    pub(crate) fn remembered(&self) -> Map {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let cache = CACHE_WORDS.iter().find(|(cache, _)| *cache == self.kept.cache).map(|(_, word)| *word);
        let all = Map::from([
            ("concurrency", Value::from(self.concurrency.map(u64::from))),
            ("line_timeout", Value::from(self.line_timeout.as_deref())),
            ("max_failures", Value::from(self.max_failures.map(|most| most.to_string()))),
            ("fail_fast", Value::from(self.fail_fast.then_some(true))),
            ("budget", Value::from(self.budget)),
            ("assume_tokens", Value::from(self.assume_tokens)),
            ("provider_batch", Value::from(self.provider_batch.map(u64::from))),
            ("output", Value::from(self.output.as_deref())),
            ("run_folder", Value::from(self.run_folder.as_deref())),
            ("cache", Value::from(cache)),
            ("record", Value::from(path(&self.kept.record))),
            ("replay", Value::from(path(&self.kept.replay))),
        ]);
        all.iter()
            .filter(|(_, value)| !matches!(value, Value::Null))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// This, and where it says nothing what a run remembers.
    pub(crate) fn or_as(self, then: &Map) -> Self {
        let text = |name: &str| then.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let whole = |name: &str| match then.get(name) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let budget = match then.get("budget") {
            Some(Value::Float(most)) => Some(*most),
            Some(Value::Int(most)) => Some(*most as f64),
            _ => None,
        };
        let cache = CACHE_WORDS.iter().find(|(_, word)| text("cache").as_deref() == Some(*word));
        let (record, replay) = match (&self.kept.record, &self.kept.replay) {
            (None, None) => (text("record").map(PathBuf::from), text("replay").map(PathBuf::from)),
            _ => (self.kept.record, self.kept.replay),
        };
        Self {
            concurrency: self.concurrency.or(whole("concurrency").and_then(|limit| u32::try_from(limit).ok())),
            line_timeout: self.line_timeout.or(text("line_timeout")),
            max_failures: self.max_failures.or(text("max_failures").and_then(|most| most.parse().ok())),
            fail_fast: self.fail_fast || matches!(then.get("fail_fast"), Some(Value::Bool(true))),
            // `none` is infinite, and nothing to remember.
            budget: self.budget.or(budget).filter(|most| most.is_finite()),
            assume_tokens: self.assume_tokens.or(whole("assume_tokens")),
            provider_batch: self.provider_batch.or(whole("provider_batch").and_then(|size| u32::try_from(size).ok())),
            output: self.output.or(text("output")),
            run_folder: self.run_folder.or(text("run_folder")),
            kept: KeptArgs {
                cache: match (self.kept.cache, cache) {
                    (CacheUse::Nodes, Some((cache, _))) => *cache,
                    (cache, _) => cache,
                },
                record,
                replay,
            },
        }
    }
}

/// The same, its folders absolute.
pub(crate) fn below(directory: &Path, kept: &KeptArgs) -> KeptArgs {
    let absolute = |folder: &Option<PathBuf>| folder.as_ref().map(|folder| directory.join(folder));
    KeptArgs { cache: kept.cache, record: absolute(&kept.record), replay: absolute(&kept.replay) }
}

/// Without the usual one, which is not worth a word.
const CACHE_WORDS: [(CacheUse, &str); 4] =
    [(CacheUse::Off, "off"), (CacheUse::Read, "read"), (CacheUse::Write, "write"), (CacheUse::On, "on")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_goes_on_in_the_same_manner_unless_told_otherwise() {
        let then = Manner {
            concurrency: Some(8),
            line_timeout: Some("30s".to_owned()),
            max_failures: Some(MaxFailures::Percent(2.5)),
            fail_fast: true,
            budget: Some(5.0),
            assume_tokens: Some(100),
            provider_batch: Some(5000),
            output: Some("/out".to_owned()),
            run_folder: Some("/flow/run".to_owned()),
            kept: KeptArgs { cache: CacheUse::On, record: None, replay: Some("/tape".into()) },
        };
        let same = Manner::default().or_as(&then.remembered());
        assert_eq!(format!("{same:?}"), format!("{then:?}"));
        let otherwise = Manner { budget: Some(10.0), output: Some("-".to_owned()), ..Manner::default() };
        let otherwise = otherwise.or_as(&then.remembered());
        assert_eq!((otherwise.budget, otherwise.output.as_deref()), (Some(10.0), Some("-")));
        assert_eq!(otherwise.concurrency, Some(8));
        assert!(Manner::default().remembered().is_empty());
    }
}
