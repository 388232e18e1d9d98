//! Random numbers that are the same on every platform and in every version: xoshiro256++ by Blackman and Vigna, its state
//! filled by SplitMix64 from one number.

/// A stream of random numbers, determined by its seed.
///
/// Not for secrets. The algorithm is part of what a receipt promises: a change of it changes every resampled interval.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of this seed.
    pub fn from_seed(seed: u64) -> Random {
        let mut position = seed;
        let mut next = || {
            position = position.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (position ^ (position >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        Random { state: [next(), next(), next(), next()] }
    }

    /// Sixty-four random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let [s0, s1, s2, s3] = self.state;
        let result = s0.wrapping_add(s3).rotate_left(23).wrapping_add(s0);
        let (s2, s3) = (s2 ^ s0, s3 ^ s1);
        self.state = [s0 ^ s3, s1 ^ s2, s2 ^ (s1 << 17), s3.rotate_left(45)];
        result
    }

    /// A number from 0 up to, not including, `bound`, each as likely as the other; 0 if `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        let wide_bound = bound as u64;
        // Lemire's multiplication, rejecting the few draws that would favour small numbers.
        loop {
            let product = u128::from(self.bits()) * u128::from(wide_bound);
            let low = product as u64;
            if low >= wide_bound || low >= wide_bound.wrapping_neg() % wide_bound.max(1) {
                return (product >> 64) as usize;
            }
        }
    }

    /// A number from 0 up to, not including, 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// A standard normal value.
    pub fn normal(&mut self) -> f64 {
        loop {
            let p = self.unit();
            if p > 0.0 {
                return super::distributions::normal_quantile_inside(p);
            }
        }
    }

    /// Puts the items into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference code of xoshiro256++, as its authors published it.
    fn reference_next(s: &mut [u64; 4]) -> u64 {
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    #[test]
    fn the_stream_is_that_of_the_reference_code() {
        let mut random = Random::from_seed(0);
        // The first output of SplitMix64 for seed 0.
        assert_eq!(random.state[0], 0xe220_a839_7b1d_cdaf);
        let mut state = random.state;
        for _ in 0..1000 {
            assert_eq!(random.bits(), reference_next(&mut state));
        }
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut random = Random::from_seed(3);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[random.below(7)] += 1;
        }
        // Standard deviation of a count is about 93.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Random::from_seed(1).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
