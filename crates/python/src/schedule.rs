//! Which call runs in which worker. Pure: no process, no clock, no waiting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::pace::{Pace, QUICK};
use crate::tool::LineId;

/// A worker's name.
pub(crate) type WorkerId = Arc<str>;

/// With this many asynchronous calls in a worker another one is worth its start.
const CROWD: usize = 16;

/// How many quick calls may wait in a worker while another one runs there, so that it goes on at once.
const BEHIND: usize = 2;

/// What a call takes of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The one place for synchronous calls, or one behind it.
    Sync,
    /// A share of its event loop.
    Async,
}

/// What a call did last, when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It ran.
    Running,
    /// It waited for the host.
    Parked,
    /// It waited for others in its worker, or was never sent.
    Behind,
}

/// What a call wants.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) slot: Slot,
    /// The only worker that will do: objects that the call needs are there.
    pub(crate) only: Option<WorkerId>,
    /// How long such calls take, if that is known.
    pub(crate) pace: Option<Arc<Pace>>,
}

impl Want {
    fn is_quick(&self) -> bool {
        self.pace.as_ref().is_some_and(|pace| pace.is_quick())
    }
}

/// A call's place in the order of all calls.
pub(crate) type Ticket = u64;

/// What a call was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) worker: WorkerId,
    pub(crate) slot: Slot,
    /// Whether another call comes first there.
    pub(crate) behind: bool,
}

#[derive(Debug)]
struct Member {
    id: WorkerId,
    starting: bool,
    /// Synchronous calls that run, or wait there for the one that does.
    running: usize,
    /// Whether one of them is not known to be quick.
    slow: bool,
    /// Since when the first of them runs.
    since: Instant,
    /// Synchronous calls that wait for the host.
    parked: usize,
    /// Asynchronous calls.
    asynchronous: usize,
}

impl Member {
    /// Whether one more quick call may wait here for the one that runs.
    fn has_place_behind(&self, now: Instant) -> bool {
        !self.slow && self.parked == 0 && self.running <= BEHIND && now.saturating_duration_since(self.since) <= QUICK
    }
}

/// The objects of a line by worker; the first worker is where its calls go.
type Objects = Vec<(WorkerId, HashSet<u64>)>;

/// The workers of a pool, what they do, and who waits for them.
#[derive(Debug)]
pub(crate) struct Schedule {
    size: usize,
    members: Vec<Member>,
    /// In the order of their tickets.
    waiting: VecDeque<(Ticket, Want)>,
    /// How many of them take any worker, by slot.
    loose: [usize; 2],
    lines: HashMap<LineId, Objects>,
}

impl Schedule {
    pub(crate) fn new(size: usize) -> Self {
        Self { size: size.max(1), members: Vec::new(), waiting: VecDeque::new(), loose: [0; 2], lines: HashMap::new() }
    }

    /// A place for a call at once, if there is one; it is taken then. Nobody overtakes a call that could run there.
    pub(crate) fn place(&mut self, want: &Want, now: Instant) -> Option<Placed> {
        let others = self.loose[Slot::Sync as usize] > 0;
        if others && want.slot == Slot::Sync && want.only.is_none() {
            return None;
        }
        // Who waits for a worker to be free would wait for ever if others always got a place behind the one that runs.
        let bound: Vec<WorkerId> = self.waiting.iter().filter_map(|(_, other)| other.only.clone()).collect();
        self.take(want, now, |worker| !others && !bound.contains(worker))
    }

    fn take(&mut self, want: &Want, now: Instant, may_wait_at: impl Fn(&WorkerId) -> bool) -> Option<Placed> {
        // Who is still starting is waited for only if there is nobody else: another may be free sooner.
        let all_start = self.members.iter().all(|member| member.starting);
        let is_quick = want.is_quick();
        let fits = |member: &&mut Member| {
            (all_start || !member.starting)
                && want.only.as_ref().is_none_or(|only| *only == member.id)
                && (want.slot == Slot::Async
                    || member.running == 0
                    || (is_quick && member.has_place_behind(now) && may_wait_at(&member.id)))
        };
        // A worker that only waits for the host is not busy, but an idle one is better, and any that is free is better than a
        // place behind another call.
        let load = |member: &&mut Member| {
            let behind = if want.slot == Slot::Sync { member.running } else { 0 };
            (behind, member.running + member.parked + member.asynchronous)
        };
        let best = self.members.iter_mut().filter(fits).min_by_key(load)?;
        let behind = want.slot == Slot::Sync && best.running > 0;
        match want.slot {
            Slot::Sync => {
                if !behind {
                    (best.slow, best.since) = (!is_quick, now);
                }
                best.running += 1;
            }
            Slot::Async => best.asynchronous += 1,
        }
        Some(Placed { worker: best.id.clone(), slot: want.slot, behind })
    }

    /// Lets a call wait for a place, by its ticket's order.
    pub(crate) fn queue(&mut self, ticket: Ticket, want: Want) {
        self.count(&want, 1);
        let after = self.waiting.iter().rposition(|(other, _)| *other < ticket).map_or(0, |before| before + 1);
        self.waiting.insert(after, (ticket, want));
    }

