//! Which call runs in which worker. Pure: no process, no clock, no waiting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::tool::LineId;

/// A worker's name.
pub(crate) type WorkerId = Arc<str>;

/// With this many asynchronous calls in a worker another one is worth its start.
const CROWD: usize = 16;

/// What a call takes of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The one place for synchronous calls.
    Sync,
    /// A share of its event loop.
    Async,
}

/// What a call wants.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) slot: Slot,
    /// The only worker that will do: objects that the call needs are there.
    pub(crate) only: Option<WorkerId>,
}

/// A call in the queue.
pub(crate) type Ticket = u64;

#[derive(Debug)]
struct Member {
    id: WorkerId,
    starting: bool,
    /// Synchronous calls that run.
    running: usize,
    /// Synchronous calls that wait for the host.
    parked: usize,
    /// Asynchronous calls.
    asynchronous: usize,
}

/// The objects of a line by worker; the first worker is where its calls go.
type Objects = Vec<(WorkerId, HashSet<u64>)>;

/// The workers of a pool, what they do, and who waits for them.
#[derive(Debug)]
pub(crate) struct Schedule {
    size: usize,
    members: Vec<Member>,
    waiting: VecDeque<(Ticket, Want)>,
    lines: HashMap<LineId, Objects>,
}

impl Schedule {
    pub(crate) fn new(size: usize) -> Self {
        Self { size: size.max(1), members: Vec::new(), waiting: VecDeque::new(), lines: HashMap::new() }
    }

    /// A place for a call at once, if there is one; it is taken then. Nobody overtakes a call that could run there.
    pub(crate) fn place(&mut self, want: &Want) -> Option<WorkerId> {
        let overtakes = want.slot == Slot::Sync
            && want.only.is_none()
            && self.waiting.iter().any(|(_, other)| other.slot == Slot::Sync && other.only.is_none());
        if overtakes { None } else { self.take(want) }
    }

    fn take(&mut self, want: &Want) -> Option<WorkerId> {
        // Who is still starting is waited for only if there is nobody else: another may be free sooner.
        let all_start = self.members.iter().all(|member| member.starting);
        let fits = |member: &&mut Member| {
            (all_start || !member.starting)
                && want.only.as_ref().is_none_or(|only| *only == member.id)
                && (want.slot == Slot::Async || member.running == 0)
        };
        // A worker that only waits for the host is not busy, but an idle one is better.
        let best = self
            .members
            .iter_mut()
            .filter(fits)
            .min_by_key(|member| member.running + member.parked + member.asynchronous)?;
        match want.slot {
            Slot::Sync => best.running += 1,
            Slot::Async => best.asynchronous += 1,
        }
        Some(best.id.clone())
    }

    /// Lets a call wait for a place.
    pub(crate) fn queue(&mut self, ticket: Ticket, want: Want) {
        self.waiting.push_back((ticket, want));
    }

    /// A call does not wait any more.
    pub(crate) fn unqueue(&mut self, ticket: Ticket) {
        self.waiting.retain(|(other, _)| *other != ticket);
    }

    /// Waiting calls for which there is a place now, which they have taken.
    pub(crate) fn placed(&mut self) -> Vec<(Ticket, WorkerId, Slot)> {
        let mut placed = Vec::new();
        let mut queue = std::mem::take(&mut self.waiting);
        let mut full = [false; 2];
        queue.retain(|(ticket, want)| {
            if want.only.is_none() && full[want.slot as usize] {
                return true;
            }
            match self.take(want) {
                Some(worker) => {
                    placed.push((*ticket, worker, want.slot));
                    false
                }
                None => {
                    full[want.slot as usize] |= want.only.is_none();
                    true
                }
            }
        });
        self.waiting = queue;
        placed
    }

    /// How many more workers would have work. While one is starting, nobody knows.
    pub(crate) fn lacks(&self) -> usize {
        if self.members.iter().any(|member| member.starting) {
            return 0;
        }
        let room = self.size.saturating_sub(self.members.len());
        let waiting = self.waiting.iter().filter(|(_, want)| want.only.is_none()).count();
        let crowded = self.members.iter().all(|member| member.asynchronous >= CROWD);
        waiting.max(usize::from(crowded || self.members.is_empty())).min(room)
    }

