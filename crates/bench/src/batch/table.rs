//! Results as a table: medians, ratios, targets.

use crate::batch::scenario::{PROMPT_FLOW_PYTHON_LINE_MS, Scenario};
use crate::measure::Measured;

/// One side of one scenario: its repetitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    pub(crate) runs: Vec<Measured>,
}

impl Side {
    pub(crate) fn wall(&self) -> Option<f64> {
        self.median(|run| run.wall.as_secs_f64())
    }

    fn cpu_per_row(&self, rows: usize) -> Option<f64> {
        self.median(|run| run.cpu_milliseconds / rows as f64)
    }

    fn median(&self, of: impl Fn(&Measured) -> f64) -> Option<f64> {
        median(self.runs.iter().map(of).collect())
    }
}

/// What was measured of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) floor: Side,
    pub(crate) sluicegate: Side,
}

/// One number beside its target.
#[derive(Clone, Debug, PartialEq)]
struct Judged {
    what: &'static str,
    floor: Option<f64>,
    sluicegate: Option<f64>,
    /// What the target speaks of: a ratio, or the number itself.
    measured: Option<f64>,
    target: Option<f64>,
    /// Whether the measure is a multiple of something else.
    is_multiple: bool,
    at_least: bool,
}

impl Judged {
    fn met(&self) -> &'static str {
        match (self.measured, self.target) {
            (Some(measured), Some(target)) if self.at_least == (measured >= target) || measured == target => "yes",
            (Some(_), Some(_)) => "NO",
            _ => "-",
        }
    }
}

impl Outcome {
    fn judged(&self) -> Vec<Judged> {
        let Self { scenario, floor, sluicegate } = self;
        let targets = scenario.targets;
        let rows = scenario.rows;
        let ratio = |over: Option<f64>, under: Option<f64>| Some(over? / under?);
        let memory = |side: &Side| side.median(|run| run.peak_mib);
        let with_children = |side: &Side| side.median(|run| run.peak_with_children_mib);
        let cpu = sluicegate.cpu_per_row(rows);
        let plain = |what, floor: Option<f64>, sluicegate: Option<f64>, target| Judged {
            what,
            floor,
            sluicegate,
            measured: sluicegate,
            target,
            is_multiple: false,
            at_least: false,
        };
        let mut all = vec![
            Judged {
                measured: ratio(sluicegate.wall(), floor.wall()),
                is_multiple: true,
                ..plain("wall s", floor.wall(), sluicegate.wall(), targets.ratio)
            },
            plain("CPU ms/row", floor.cpu_per_row(rows), cpu, targets.cpu_per_row),
            plain("peak MiB", memory(floor), memory(sluicegate), targets.memory),
            plain("with children", with_children(floor), with_children(sluicegate), None),
        ];
        if let Some(target) = targets.prompt_flow {
            let times = cpu.map(|cpu| PROMPT_FLOW_PYTHON_LINE_MS / cpu);
            all.push(Judged {
                measured: times,
                is_multiple: true,
                at_least: true,
                ..plain("rows/CPU s", None, cpu.map(|cpu| 1000.0 / cpu), Some(target))
            });
        }
        all
    }

    fn title(&self) -> String {
        let Scenario { name, rows, latency, in_flight, traces, .. } = &self.scenario;
        let traces = if *traces { ", traces" } else { "" };
        format!("{name}: {rows} rows, {} ms, {in_flight} in flight{traces}", latency.as_millis())
    }
}

/// The whole table, in Markdown that is also read as it is. A measure with `×` is a multiple: of the floor's wall time, of
/// prompt flow's rows for each CPU second.
pub(crate) fn render(outcomes: &[Outcome]) -> String {
    let mut rows = vec![["scenario", "", "floor", "sluicegate", "measure", "target", "met"].map(str::to_owned)];
    for outcome in outcomes {
        for (position, judged) in outcome.judged().iter().enumerate() {
            let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), shown);
            let sign = if judged.at_least { "≥" } else { "≤" };
            let multiple = if judged.is_multiple { "×" } else { "" };
            rows.push([
                if position == 0 { outcome.title() } else { String::new() },
                judged.what.to_owned(),
                number(judged.floor),
                number(judged.sluicegate),
                judged
                    .measured
                    .filter(|_| judged.is_multiple)
                    .map_or_else(String::new, |times| format!("{} ×", shown(times))),
                judged
                    .target
                    .map_or_else(String::new, |target| format!("{sign} {target} {multiple}").trim().to_owned()),
                judged.met().to_owned(),
            ]);
        }
    }
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = String::new();
    for (position, row) in rows.iter().enumerate() {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            2..=4 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        text += &line(padded.collect());
        if position == 0 {
            text += &line(widths.iter().map(|width| "-".repeat(*width)).collect());
        }
    }
    text
}

/// Three digits that mean something.
fn shown(number: f64) -> String {
    match number {
        _ if number.abs() < 1.0 => format!("{number:.3}"),
        _ if number.abs() < 100.0 => format!("{number:.2}"),
        _ => format!("{number:.0}"),
    }
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.get(numbers.len() / 2)?;
    let lower = numbers.get((numbers.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::*;
    use crate::batch::scenario;

    fn side(runs: &[(u64, f64, f64)]) -> Side {
        let run = |(wall, cpu, peak): &(u64, f64, f64)| Measured {
            status: ExitStatus::default(),
            wall: Duration::from_millis(*wall),
            cpu_milliseconds: *cpu,
            peak_mib: *peak,
            peak_with_children_mib: *peak,
            threads: BTreeMap::new(),
        };
        Side { runs: runs.iter().map(run).collect() }
    }

    fn cells(name: &str, floor: Side, sluicegate: Side) -> Vec<Vec<String>> {
        let scenario = scenario::all().into_iter().find(|scenario| scenario.name == name).unwrap();
        let text = render(&[Outcome { scenario, floor, sluicegate }]);
        text.lines().skip(2).map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    }

    #[test]
    fn medians_are_compared_with_their_targets() {
        let floor = side(&[(2700, 800.0, 10.0), (9000, 700.0, 11.0), (2800, 900.0, 12.0)]);
        let sluicegate = side(&[(3360, 2000.0, 90.0), (3360, 2600.0, 91.0), (3000, 2500.0, 70.0)]);
        let cells = cells("50ms", floor, sluicegate);
        assert_eq!(cells[0][2..8], ["wall s", "2.80", "3.36", "1.20 ×", "≤ 1.15 ×", "NO"]);
        assert_eq!(cells[1][2..8], ["CPU ms/row", "0.080", "0.250", "", "≤ 0.25", "yes"]);
        assert_eq!(cells[2][2..8], ["peak MiB", "11.00", "90.00", "", "≤ 80", "NO"]);
        assert_eq!(cells[3][7], "-");
    }

    #[test]
    fn python_lines_are_compared_with_prompt_flow_and_have_no_floor() {
        let check = |cpu: f64, expected: [&str; 6]| {
            let cells = cells("python-only", Side::default(), side(&[(1000, cpu, 50.0)]));
            assert_eq!(cells[0][2..8], ["wall s", "-", "1.00", "", "", "-"]);
            assert_eq!(cells[4][2..8], expected);
        };
        check(5000.0, ["rows/CPU s", "-", "2000", "32.00 ×", "≥ 30 ×", "yes"]);
        check(8000.0, ["rows/CPU s", "-", "1250", "20.00 ×", "≥ 30 ×", "NO"]);
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