    /// A call does not wait any more.
    pub(crate) fn unqueue(&mut self, ticket: Ticket) {
        if let Ok(at) = self.waiting.binary_search_by_key(&ticket, |(other, _)| *other) {
            self.unqueue_at(at);
        }
    }

    fn unqueue_at(&mut self, at: usize) {
        if let Some((_, want)) = self.waiting.remove(at) {
            self.count(&want, -1);
        }
    }

    fn count(&mut self, want: &Want, change: isize) {
        if want.only.is_none() {
            let loose = &mut self.loose[want.slot as usize];
            *loose = loose.saturating_add_signed(change);
        }
    }

    /// Waiting calls for which there is a place now, which they have taken.
    pub(crate) fn placed(&mut self, now: Instant) -> Vec<(Ticket, Placed)> {
        let mut placed = Vec::new();
        // Where somebody waits who comes first: nobody overtakes.
        let (mut full, mut bound) = ([false; 2], Vec::<WorkerId>::new());
        let mut at = 0;
        while let Some((ticket, want)) = self.waiting.get(at) {
            let all_full = (0..2).all(|slot| full[slot] || self.loose[slot] == 0);
            if all_full && self.loose.iter().sum::<usize>() == self.waiting.len() {
                break;
            }
            if want.only.is_none() && full[want.slot as usize] {
                at += 1;
                continue;
            }
            let (ticket, want) = (*ticket, want.clone());
            match self.take(&want, now, |worker| !full[Slot::Sync as usize] && !bound.contains(worker)) {
                Some(place) => {
                    placed.push((ticket, place));
                    self.unqueue_at(at);
                }
                None => {
                    match want.only {
                        None => full[want.slot as usize] = true,
                        Some(only) => bound.push(only),
                    }
                    at += 1;
                }
            }
        }
        placed
    }

    /// How many more workers would have work. While one is starting, nobody knows.
    pub(crate) fn lacks(&self) -> usize {
        if self.members.iter().any(|member| member.starting) {
            return 0;
        }
        let room = self.size.saturating_sub(self.members.len());
        let waiting = self.loose.iter().sum::<usize>();
        let crowded = self.members.iter().all(|member| member.asynchronous >= CROWD);
        waiting.max(usize::from(crowded || self.members.is_empty())).min(room)
    }