    /// Whether there is no worker, nor one on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A worker is being started.
    pub(crate) fn add(&mut self, id: WorkerId) {
        self.members.push(Member { id, starting: true, running: 0, parked: 0, asynchronous: 0 });
    }

    /// A worker is ready.
    pub(crate) fn ready(&mut self, id: &str) {
        self.change(id, |member| member.starting = false);
    }

    /// A worker is gone, with the objects of its lines. Returns the calls that wait for it and no other.
    pub(crate) fn remove(&mut self, id: &str) -> Vec<Ticket> {
        self.members.retain(|member| *member.id != *id);
        self.retain_objects(|worker, _| **worker != *id);
        let mut lost = Vec::new();
        self.waiting.retain(|(ticket, want)| {
            let waits_for_it = want.only.as_deref() == Some(id);
            if waits_for_it {
                lost.push(*ticket);
            }
            !waits_for_it
        });
        lost
    }

    /// A call has ended.
    pub(crate) fn ended(&mut self, id: &str, slot: Slot, parked: bool) {
        self.change(id, |member| {
            let count = match (slot, parked) {
                (Slot::Async, _) => &mut member.asynchronous,
                (Slot::Sync, true) => &mut member.parked,
                (Slot::Sync, false) => &mut member.running,
            };
            *count = count.saturating_sub(1);
        });
    }

    /// A synchronous call waits for the host.
    pub(crate) fn parked(&mut self, id: &str) {
        self.change(id, |member| {
            member.running = member.running.saturating_sub(1);
            member.parked += 1;
        });
    }

    /// A synchronous call has what it waited for.
    pub(crate) fn resumed(&mut self, id: &str) {
        self.change(id, |member| {
            member.parked = member.parked.saturating_sub(1);
            member.running += 1;
        });
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.iter_mut().find(|member| *member.id == *id) {
            change(member);
        }
    }

    /// Objects of a line live in a worker. A line is bound to the first that holds some.
    pub(crate) fn bind(&mut self, line: LineId, worker: &WorkerId, handles: &[u64]) {
        if handles.is_empty() || !self.members.iter().any(|member| member.id == *worker) {
            return;
        }
        let objects = self.lines.entry(line).or_default();
        match objects.iter_mut().find(|(other, _)| other == worker) {
            Some((_, held)) => held.extend(handles),
            None => objects.push((worker.clone(), handles.iter().copied().collect())),
        }
    }

    /// Where the objects of a line live.
    pub(crate) fn bound(&self, line: LineId) -> Option<WorkerId> {
        self.lines.get(&line)?.first().map(|(worker, _)| worker.clone())
    }

    /// A line has ended: what is left of its objects.
    pub(crate) fn end_line(&mut self, line: LineId) -> Vec<(WorkerId, Vec<u64>)> {
        let objects = self.lines.remove(&line).unwrap_or_default();
        objects.into_iter().map(|(worker, handles)| (worker, handles.into_iter().collect())).collect()
    }

    /// Objects of a worker are let go of: a line without any is free again.
    pub(crate) fn release(&mut self, worker: &str, handles: &[u64]) {
        self.retain_objects(|other, held| {
            if **other == *worker {
                handles.iter().for_each(|handle| {
                    held.remove(handle);
                });
            }
            !held.is_empty()
        });
    }

