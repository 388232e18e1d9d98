//! The normal, t, beta, binomial and chi-square distributions.
//!
//! Written here rather than taken from a crate, so that every elementary function comes from `libm` and results are the
//! same to the last bit on every platform. Binomial terms use Loader's saddle-point form ("Fast and accurate computation
//! of binomial probabilities", 2000), which keeps its accuracy for large n; the normal quantile is Wichura's AS 241.

use super::Undefined;

const LN_SQRT_TWO_PI: f64 = 0.918_938_533_204_672_8;
const TWO_PI: f64 = std::f64::consts::TAU;

/// The probability that a standard normal value is at most `z`.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The probability that a standard normal value is greater than `z`; accurate far out in the tail.
pub fn normal_upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2)
}

/// The value that a standard normal is below with probability `p`.
///
/// # Errors
///
/// `p` does not lie strictly between 0 and 1.
pub fn normal_quantile(p: f64) -> Result<f64, Undefined> {
    if p > 0.0 && p < 1.0 { Ok(normal_quantile_inside(p)) } else { Err(Undefined::OutOfRange { name: "p" }) }
}

fn polynomial(x: f64, from_highest: &[f64]) -> f64 {
    from_highest.iter().fold(0.0, |value, coefficient| value * x + coefficient)
}

/// AS 241, PPND16: relative error about 1e-16.
#[expect(clippy::excessive_precision, reason = "the coefficients stand as they were published")]
pub(super) fn normal_quantile_inside(p: f64) -> f64 {
    let from_middle = p - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        let numerator = [
            2.509_080_928_730_122_672_7e3,
            3.343_057_558_358_812_810_5e4,
            6.726_577_092_700_870_085_3e4,
            4.592_195_393_154_987_145_7e4,
            1.373_169_376_550_946_112_5e4,
            1.971_590_950_306_551_442_7e3,
            1.331_416_678_917_843_774_5e2,
            3.387_132_872_796_366_608,
        ];
        let denominator = [
            5.226_495_278_852_854_561e3,
            2.872_908_573_572_194_267_4e4,
            3.930_789_580_009_271_061e4,
            2.121_379_430_158_659_586_7e4,
            5.394_196_021_424_751_107_7e3,
            6.871_870_074_920_579_083e2,
            4.231_333_070_160_091_125_2e1,
            1.0,
        ];
        return from_middle * polynomial(r, &numerator) / polynomial(r, &denominator);
    }
    let tail = if from_middle < 0.0 { p } else { 1.0 - p };
    let r = (-libm::log(tail)).sqrt();
    let magnitude = if r <= 5.0 {
        let r = r - 1.6;
        let numerator = [
            7.745_450_142_783_414_076_4e-4,
            2.272_384_498_926_918_458_33e-2,
            2.417_807_251_774_506_117_7e-1,
            1.270_458_252_452_368_382_58,
            3.647_848_324_763_204_605_04,
            5.769_497_221_460_691_405_5,
            4.630_337_846_156_545_295_9,
            1.423_437_110_749_683_577_34,
        ];
        let denominator = [
            1.050_750_071_644_416_843_24e-9,
            5.475_938_084_995_344_946e-4,
            1.519_866_656_361_645_719_66e-2,
            1.481_039_764_274_800_745_9e-1,
            6.897_673_349_851_000_045_5e-1,
            1.676_384_830_183_803_849_4,
            2.053_191_626_637_758_821_87,
            1.0,
        ];
        polynomial(r, &numerator) / polynomial(r, &denominator)
    } else {
        let r = r - 5.0;
        let numerator = [
            2.010_334_399_292_288_132_65e-7,
            2.711_555_568_743_487_578_15e-5,
            1.242_660_947_388_078_438_6e-3,
            2.653_218_952_657_612_309_3e-2,
            2.965_605_718_285_048_912_3e-1,
            1.784_826_539_917_291_335_8,
            5.463_784_911_164_114_369_9,
            6.657_904_643_501_103_777_2,
        ];
        let denominator = [
            2.044_263_103_389_939_785_64e-15,
            1.421_511_758_316_445_888_7e-7,
            1.846_318_317_510_054_681_8e-5,
            7.868_691_311_456_132_591e-4,
            1.487_536_129_085_061_485_25e-2,
            1.369_298_809_227_358_053_1e-1,
            5.998_322_065_558_879_376_9e-1,
            1.0,
        ];
        polynomial(r, &numerator) / polynomial(r, &denominator)
    };
    if from_middle < 0.0 { -magnitude } else { magnitude }
}

