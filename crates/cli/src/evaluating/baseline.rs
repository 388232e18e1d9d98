//! What an evaluation is compared with.

use std::path::{Path, PathBuf};

use sluicegate_config::Project;
use sluicegate_gate::policy::BaselineSource;
use sluicegate_gate::{BaselineInfo, BaselineKind, Hashes, Policy, Receipt, Verdict};
use sluicegate_value::{Map, Value};

use super::Git;
use super::record::{PARTS, folder_of_all, write_whole};
use crate::error::CliError;
use crate::gating::{is_receipt, read_receipt};
use crate::session::Session;

/// What an evaluation is compared with, if it is.
#[derive(Default)]
pub(crate) struct Baseline {
    pub(crate) info: BaselineInfo,
    pub(crate) receipt: Option<Receipt>,
    /// An earlier batch, to be scored as the candidate is.
    pub(crate) run: Option<String>,
    /// Where the receipt was found, as people call it.
    pub(crate) found_at: Option<String>,
}

/// Where an evaluation keeps the receipt that it is compared with.
const KEPT: &str = "baseline.json";

const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// Whose baseline is looked for.
pub(crate) struct Seeker<'a> {
    pub(crate) project: &'a Project,
    pub(crate) policy: &'a Policy,
    pub(crate) flow: &'a str,
    pub(crate) environment: Option<&'a str>,
    pub(crate) hashes: &'a Hashes,
}

impl Baseline {
    /// What was asked for; else what the policy says: the receipt of the merge base, or the newest one that did not block.
    pub(crate) fn choose(session: &Session, seeker: &Seeker<'_>, asked: Option<&str>) -> Result<Self, CliError> {
        if let Some(asked) = asked {
            return named(session, seeker, asked);
        }
        let git = Git::at(&seeker.project.root);
        let wanted = match &seeker.policy.baseline.from {
            BaselineSource::None => return Ok(Self::default()),
            BaselineSource::Named(name) if is_receipt(session, name) || seeker.project.resolve(name).is_file() => {
                let path = seeker.project.resolve(name);
                return of_receipt(seeker, read_receipt(session, &path)?, &path, BaselineKind::NamedReceipt);
            }
            BaselineSource::Named(name) => match git.commit(name) {
                Some(commit) => Some(commit),
                None => {
                    let note = format!("`{name}` is no receipt, and no commit that is known here");
                    return Ok(Self { info: BaselineInfo { note, ..BaselineInfo::default() }, ..Self::default() });
                }
            },
            BaselineSource::MergeBase => git.merge_base(session.variable("GITHUB_BASE_REF")),
        };
        let kept = kept_receipts(seeker);
        let mut newest = None;
        for file in kept {
            let Some(receipt) = fitting(seeker, &file) else { continue };
            if wanted.is_some() && receipt.about.commit == wanted {
                return of_receipt(seeker, receipt, &file, BaselineKind::MergeBaseReceipt);
            }
            newest.get_or_insert((receipt, file));
            if wanted.is_none() {
                break;
            }
        }
        let Some((receipt, file)) = newest else {
            let note = match wanted {
                Some(commit) => format!("no receipt of {} is kept here", short(&commit)),
                None => "no earlier receipt is kept here".to_owned(),
            };
            return Ok(Self { info: BaselineInfo { note, ..BaselineInfo::default() }, ..Self::default() });
        };
        let mut chosen = of_receipt(seeker, receipt, &file, BaselineKind::NamedReceipt)?;
        chosen.info.note = match wanted {
            Some(commit) => {
                format!("no receipt of {} is kept here: compared with the newest that passed", short(&commit))
            }
            None => "compared with the newest receipt that passed here".to_owned(),
        };
        Ok(chosen)
    }

    /// Whether there is something to compare with, of the same kind in all that the policy asks to be equal.
    pub(crate) fn is_comparable(&self, policy: &Policy) -> bool {
        let matters = |part: &String| part != "data" && policy.baseline.compatible_on.contains(part);
        (self.receipt.is_some() || self.run.is_some()) && !self.info.changed.iter().any(matters)
    }

    /// What a resume is compared with: the same. The receipt is kept beside, whatever becomes of its own file.
    pub(crate) fn keep(&self, folder: &Path) -> Result<Map, CliError> {
        if let Some(receipt) = &self.receipt {
            write_whole(&folder.join(KEPT), &receipt.to_json())?;
        }
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.info.kind).map(|(_, word)| *word);
        Ok(Map::from([
            ("kind", Value::from(kind)),
            ("note", self.info.note.as_str().into()),
            ("run", self.run.as_deref().into()),
            ("found_at", self.found_at.as_deref().into()),
            ("receipt", self.receipt.is_some().into()),
        ]))
    }

    /// The same again.
    pub(crate) fn kept(session: &Session, seeker: &Seeker<'_>, map: &Map, folder: &Path) -> Result<Self, CliError> {
        let text = |name: &str| map.get(name).and_then(Value::as_str);
        let kind = KINDS.iter().find(|(_, word)| text("kind") == Some(*word)).map(|(kind, _)| *kind);
        let mut chosen = match map.get("receipt") {
            Some(Value::Bool(true)) => {
                let path = folder.join(KEPT);
                of_receipt(seeker, read_receipt(session, &path)?, &path, kind.unwrap_or_default())?
            }
            _ => Self::default(),
        };
        chosen.info.kind = kind.unwrap_or_default();
        chosen.info.note = text("note").unwrap_or_default().to_owned();
        chosen.run = text("run").map(ToOwned::to_owned);
        chosen.found_at = text("found_at").map(ToOwned::to_owned);
        Ok(chosen)
    }
}

