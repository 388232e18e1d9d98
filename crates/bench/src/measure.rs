//! One process, measured from start to end with all its children: wall time, CPU time, resident memory.

use std::collections::BTreeMap;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::failure::Failure;

/// What a process has cost.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) status: ExitStatus,
    pub(crate) wall: Duration,
    /// User and system time of the process and of all its children, in milliseconds; by the kernel's ticks of 10.
    pub(crate) cpu_milliseconds: f64,
    /// The process's own peak of resident memory, as the kernel keeps it, in MiB.
    pub(crate) peak_mib: f64,
    /// The peak of the sum with its children, as samples show it, in MiB. Pages that they share are counted for each.
    pub(crate) peak_with_children_mib: f64,
    /// CPU milliseconds by the name of a thread, threads of one name together, as last sampled.
    pub(crate) threads: BTreeMap<String, f64>,
}

/// Runs a command to its end. `others` are this process's own children that have nothing to do with it.
pub(crate) fn run(command: &mut Command, others: &[u32]) -> Result<Measured, Failure> {
    platform::run(command, others)
}

/// CPU milliseconds that a process has used so far, its children that are gone included; `None` where nobody knows.
pub(crate) fn cpu_milliseconds_of(process: u32) -> Option<f64> {
    platform::cpu_milliseconds_of(process)
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::{Command, Failure, Measured};

    pub(super) fn run(_: &mut Command, _: &[u32]) -> Result<Measured, Failure> {
        Err(Failure::new("processes are measured on Linux only"))
    }

    pub(super) fn cpu_milliseconds_of(_: u32) -> Option<f64> {
        None
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::collections::BTreeMap;
    use std::fs;
    use std::process::Command;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, getpid, set_child_subreaper, waitid, waitpid};

    use super::{Failure, Measured};

    /// How often memory and threads are looked at.
    const SAMPLE_EVERY: Duration = Duration::from_millis(20);
    /// How long children may outlive the process before they are given up.
    const LONGEST_AFTERLIFE: Duration = Duration::from_secs(5);

    pub(super) fn run(command: &mut Command, others: &[u32]) -> Result<Measured, Failure> {
        let failed = || Failure::while_doing::<rustix::io::Errno>("waiting for a process");
        // Children that outlive the process become ours, so that their time is counted.
        set_child_subreaper(Some(getpid())).map_err(Failure::while_doing("adopting orphans"))?;
        let start = Instant::now();
        let what = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(Failure::while_doing(format_args!("starting {what}")))?;
        let pid = Pid::from_child(&child);
        let (stop, stopped) = channel();
        let sampler = std::thread::spawn(move || Samples::take(child_id(pid), &stopped));
        // Left as a zombie, its times can still be read.
        loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => break outcome.map(|_| ()).map_err(failed())?,
            }
        }
        let wall = start.elapsed();
        drop(stop);
        let samples = sampler.join().map_err(|_| Failure::new("the sampler panicked"))?;
        let own = cpu_milliseconds_of(child_id(pid)).unwrap_or(f64::NAN);
        let status = child.wait().map_err(Failure::while_doing("waiting for a process"))?;
        Ok(Measured {
            status,
            wall,
            cpu_milliseconds: own + orphans(others),
            peak_mib: samples.peak_kib / 1024.0,
            peak_with_children_mib: samples.peak_with_children_kib.max(samples.peak_kib) / 1024.0,
            threads: samples.threads(),
        })
    }

    fn child_id(pid: Pid) -> u32 {
        pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for children that the process has left behind; gives their CPU milliseconds.
    fn orphans(others: &[u32]) -> f64 {
        let deadline = Instant::now() + LONGEST_AFTERLIFE;
        let mut total = 0.0;
        loop {
            let left: Vec<u32> =
                children(std::process::id()).into_iter().filter(|child| !others.contains(child)).collect();
            for child in &left {
                let is_over = stat(*child).is_some_and(|fields| fields.first().is_some_and(|state| state == "Z"));
                if is_over {
                    total += cpu_milliseconds_of(*child).unwrap_or(0.0);
                    let pid = i32::try_from(*child).ok().and_then(Pid::from_raw);
                    let _ = waitpid(pid, WaitOptions::NOHANG);
                }
            }
            if left.is_empty() || Instant::now() > deadline {
                return total;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn cpu_milliseconds_of(process: u32) -> Option<f64> {
        let fields = stat(process)?;
        // utime, stime, cutime and cstime are fields 14 to 17 of all; the state, which is the first here, is the third.
        let ticks: u64 = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().unwrap_or(0)).sum();
        Some(ticks as f64 * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// The fields of `/proc/PID/stat` after the name, which may hold anything.
    fn stat(process: u32) -> Option<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        Some(rest.split_whitespace().map(str::to_owned).collect())
    }

    fn children(process: u32) -> Vec<u32> {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
    }

    #[derive(Default)]
    struct Samples {
        peak_kib: f64,
        peak_with_children_kib: f64,
        /// Name and CPU nanoseconds by thread.
        threads: BTreeMap<String, (String, f64)>,
    }

    impl Samples {
        /// Samples a process until told to stop.
        fn take(process: u32, stopped: &Receiver<()>) -> Self {
            let mut samples = Self::default();
            loop {
                samples.look(process);
                if stopped.recv_timeout(SAMPLE_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return samples;
                }
            }
        }

        fn look(&mut self, process: u32) {
            let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) else { return };
            // Between fork and exec it is still this program.
            self.peak_kib = self.peak_kib.max(kib(&status, "VmHWM:"));
            let mut sum = kib(&status, "VmRSS:");
            let mut waiting = children(process);
            while let Some(child) = waiting.pop() {
                let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
                sum += kib(&status, "VmRSS:");
                waiting.extend(children(child));
            }
            self.peak_with_children_kib = self.peak_with_children_kib.max(sum);
            for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
                let path = thread.path();
                let read = |file: &str| fs::read_to_string(path.join(file)).ok();
                let nanoseconds =
                    read("schedstat").and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
                if let (Some(name), Some(nanoseconds)) = (read("comm"), nanoseconds) {
                    let id = thread.file_name().to_string_lossy().into_owned();
                    self.threads.insert(id, (name.trim().to_owned(), nanoseconds));
                }
            }
        }

        fn threads(&self) -> BTreeMap<String, f64> {
            let mut by_name = BTreeMap::new();
            for (name, nanoseconds) in self.threads.values() {
                *by_name.entry(name.clone()).or_default() += nanoseconds / 1e6;
            }
            by_name
        }
    }

    /// A line of `/proc/PID/status`, in KiB; a zombie has none.
    fn kib(status: &str, name: &str) -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
    }

    #[cfg(test)]
    mod tests {
        use std::sync::{Mutex, PoisonError};

        use super::*;

        /// Orphans of the whole process are waited for: one measurement at a time.
        static ALONE: Mutex<()> = Mutex::new(());

        fn shell(script: &str) -> Measured {
            let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
            run(Command::new("sh").args(["-c", script]), &[]).unwrap()
        }

        #[test]
        fn a_process_is_measured_to_its_end_with_its_exit_code() {
            let measured = shell("sleep 0.1; exit 3");
            assert_eq!(measured.status.code(), Some(3));
            assert!(measured.wall >= Duration::from_millis(100), "{measured:?}");
            assert!(measured.peak_mib > 0.1, "{measured:?}");
            assert!(measured.threads.contains_key("sh"), "{measured:?}");
        }

        #[test]
        fn the_time_of_children_counts_even_if_they_outlive_it() {
            let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
            for script in [spin.to_owned(), format!("sh -c '{spin}'; true"), format!("sh -c '{spin}' & sleep 0.05")] {
                let measured = shell(&script);
                assert!(measured.cpu_milliseconds >= 20.0, "{script}: {measured:?}");
            }
        }
    }
}