/// The part of `ln n!` that Stirling's formula leaves.
fn stirling_error(n: f64) -> f64 {
    if n <= 15.0 {
        return libm::lgamma(n + 1.0) - (n + 0.5) * libm::log(n) + n - LN_SQRT_TWO_PI;
    }
    let square = n * n;
    let series = [-1.0 / 1188.0, 1.0 / 1680.0, -1.0 / 1260.0, 1.0 / 360.0, -1.0 / 12.0];
    -polynomial(1.0 / square, &series) / n
}

/// `x ln(x/m) + m − x`, without cancellation where the two are near.
fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    if difference.abs() >= 0.1 * (x + m) {
        return x * libm::log(x / m) + m - x;
    }
    let ratio = difference / (x + m);
    let square = ratio * ratio;
    let mut total = difference * ratio;
    let mut term = 2.0 * x * ratio;
    let mut odd = 1.0;
    loop {
        term *= square;
        odd += 2.0;
        let next = total + term / odd;
        if next == total {
            return next;
        }
        total = next;
    }
}

/// `n! / (x! (n−x)!) p^x q^(n−x)` for real x and n.
fn binomial_term(x: f64, n: f64, p: f64, q: f64) -> f64 {
    if p <= 0.0 {
        return if x == 0.0 { 1.0 } else { 0.0 };
    }
    if q <= 0.0 {
        return if x == n { 1.0 } else { 0.0 };
    }
    if x == 0.0 {
        return libm::exp(if p < 0.1 { -deviance(n, n * q) - n * p } else { n * libm::log(q) });
    }
    if x == n {
        return libm::exp(if q < 0.1 { -deviance(n, n * p) - n * q } else { n * libm::log(p) });
    }
    let exponent =
        stirling_error(n) - stirling_error(x) - stirling_error(n - x) - deviance(x, n * p) - deviance(n - x, n * q);
    let scale = libm::log(TWO_PI) + libm::log(x) + libm::log1p(-x / n);
    libm::exp(exponent - 0.5 * scale)
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn beta_continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..200_000u32 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 3e-16 {
            break;
        }
    }
    fraction
}

/// The lower and the upper tail of the beta distribution at `x = 1 − y`, each without cancellation.
fn beta_tails(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    let side = |a: f64, b: f64, x: f64, y: f64| {
        (b / (a + b) * binomial_term(a, a + b, x, y) * beta_continued_fraction(a, b, x)).clamp(0.0, 1.0)
    };
    if x < (a + 1.0) / (a + b + 2.0) {
        let lower = side(a, b, x, y);
        (lower, 1.0 - lower)
    } else {
        let upper = side(b, a, y, x);
        (1.0 - upper, upper)
    }
}

/// The value that a beta(a, b) variable is below with probability `lower`, for positive a and b.
pub(super) fn beta_quantile(lower: f64, a: f64, b: f64) -> f64 {
    if lower <= 0.0 {
        return 0.0;
    }
    if lower >= 1.0 {
        return 1.0;
    }
    let (mut below, mut above) = (0.0, 1.0);
    let mut x = a / (a + b);
    for _ in 0..400 {
        let (lower_tail, upper_tail) = beta_tails(a, b, x, 1.0 - x);
        // The smaller tail carries the digits.
        let excess = if lower <= 0.5 { lower_tail - lower } else { (1.0 - lower) - upper_tail };
        if excess == 0.0 {
            return x;
        }
        if excess > 0.0 {
            above = x;
        } else {
            below = x;
        }
        let density = a * b / (a + b) * binomial_term(a, a + b, x, 1.0 - x) / (x * (1.0 - x));
        let newton = x - excess / density;
        let next = if newton > below && newton < above { newton } else { 0.5 * (below + above) };
        if (next - x).abs() <= 1e-16 * x || next == x {
            return next;
        }
        x = next;
    }
    x
}

/// The probability of exactly `k` successes in `n` draws of probability `p`.
pub fn binomial_probability(k: u64, n: u64, p: f64) -> f64 {
    if k > n { 0.0 } else { binomial_term(k as f64, n as f64, p, 1.0 - p) }
}

/// The probability of at most `k` successes in `n` draws of probability `p`.
pub fn binomial_cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 1.0 } else { beta_tails((n - k) as f64, k as f64 + 1.0, 1.0 - p, p).0 }
}

