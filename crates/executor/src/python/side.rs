//! What all Python nodes of a program share: the pools, the tools that were loaded, who has which worker.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::{NodeId, NodeKind, Plan};
use sluicegate_python::{LineId, Pool, Pools};
use sluicegate_source::Problem;

use super::tools::NodeTool;
use super::world::{Place, World};

/// What all Python nodes of a program share.
pub struct PythonSide {
    pools: Pools,
    world: Arc<dyn World>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the plan's address; the plan is held, so that no other gets it.
    places: HashMap<usize, (Arc<Plan>, Arc<Workplace>)>,
    tools: HashMap<(usize, NodeId), Arc<NodeTool>>,
    /// What plans became when their tools were loaded.
    ready: HashMap<usize, (Arc<Plan>, BoundPlan)>,
    /// Which pool each worker belongs to that has given objects.
    workers: HashMap<Arc<str>, PoolName>,
    /// Pools that were used.
    pools: HashMap<PoolName, Pool>,
}

/// What tells pools apart.
pub(crate) type PoolName = (PathBuf, Vec<(String, String)>);

/// Where a plan's tools run.
pub(crate) struct Workplace {
    pub(crate) name: PoolName,
    pub(crate) pool: Pool,
    pub(super) place: Place,
}

impl PythonSide {
    /// Nothing is started or read yet.
    #[must_use]
    pub fn new(pools: Pools, world: Arc<dyn World>) -> Self {
        Self { pools, world, known: Mutex::default() }
    }

    /// Starts a worker for a flow that has Python nodes of its own, so that it comes up while other things are done.
    /// What goes wrong is told when the worker is needed.
    pub async fn warm_up(&self, plan: &BoundPlan) {
        let plan = plan.plan();
        if plan.nodes.iter().any(|node| matches!(node.kind, NodeKind::Python(_)))
            && let Ok(place) = self.workplace(plan)
        {
            let _ = place.pool.python().await;
        }
    }

    /// Ends all workers.
    pub async fn shutdown(&self) {
        self.pools.shutdown().await;
    }

    pub(crate) fn world(&self) -> &dyn World {
        &*self.world
    }

    pub(crate) fn workplace(&self, plan: &Arc<Plan>) -> Result<Arc<Workplace>, Problem> {
        let address = Arc::as_ptr(plan) as usize;
        if let Some((_, place)) = self.known().places.get(&address) {
            return Ok(place.clone());
        }
        let place = self.world.place(plan)?;
        let mut variables = place.variables.clone();
        variables.sort();
        let pool = self.pools.pool(&place.folder, &variables);
        let name = (place.folder.clone(), variables);
        let mut known = self.known();
        known.pools.insert(name.clone(), pool.clone());
        let workplace = Arc::new(Workplace { name, pool, place });
        known.places.insert(address, (plan.clone(), workplace.clone()));
        Ok(workplace)
    }

    pub(super) fn known_tool(&self, plan: &Arc<Plan>, node: NodeId) -> Option<Arc<NodeTool>> {
        self.known().tools.get(&(Arc::as_ptr(plan) as usize, node)).cloned()
    }

    pub(super) fn keep_tool(&self, plan: &Arc<Plan>, node: NodeId, tool: Arc<NodeTool>) {
        self.known().tools.insert((Arc::as_ptr(plan) as usize, node), tool);
    }

    pub(super) fn ready(&self, plan: &Arc<Plan>) -> Option<BoundPlan> {
        self.known().ready.get(&(Arc::as_ptr(plan) as usize)).map(|(_, ready)| ready.clone())
    }

    pub(super) fn keep_ready(&self, plan: &Arc<Plan>, ready: &BoundPlan) {
        self.known().ready.insert(Arc::as_ptr(plan) as usize, (plan.clone(), ready.clone()));
    }

    /// Remembers whose a worker is that has given an object.
    pub(super) fn keep_worker(&self, worker: &Arc<str>, pool: &PoolName) {
        self.known().workers.entry(worker.clone()).or_insert_with(|| pool.clone());
    }

    /// Whether a worker belongs to another pool than this one.
    pub(super) fn is_elsewhere(&self, worker: &str, pool: &PoolName) -> bool {
        self.known().workers.get(worker).is_some_and(|of| of != pool)
    }

    pub(super) fn end_line(&self, line: LineId) {
        let pools: Vec<Pool> = self.known().pools.values().cloned().collect();
        pools.iter().for_each(|pool| pool.end_line(line));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
