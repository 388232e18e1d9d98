//! Two paired booleans, and the two-by-two table.

use super::distributions::{
    binomial_at_least, binomial_cdf, binomial_probability, chi_square_one_upper_tail, ln_choose,
};
use super::{Undefined, check_lengths};

/// How often two runs over the same cases agreed and differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PairedCounts {
    /// Cases that passed in both.
    pub both_pass: usize,
    /// Cases that the baseline passed and the candidate fails: got worse.
    pub worse: usize,
    /// Cases that the baseline failed and the candidate passes: got better.
    pub better: usize,
    /// Cases that failed in both.
    pub both_fail: usize,
}

impl PairedCounts {
    /// Counts pairs of verdicts.
    ///
    /// # Errors
    ///
    /// The two differ in length.
    pub fn of(baseline: &[bool], candidate: &[bool]) -> Result<PairedCounts, Undefined> {
        check_lengths(baseline.len(), candidate.len())?;
        let mut counts = PairedCounts::default();
        for pair in baseline.iter().zip(candidate) {
            match pair {
                (true, true) => counts.both_pass += 1,
                (true, false) => counts.worse += 1,
                (false, true) => counts.better += 1,
                (false, false) => counts.both_fail += 1,
            }
        }
        Ok(counts)
    }

    /// All pairs.
    pub fn n(&self) -> usize {
        self.both_pass + self.worse + self.better + self.both_fail
    }

    /// The pairs that differ.
    pub fn discordant(&self) -> usize {
        self.worse + self.better
    }
}

/// McNemar's exact test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Cases that got worse.
    pub worse: usize,
    /// Cases that got better.
    pub better: usize,
    /// Two-sided, exact: twice the smaller tail, at most 1.
    pub p_two_sided: f64,
    /// Two-sided, with half of the observed outcome's probability counted in each tail.
    pub p_mid: f64,
    /// One-sided: small when the candidate got worse.
    pub p_regression: f64,
    /// One-sided: small when the candidate got better.
    pub p_improvement: f64,
}

/// McNemar's exact test on the cases that got worse and those that got better. Without any, every p is 1.
pub fn mcnemar(worse: usize, better: usize) -> McNemar {
    let (n, fewer) = ((worse + better) as u64, worse.min(better) as u64);
    let doubled = 2.0 * binomial_cdf(fewer, n, 0.5);
    let p_mid = if worse == better { 1.0 } else { (doubled - binomial_probability(fewer, n, 0.5)).clamp(0.0, 1.0) };
    McNemar {
        worse,
        better,
        p_two_sided: doubled.min(1.0),
        p_mid,
        p_regression: binomial_at_least(worse as u64, n, 0.5),
        p_improvement: binomial_at_least(better as u64, n, 0.5),
    }
}

/// A statistic with the probability of one at least as extreme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestStatistic {
    /// The statistic.
    pub statistic: f64,
    /// Two-sided.
    pub p_value: f64,
}

/// McNemar's chi-square with continuity correction, `(|b−c|−1)²/(b+c)`; for comparison with tools that print it.
///
/// # Errors
///
/// No pair differs.
pub fn mcnemar_chi_square(worse: usize, better: usize) -> Result<TestStatistic, Undefined> {
    let discordant = worse + better;
    super::check_at_least("discordant pairs", 1, discordant)?;
    let gap = worse.abs_diff(better) as f64 - 1.0;
    let statistic = gap * gap / discordant as f64;
    Ok(TestStatistic { statistic, p_value: chi_square_one_upper_tail(statistic) })
}

/// Fisher's exact test of a two-by-two table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FisherExact {
    /// The summed probability of all tables that are no likelier than this one.
    pub p_two_sided: f64,
    /// The probability of a first cell at most this great.
    pub p_less: f64,
    /// The probability of a first cell at least this great.
    pub p_greater: f64,
}

