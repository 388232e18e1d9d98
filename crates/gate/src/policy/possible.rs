//! Rules that nothing can satisfy: thresholds beyond the scale, and thresholds that so few cases cannot show.

use sluicegate_source::Problem;

use super::reader::Reader;
use super::{Bound, Check, Policy};
use crate::statistics::normal_quantile;
use crate::{Comparator, Limit, Metric, Order};

pub(super) fn check(reader: &mut Reader<'_>, policy: &Policy) {
    for rule in &policy.rules {
        let Check::Threshold { metric, is, bound } = &rule.check else { continue };
        if !matches!(is.limit, Limit::Number(_) | Limit::Percent(_)) {
            let problem = Problem::error("gate::wrong_comparator", format!("`{is}` is no limit of a score"));
            reader.problem_at_line(problem.help("as in `>= 0.8` or `>= 80%`"), rule.place.as_ref());
            continue;
        }
        let Some(info) = reader.metric_info(metric) else { continue };
        if matches!(is.limit, Limit::Percent(_)) && info.scale != Some([0.0, 1.0]) {
            let message = format!("`{is}` is a share, and `{metric}` does not go from 0 to 1");
            let problem =
                Problem::error("gate::wrong_comparator", message).help("write the score itself, as in `>= 4`");
            reader.problem_at_line(problem, rule.place.as_ref());
            continue;
        }
        if let Some([lowest, highest]) = info.scale
            && !is.holds(if is.wants_more() { highest } else { lowest })
        {
            let message = format!("no score can be {is}: `{metric}` goes from {lowest} to {highest}");
            reader.problem_at_line(Problem::error("gate::cannot_pass", message), rule.place.as_ref());
            continue;
        }
        if let Some([lowest, highest]) = info.scale
            && is.holds(if is.wants_more() { lowest } else { highest })
        {
            let message = format!("every score is {is}: `{metric}` goes from {lowest} to {highest}");
            reader.problem_at_line(Problem::warning("gate::cannot_fail", message), rule.place.as_ref());
            continue;
        }
        // With `where` it is not known how many cases are left.
        let Some(cases) = reader.known.cases.filter(|_| *bound == Bound::Lower && rule.only.is_none()) else {
            continue;
        };
        if let Some(needed) = cases_needed(info, *is, policy.alpha)
            && cases < needed
        {
            let message =
                format!("no score can show `{metric} {is}` with {cases} cases: it takes {needed}, all of them perfect");
            let help = format!("add {} cases, lower the threshold, or set `bound: point`", needed - cases);
            reader.problem_at_line(Problem::warning("gate::cannot_pass", message).help(help), rule.place.as_ref());
        }
    }
}

/// How many cases it takes at least, all of them perfect, to show a threshold; `None` if the scale has no end there.
pub(crate) fn cases_needed(metric: &Metric, is: Comparator, alpha: f64) -> Option<u64> {
    let [lowest, highest] = metric.scale?;
    let share = (is.number() - lowest) / (highest - lowest);
    let share = if is.wants_more() { share } else { 1.0 - share };
    if !share.is_finite() || share >= 1.0 {
        return None;
    }
    if share <= 0.0 {
        return Some(1);
    }
    let needed = if metric.boolean {
        // Wilson's lower bound of n out of n is n / (n + z²).
        let z = normal_quantile(1.0 - alpha).ok()?;
        share * z * z / (1.0 - share)
    } else {
        // Of n equal scores, at most 1 - alpha^(1/n) of all cases can be others.
        alpha.ln() / share.ln()
    };
    // The bound itself is good enough for `>=`, not for `>`.
    let exact = needed.fract() < 1e-12 && matches!(is.order, Order::Above | Order::Below);
    Some((needed.ceil() as u64).max(1) + u64::from(exact))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_needed(metric: Metric, is: &str, expected: u64) {
        let is = Comparator::parse(is).expect("a comparator");
        assert_eq!(cases_needed(&metric, is, 0.05), Some(expected), "{is}");
    }

    #[test]
    fn fifteen_of_fifteen_do_not_show_85_percent() {
        check_needed(Metric::boolean("m"), ">= 0.85", 16);
        check_needed(Metric::boolean("m"), ">= 0.8", 11);
        check_needed(Metric::boolean("m"), "<= 0.2", 11);
    }

    #[test]
    fn equal_scores_are_not_believed_without_end() {
        check_needed(Metric::on_scale("m", 1.0, 5.0), ">= 4", 11);
        check_needed(Metric::share("m"), ">= 0", 1);
    }
}
