//! Replies that are kept from one run to the next: the flags for them, and the cache and cassette that they open.

use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_executor::{Cache, KeptReplies};
use sluicegate_flow::plan::Plan;
use sluicegate_store::{CacheMode, Cassette, ReplyCache, Store};

use crate::commands::runs::store_error;
use crate::error::CliError;
use crate::session::Session;

/// Where replies come from and go to.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct KeptArgs {
    /// Which replies of earlier runs are used: those of nodes with `cache: true` only, or of all but those with
    /// `cache: false` (on: read and write)
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(crate) cache: CacheUse,

    /// Keep all replies in this folder, to be replayed without an endpoint
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,

    /// Take all replies from this folder: no key, no network
    #[arg(long, value_name = "DIR")]
    pub(crate) replay: Option<PathBuf>,
}

/// Which replies of earlier runs are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CacheUse {
    /// Those of nodes with `cache: true`
    #[default]
    Nodes,
    /// None
    Off,
    /// Of all nodes, and nothing new is kept
    Read,
    /// None, but all replies are kept
    Write,
    /// Of all nodes, and all replies are kept
    On,
}

/// The cache and the cassette of a run.
pub(crate) struct Keepers {
    cache: Option<(Arc<ReplyCache>, bool)>,
    cassette: Option<Arc<Cassette>>,
}

impl Keepers {
    /// Opens what was asked for. Without a store there is no cache, and none is opened that no node of the plan uses.
    pub(crate) fn open(
        session: &Session,
        store: Option<&Store>,
        args: &KeptArgs,
        plan: &Plan,
    ) -> Result<Self, CliError> {
        let mode = match args.cache {
            CacheUse::Off => None,
            CacheUse::Nodes => has_cached_nodes(plan).then_some((CacheMode::On, false)),
            CacheUse::Read => Some((CacheMode::Read, true)),
            CacheUse::Write => Some((CacheMode::Write, true)),
            CacheUse::On => Some((CacheMode::On, true)),
        };
        let cache = mode.zip(store).map(|((mode, all), store)| (Arc::new(store.reply_cache(mode)), all));
        let cassette = match (&args.record, &args.replay) {
            (Some(folder), _) => Some(Cassette::record(session.directory().join(folder))),
            (None, Some(folder)) => Some(Cassette::replay(session.directory().join(folder))),
            (None, None) => None,
        };
        let cassette = cassette.transpose().map_err(store_error)?.map(Arc::new);
        Ok(Self { cache, cassette })
    }

    /// The same, as the engine takes them.
    pub(crate) fn replies(&self) -> KeptReplies {
        KeptReplies {
            cassette: self.cassette.clone().map(|cassette| cassette as _),
            cache: self.cache.clone().map(|(cache, of_all_nodes)| Cache { keeper: cache, of_all_nodes }),
        }
    }

    /// Ends both, and says what could not be kept.
    pub(crate) fn close(self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some((cache, _)) = self.cache {
            cache.flush();
            warnings.extend(cache.warnings());
        }
        if let Some(cassette) = self.cassette
            && let Err(error) = cassette.close()
        {
            warnings.push(error.to_string());
        }
        warnings
    }
}

/// Whether a node of the plan, or of one inside it, asks for the cache.
fn has_cached_nodes(plan: &Plan) -> bool {
    plan.nodes
        .iter()
        .any(|node| node.cache == Some(true) || node.kind.inner().is_some_and(|inner| has_cached_nodes(inner)))
}