/// Fisher's exact test: `[[passes, fails] of one group, [passes, fails] of the other]`.
pub fn fisher_exact(table: [[usize; 2]; 2]) -> FisherExact {
    let [[a, b], [c, d]] = table.map(|row| row.map(|count| count as u64));
    let (row, column, n) = (a + b, a + c, a + b + c + d);
    let least = column.saturating_sub(c + d);
    let greatest = row.min(column);
    let probability =
        |cell: u64| libm::exp(ln_choose(row, cell) + ln_choose(n - row, column - cell) - ln_choose(n, column));
    let observed = probability(a);
    let (mut two_sided, mut less, mut greater) = (0.0, 0.0, 0.0);
    for cell in least..=greatest {
        let p = probability(cell);
        // Equal probabilities may differ in the last digits.
        if p <= observed * (1.0 + 1e-7) {
            two_sided += p;
        }
        if cell <= a {
            less += p;
        }
        if cell >= a {
            greater += p;
        }
    }
    FisherExact { p_two_sided: two_sided.min(1.0), p_less: less.min(1.0), p_greater: greater.min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way that `n` discordant pairs could have fallen, each as likely.
    fn by_enumeration(worse: usize, better: usize) -> (f64, f64) {
        let n = worse + better;
        let (mut extreme, mut at_least) = (0u32, 0u32);
        for outcome in 0u32..1 << n {
            let drawn = outcome.count_ones() as usize;
            extreme += u32::from(drawn.abs_diff(n - drawn) >= worse.abs_diff(better));
            at_least += u32::from(drawn >= worse);
        }
        let ways = f64::from(1u32 << n);
        (f64::from(extreme) / ways, f64::from(at_least) / ways)
    }

    #[test]
    fn the_exact_test_equals_enumeration() {
        for worse in 0..9 {
            for better in 0..9 {
                let (two_sided, regression) = by_enumeration(worse, better);
                let test = mcnemar(worse, better);
                assert!((test.p_two_sided - two_sided).abs() < 1e-12, "{worse} {better}");
                assert!((test.p_regression - regression).abs() < 1e-12, "{worse} {better}");
            }
        }
    }

    #[test]
    fn no_discordant_pair_is_no_evidence() {
        let test = mcnemar(0, 0);
        assert_eq!((test.p_two_sided, test.p_mid, test.p_regression, test.p_improvement), (1.0, 1.0, 1.0, 1.0));
        assert!(mcnemar_chi_square(0, 0).is_err());
    }

    #[test]
    fn pairs_are_counted_by_what_became_of_them() {
        let counts = PairedCounts::of(&[true, true, false, false], &[true, false, true, false]).unwrap();
        assert_eq!(counts, PairedCounts { both_pass: 1, worse: 1, better: 1, both_fail: 1 });
        assert!(PairedCounts::of(&[true], &[]).is_err());
    }

    #[test]
    fn fisher_without_a_choice_says_nothing() {
        assert!((fisher_exact([[0, 0], [3, 4]]).p_two_sided - 1.0).abs() < 1e-12);
        assert!((fisher_exact([[3, 0], [4, 0]]).p_two_sided - 1.0).abs() < 1e-12);
        assert!((fisher_exact([[0, 0], [0, 0]]).p_two_sided - 1.0).abs() < 1e-12);
        // The lady who tasted tea: three of four right.
        assert!((fisher_exact([[3, 1], [1, 3]]).p_greater - 17.0 / 70.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn probabilities_are_probabilities(worse in 0usize..3000, better in 0usize..3000) {
            let test = mcnemar(worse, better);
            for p in [test.p_two_sided, test.p_mid, test.p_regression, test.p_improvement] {
                prop_assert!((0.0..=1.0).contains(&p));
            }
            let swapped = mcnemar(better, worse);
            prop_assert_eq!(test.p_two_sided, swapped.p_two_sided);
            prop_assert_eq!(test.p_regression, swapped.p_improvement);
            prop_assert!(test.p_mid <= test.p_two_sided);
        }

        #[test]
        fn fisher_does_not_care_for_the_order_of_groups(a in 0usize..30, b in 0usize..30, c in 0usize..30, d in 0usize..30) {
            let one = fisher_exact([[a, b], [c, d]]);
            let other = fisher_exact([[c, d], [a, b]]);
            prop_assert!((one.p_two_sided - other.p_two_sided).abs() < 1e-9);
            prop_assert!((one.p_less - other.p_greater).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&one.p_two_sided));
        }
    }
}