const KINDS: [(BaselineKind, &str); 4] = [
    (BaselineKind::None, "none"),
    (BaselineKind::MergeBaseReceipt, "merge_base_receipt"),
    (BaselineKind::NamedReceipt, "named_receipt"),
    (BaselineKind::BothArms, "both_arms"),
];

fn named(session: &Session, seeker: &Seeker<'_>, asked: &str) -> Result<Baseline, CliError> {
    if asked == "none" {
        return Ok(Baseline::default());
    }
    if is_receipt(session, asked) {
        let path = session.directory().join(asked);
        return of_receipt(seeker, read_receipt(session, &path)?, &path, BaselineKind::NamedReceipt);
    }
    let of_evaluation = folder_of_all(seeker.project).join(asked).join("receipt.json");
    if of_evaluation.is_file() {
        return of_receipt(seeker, read_receipt(session, &of_evaluation)?, &of_evaluation, BaselineKind::NamedReceipt);
    }
    let run = super::Earlier::find(session, asked).map_err(|_| {
        CliError::misused(format!("`{asked}` is no receipt, no evaluation and no batch"))
            .hint("write --baseline RECEIPT, the id of an evaluation or of a batch, or none")
    })?;
    let info = BaselineInfo {
        kind: BaselineKind::NamedReceipt,
        note: "an earlier batch, scored as the candidate is".to_owned(),
        ..BaselineInfo::default()
    };
    Ok(Baseline { info, run: Some(run.run.to_string()), ..Baseline::default() })
}

fn of_receipt(seeker: &Seeker<'_>, receipt: Receipt, path: &Path, kind: BaselineKind) -> Result<Baseline, CliError> {
    if receipt.computed_hash() != receipt.decision_hash {
        return Err(CliError::misused(format!("receipt `{}` was changed after it was written", path.display()))
            .hint("`sluicegate gate explain` says more; choose another one by --baseline"));
    }
    let compatible_on = &seeker.policy.baseline.compatible_on;
    let changed = receipt.decision.hashes.differences(seeker.hashes);
    // Other rules are no obstacle: both arms are judged by the same ones now.
    let changed =
        changed.into_iter().map(str::to_owned).filter(|part| part != "policy" || compatible_on.contains(part));
    let info = BaselineInfo {
        kind,
        commit: receipt.about.commit.clone(),
        changed: changed.collect(),
        ..BaselineInfo::default()
    };
    let found_at = Some(seeker.project.display_name(path));
    Ok(Baseline { info, receipt: Some(receipt), run: None, found_at })
}

/// Receipts that are kept in the project, the newest first.
fn kept_receipts(seeker: &Seeker<'_>) -> Vec<PathBuf> {
    let children =
        |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let evaluations: Vec<PathBuf> = children(folder_of_all(seeker.project)).collect();
    let parts = evaluations.iter().flat_map(|folder| children(folder.join(PARTS)));
    let of_evaluations = evaluations.iter().cloned().chain(parts).map(|folder| folder.join("receipt.json"));
    let by_commit = children(seeker.project.state_folder().join("receipts"));
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = of_evaluations
        .chain(by_commit)
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|file| Some((std::fs::metadata(&file).ok()?.modified().ok()?, file)))
        .collect();
    files.sort();
    files.into_iter().rev().map(|(_, file)| file).collect()
}

/// The receipt of a file, if it is of the same flow and environment, whole, young, passed, and can be compared with.
fn fitting(seeker: &Seeker<'_>, file: &Path) -> Option<Receipt> {
    let receipt = Receipt::from_json(&std::fs::read_to_string(file).ok()?).ok()?;
    let decision = &receipt.decision;
    let is_same = decision.flow == seeker.flow && decision.environment.as_deref() == seeker.environment;
    let passed = !decision.blocks && !matches!(decision.verdict, Verdict::Invalid | Verdict::Aborted);
    let changed = decision.hashes.differences(seeker.hashes);
    let compatible_on = &seeker.policy.baseline.compatible_on;
    let is_comparable = !changed.iter().any(|part| *part != "data" && compatible_on.iter().any(|on| on == part));
    let is_young =
        age_seconds(&receipt).is_none_or(|age| age <= seeker.policy.baseline.max_age_days * SECONDS_OF_A_DAY);
    let is_whole = receipt.evidence.is_some() && receipt.computed_hash() == receipt.decision_hash;
    (is_same && passed && is_comparable && is_young && is_whole).then_some(receipt)
}

/// How old a receipt is.
pub(crate) fn age_seconds(receipt: &Receipt) -> Option<f64> {
    let at: jiff::Timestamp = receipt.about.at.as_deref()?.parse().ok()?;
    Some(jiff::Timestamp::now().duration_since(at).as_secs_f64())
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