    fn retain_objects(&mut self, mut keep: impl FnMut(&WorkerId, &mut HashSet<u64>) -> bool) {
        self.lines.retain(|_, objects| {
            objects.retain_mut(|(worker, held)| keep(worker, held));
            !objects.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Want = Want { slot: Slot::Sync, only: None };
    const ASYNC: Want = Want { slot: Slot::Async, only: None };

    fn only(worker: &str) -> Want {
        Want { slot: Slot::Sync, only: Some(worker.into()) }
    }

    fn ready(size: usize, workers: &[&str]) -> Schedule {
        let mut schedule = Schedule::new(size);
        for worker in workers {
            schedule.add((*worker).into());
            schedule.ready(worker);
        }
        schedule
    }

    fn check_place(schedule: &mut Schedule, want: &Want, expected: Option<&str>) {
        assert_eq!(schedule.place(want).as_deref(), expected);
    }

    fn check_placed(schedule: &mut Schedule, expected: &[(Ticket, &str)]) {
        let placed = schedule.placed();
        let placed: Vec<_> = placed.iter().map(|(ticket, worker, _)| (*ticket, &**worker)).collect();
        assert_eq!(placed, expected);
    }

    #[test]
    fn one_synchronous_call_at_a_time_and_asynchronous_ones_beside_it() {
        let mut schedule = ready(2, &["a", "b"]);
        check_place(&mut schedule, &SYNC, Some("a"));
        check_place(&mut schedule, &SYNC, Some("b"));
        check_place(&mut schedule, &SYNC, None);
        check_place(&mut schedule, &ASYNC, Some("a"));
        check_place(&mut schedule, &ASYNC, Some("b"));
        schedule.queue(1, SYNC);
        schedule.queue(2, SYNC);
        check_placed(&mut schedule, &[]);
        schedule.ended("b", Slot::Sync, false);
        // Who waits comes first.
        check_place(&mut schedule, &SYNC, None);
        check_placed(&mut schedule, &[(1, "b")]);
        schedule.unqueue(2);
        schedule.ended("a", Slot::Sync, false);
        check_place(&mut schedule, &SYNC, Some("a"));
    }

    #[test]
    fn a_worker_that_waits_for_the_host_is_not_busy() {
        let mut schedule = ready(1, &["a"]);
        check_place(&mut schedule, &SYNC, Some("a"));
        schedule.queue(1, SYNC);
        check_placed(&mut schedule, &[]);
        schedule.parked("a");
        check_placed(&mut schedule, &[(1, "a")]);
        schedule.resumed("a");
        schedule.queue(2, SYNC);
        schedule.ended("a", Slot::Sync, false);
        check_placed(&mut schedule, &[]);
        schedule.ended("a", Slot::Sync, false);
        check_placed(&mut schedule, &[(2, "a")]);
    }

    #[test]
    fn workers_are_started_at_need_and_one_first() {
        let mut schedule = Schedule::new(3);
        assert_eq!(schedule.lacks(), 1);
        schedule.add("a".into());
        check_place(&mut schedule, &SYNC, Some("a"));
        for ticket in 0..5 {
            schedule.queue(ticket, SYNC);
        }
        assert_eq!(schedule.lacks(), 0);
        schedule.ready("a");
        assert_eq!(schedule.lacks(), 2);
        // A call that can go nowhere else is no reason for another worker.
        let mut schedule = ready(3, &["a"]);
        check_place(&mut schedule, &only("a"), Some("a"));
        schedule.queue(9, only("a"));
        assert_eq!(schedule.lacks(), 0);
        for _ in 0..CROWD {
            check_place(&mut schedule, &ASYNC, Some("a"));
        }
        assert_eq!(schedule.lacks(), 1);
    }

    #[test]
    fn a_line_is_bound_while_its_objects_live() {
        let mut schedule = ready(2, &["a", "b"]);
        let line = LineId(1);
        schedule.bind(line, &"a".into(), &[1, 2]);
        schedule.bind(line, &"b".into(), &[1]);
        assert_eq!(schedule.bound(line).as_deref(), Some("a"));
        schedule.release("a", &[1]);
        assert_eq!(schedule.bound(line).as_deref(), Some("a"));
        schedule.release("a", &[2]);
        assert_eq!(schedule.bound(line).as_deref(), Some("b"));
        assert_eq!(schedule.end_line(line), [("b".into(), vec![1])]);
        assert_eq!(schedule.bound(line), None);
        schedule.bind(line, &"b".into(), &[1]);
        schedule.queue(7, only("b"));
        schedule.queue(8, only("a"));
        assert_eq!(schedule.remove("b"), [7]);
        assert_eq!(schedule.bound(line), None);
    }
}