/// The probability of at least `k` successes in `n` draws of probability `p`.
pub fn binomial_at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        1.0
    } else if k > n {
        0.0
    } else {
        beta_tails(k as f64, (n - k) as f64 + 1.0, p, 1.0 - p).0
    }
}

/// The probability that Student's t with `df` degrees of freedom is greater than `t`.
///
/// # Errors
///
/// `df` is not positive, or `t` is NaN.
pub fn student_t_upper_tail(t: f64, df: f64) -> Result<f64, Undefined> {
    if df.is_nan() || df <= 0.0 {
        return Err(Undefined::OutOfRange { name: "df" });
    }
    if t.is_nan() {
        return Err(Undefined::NotFinite);
    }
    let tail = student_t_tail(t.abs(), df);
    Ok(if t >= 0.0 { tail } else { 1.0 - tail })
}

/// The probability that Student's t with `df` degrees of freedom is at least as far from 0 as `t`.
///
/// # Errors
///
/// `df` is not positive, or `t` is NaN.
pub fn student_t_two_sided(t: f64, df: f64) -> Result<f64, Undefined> {
    student_t_upper_tail(t.abs(), df).map(|tail| (2.0 * tail).min(1.0))
}

fn student_t_tail(t: f64, df: f64) -> f64 {
    let square = t * t;
    if square.is_infinite() {
        return 0.0;
    }
    if df > 2e6 {
        // Abramowitz and Stegun 26.7.8, whose error falls with df²; the incomplete beta function would lose digits.
        return normal_upper_tail(t * (1.0 - 0.25 / df) / (1.0 + square / (2.0 * df)).sqrt());
    }
    0.5 * beta_tails(df / 2.0, 0.5, df / (df + square), square / (df + square)).0
}

/// The value that Student's t with `df` degrees of freedom is below with probability `p`.
///
/// # Errors
///
/// `p` does not lie strictly between 0 and 1, or `df` is not positive.
pub fn student_t_quantile(p: f64, df: f64) -> Result<f64, Undefined> {
    if !(p > 0.0 && p < 1.0) {
        return Err(Undefined::OutOfRange { name: "p" });
    }
    if df.is_nan() || df <= 0.0 {
        return Err(Undefined::OutOfRange { name: "df" });
    }
    let tail = p.min(1.0 - p);
    let magnitude = student_t_from_tail(tail, df);
    Ok(if p < 0.5 { -magnitude } else { magnitude })
}

/// The value that t is above with probability `tail`, for a tail below one half.
pub(super) fn student_t_from_tail(tail: f64, df: f64) -> f64 {
    if tail >= 0.5 {
        return 0.0;
    }
    if df == 1.0 {
        return 1.0 / libm::tan(std::f64::consts::PI * tail);
    }
    if df == 2.0 {
        return (1.0 - 2.0 * tail) / (2.0 * tail * (1.0 - tail)).sqrt();
    }
    let z = -normal_quantile_inside(tail);
    let (mut below, mut above) = (0.0, z.max(1.0));
    while student_t_tail(above, df) > tail {
        below = above;
        above *= 2.0;
        if above.is_infinite() {
            return below;
        }
    }
    let log_scale =
        libm::lgamma((df + 1.0) / 2.0) - libm::lgamma(df / 2.0) - 0.5 * libm::log(df * std::f64::consts::PI);
    let mut t = (z + (z * z * z + z) / (4.0 * df)).clamp(below, above);
    for _ in 0..400 {
        let excess = student_t_tail(t, df) - tail;
        if excess == 0.0 {
            return t;
        }
        if excess > 0.0 {
            below = t;
        } else {
            above = t;
        }
        let density = libm::exp(log_scale - 0.5 * (df + 1.0) * libm::log1p(t * t / df));
        let newton = t + excess / density;
        let next = if newton > below && newton < above { newton } else { 0.5 * (below + above) };
        if (next - t).abs() <= 2e-16 * t || next == t {
            return next;
        }
        t = next;
    }
    t
}

/// The probability that a chi-square value with one degree of freedom is greater than `x`.
pub fn chi_square_one_upper_tail(x: f64) -> f64 {
    if x <= 0.0 { 1.0 } else { libm::erfc((x / 2.0).sqrt()) }
}