    /// Whether there is no worker, nor one on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A worker is being started.
    pub(crate) fn add(&mut self, id: WorkerId, now: Instant) {
        self.members.push(Member {
            id,
            starting: true,
            running: 0,
            slow: false,
            since: now,
            parked: 0,
            asynchronous: 0,
        });
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
    pub(crate) fn ended(&mut self, id: &str, slot: Slot, phase: Phase, now: Instant) {
        self.change(id, |member| {
            let count = match (slot, phase) {
                (Slot::Async, _) => &mut member.asynchronous,
                (Slot::Sync, Phase::Parked) => &mut member.parked,
                (Slot::Sync, Phase::Running | Phase::Behind) => &mut member.running,
            };
            *count = count.saturating_sub(1);
            if (slot, phase) == (Slot::Sync, Phase::Running) {
                member.since = now;
            }
        });
    }

    /// A synchronous call waits for the host.
    pub(crate) fn parked(&mut self, id: &str, now: Instant) {
        self.change(id, |member| {
            member.since = now;
            member.running = member.running.saturating_sub(1);
            member.parked += 1;
        });
    }

    /// A synchronous call has what it waited for.
    pub(crate) fn resumed(&mut self, id: &str) {
        self.change(id, |member| {
            // Nobody knows what it still does.
            member.slow = true;
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

    const SYNC: Want = Want { slot: Slot::Sync, only: None, pace: None };
    const ASYNC: Want = Want { slot: Slot::Async, only: None, pace: None };

    fn only(worker: &str) -> Want {
        Want { slot: Slot::Sync, only: Some(worker.into()), pace: None }
    }

    fn quick() -> Want {
        let pace = Arc::<Pace>::default();
        pace.took(100);
        Want { pace: Some(pace), ..SYNC }
    }

    /// All the same, so that no time passes.
    fn now() -> Instant {
        static NOW: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *NOW
    }

    fn ready(size: usize, workers: &[&str]) -> Schedule {
        let mut schedule = Schedule::new(size);
        for worker in workers {
            schedule.add((*worker).into(), now());
            schedule.ready(worker);
        }
        schedule
    }

    fn check_place(schedule: &mut Schedule, want: &Want, expected: Option<&str>) {
        check_place_at(schedule, now(), want, expected);
    }

    fn check_place_at(schedule: &mut Schedule, now: Instant, want: &Want, expected: Option<&str>) {
        assert_eq!(schedule.place(want, now).map(|placed| placed.worker).as_deref(), expected);
    }

    fn check_placed(schedule: &mut Schedule, expected: &[(Ticket, &str)]) {
        let placed = schedule.placed(now());
        let placed: Vec<_> = placed.iter().map(|(ticket, placed)| (*ticket, &*placed.worker)).collect();
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
        schedule.ended("b", Slot::Sync, Phase::Running, now());
        // Who waits comes first.
        check_place(&mut schedule, &SYNC, None);
        check_placed(&mut schedule, &[(1, "b")]);
        schedule.unqueue(2);
        schedule.ended("a", Slot::Sync, Phase::Running, now());
        check_place(&mut schedule, &SYNC, Some("a"));
    }

    #[test]
    fn a_worker_that_waits_for_the_host_is_not_busy() {
        let mut schedule = ready(1, &["a"]);
        check_place(&mut schedule, &SYNC, Some("a"));
        schedule.queue(1, SYNC);
        check_placed(&mut schedule, &[]);
        schedule.parked("a", now());
        check_placed(&mut schedule, &[(1, "a")]);
        schedule.resumed("a");
        schedule.queue(2, SYNC);
        schedule.ended("a", Slot::Sync, Phase::Running, now());
        check_placed(&mut schedule, &[]);
        schedule.ended("a", Slot::Sync, Phase::Running, now());
        check_placed(&mut schedule, &[(2, "a")]);
    }

    #[test]
    fn quick_calls_wait_behind_one_another_but_a_free_worker_is_better() {
        let mut schedule = ready(2, &["a", "b"]);
        for (worker, behind) in [("a", false), ("b", false), ("a", true), ("b", true), ("a", true), ("b", true)] {
            let placed = schedule.place(&quick(), now()).expect("a place");
            assert_eq!((&*placed.worker, placed.behind), (worker, behind));
        }
        check_place(&mut schedule, &quick(), None);
        schedule.queue(1, quick());
        schedule.ended("b", Slot::Sync, Phase::Running, now());
        check_placed(&mut schedule, &[(1, "b")]);
        check_place(&mut schedule, &SYNC, None);
    }

    #[test]
    fn nobody_waits_behind_a_call_that_is_or_may_be_slow() {
        let mut schedule = ready(1, &["a"]);
        check_place(&mut schedule, &SYNC, Some("a"));
        check_place(&mut schedule, &quick(), None);
        schedule.ended("a", Slot::Sync, Phase::Running, now());
        check_place(&mut schedule, &quick(), Some("a"));
        check_place(&mut schedule, &SYNC, None);
        let late = now() + 2 * QUICK;
        check_place_at(&mut schedule, late, &quick(), None);
        check_place(&mut schedule, &quick(), Some("a"));
        // Who goes away behind it does not make it younger.
        schedule.ended("a", Slot::Sync, Phase::Behind, late);
        check_place_at(&mut schedule, late, &quick(), None);
        check_place(&mut schedule, &quick(), Some("a"));
        // Now the next of them runs.
        schedule.ended("a", Slot::Sync, Phase::Running, late);
        check_place_at(&mut schedule, late, &quick(), Some("a"));
        // One waits for the host, and comes back to do nobody knows what.
        schedule.parked("a", late);
        check_place_at(&mut schedule, late, &quick(), None);
        schedule.resumed("a");
        check_place_at(&mut schedule, late, &quick(), None);
    }

    #[test]
    fn quick_calls_do_not_starve_others() {
        let mut schedule = ready(1, &["a"]);
        check_place(&mut schedule, &quick(), Some("a"));
        schedule.queue(1, only("a"));
        let bound = Want { only: Some("a".into()), ..quick() };
        check_place(&mut schedule, &quick(), None);
        check_place(&mut schedule, &bound, None);
        schedule.queue(2, quick());
        check_placed(&mut schedule, &[]);
        schedule.ended("a", Slot::Sync, Phase::Running, now());
        check_placed(&mut schedule, &[(1, "a")]);
        let mut schedule = ready(1, &["a"]);
        check_place(&mut schedule, &quick(), Some("a"));
        schedule.queue(1, SYNC);
        check_place(&mut schedule, &bound, None);
        schedule.queue(2, bound);
        check_placed(&mut schedule, &[]);
        schedule.ended("a", Slot::Sync, Phase::Running, now());
        check_placed(&mut schedule, &[(1, "a")]);
    }

    #[test]
    fn who_comes_back_is_first_again() {
        let mut schedule = ready(1, &["a"]);
        check_place(&mut schedule, &SYNC, Some("a"));
        schedule.queue(5, SYNC);
        schedule.queue(7, SYNC);
        schedule.queue(6, SYNC);
        schedule.queue(2, SYNC);
        for ticket in [2, 5, 6, 7] {
            schedule.ended("a", Slot::Sync, Phase::Running, now());
            check_placed(&mut schedule, &[(ticket, "a")]);
        }
    }

    #[test]
    fn workers_are_started_at_need_and_one_first() {
        let mut schedule = Schedule::new(3);
        assert_eq!(schedule.lacks(), 1);
        schedule.add("a".into(), now());
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