/// The logarithm of the number of ways to choose `k` of `n`.
pub(super) fn ln_choose(n: u64, k: u64) -> f64 {
    if k == 0 || k >= n {
        return 0.0;
    }
    // C(n, k) = 2^n times the binomial term at one half, which Loader's form gives to full accuracy.
    let (x, n) = (k as f64, n as f64);
    let exponent =
        stirling_error(n) - stirling_error(x) - stirling_error(n - x) - deviance(x, n * 0.5) - deviance(n - x, n * 0.5);
    exponent - 0.5 * (libm::log(TWO_PI) + libm::log(x) + libm::log1p(-x / n)) + n * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_close(found: f64, wanted: f64, relative: f64) {
        assert!((found - wanted).abs() <= relative * wanted.abs().max(1e-300), "{found:e} is not {wanted:e}");
    }

    #[test]
    fn the_normal_quantile_undoes_the_distribution_down_to_the_far_tail() {
        for p in [1e-300, 1e-40, 1e-12, 1e-5, 0.01, 0.07, 0.0751, 0.3, 0.5, 0.8] {
            check_close(normal_cdf(normal_quantile(p).unwrap()), p, 2e-12);
        }
        check_close(normal_quantile(0.975).unwrap(), 1.959_963_984_540_054, 1e-15);
    }

    /// For whole degrees of freedom the tail has a closed form (Abramowitz and Stegun 26.7.3 and 26.7.4).
    fn closed_form_two_sided(t: f64, df: u32) -> f64 {
        let theta = (t / f64::from(df).sqrt()).atan();
        let (mut term, mut total) = (1.0, 0.0);
        let inside = if df % 2 == 1 {
            let mut k = 1;
            while k + 2 <= df {
                term = if k == 1 { theta.cos() } else { term * f64::from(k - 1) / f64::from(k) * theta.cos().powi(2) };
                total += term;
                k += 2;
            }
            2.0 / std::f64::consts::PI * (theta + theta.sin() * total)
        } else {
            let mut k = 0;
            while k + 2 <= df {
                term = if k == 0 { 1.0 } else { term * f64::from(k - 1) / f64::from(k) * theta.cos().powi(2) };
                total += term;
                k += 2;
            }
            theta.sin() * total
        };
        1.0 - inside
    }

    #[test]
    fn students_t_agrees_with_its_closed_form() {
        for df in 1..60 {
            for t in [0.01, 0.3, 1.0, 1.96, 3.0, 6.0] {
                let found = student_t_two_sided(t, f64::from(df)).unwrap();
                assert!((found - closed_form_two_sided(t, df)).abs() < 1e-13, "t {t}, df {df}");
            }
        }
    }

    #[test]
    fn the_t_quantile_undoes_the_distribution() {
        for df in [0.5, 1.0, 2.0, 3.0, 7.5, 49.0, 1e3, 1e6, 1e9] {
            for p in [1e-8, 0.001, 0.025, 0.2, 0.49] {
                check_close(1.0 - student_t_upper_tail(student_t_quantile(p, df).unwrap(), df).unwrap(), p, 1e-7);
                let upper = student_t_quantile(1.0 - p, df).unwrap();
                check_close(student_t_upper_tail(upper, df).unwrap(), 1.0 - (1.0 - p), 1e-10);
            }
        }
    }

    #[test]
    fn binomial_tails_equal_their_sums() {
        for n in [1u64, 2, 5, 17, 60] {
            for p in [0.03f64, 0.5, 0.9] {
                let mut total = 0.0;
                for k in 0..=n {
                    let choose: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
                    let term = choose * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32);
                    check_close(binomial_probability(k, n, p), term, 1e-12);
                    assert!((binomial_at_least(k, n, p) - (1.0 - total)).abs() < 1e-12);
                    total += term;
                    assert!((binomial_cdf(k, n, p) - total).abs() < 1e-12);
                    check_close(libm::exp(ln_choose(n, k)), choose, 1e-11);
                }
            }
        }
    }

    #[test]
    fn beta_quantiles_have_closed_forms_at_the_ends() {
        // Of n draws all are successes: the lower bound is the n-th root of the tail.
        for n in [1.0, 10.0, 1000.0] {
            check_close(beta_quantile(0.025, n, 1.0), 0.025f64.powf(1.0 / n), 1e-13);
            check_close(beta_quantile(0.975, 1.0, n), 1.0 - 0.025f64.powf(1.0 / n), 1e-11);
        }
        check_close(beta_quantile(0.025, 1.0, 1e9), -(0.975f64.ln() * 1e-9).exp_m1(), 1e-12);
    }
}
