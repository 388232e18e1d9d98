//! Numbers that look random and are not: the same ingredients always give the same number.

/// Mixes texts and numbers into 64 bits.
#[derive(Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325).number(seed)
    }

    /// Adds a text (FNV-1a), and its end, so that `ab` + `c` differs from `a` + `bc`.
    pub(super) fn text(self, text: &str) -> Self {
        let hash = text.bytes().fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(hash).number(text.len() as u64)
    }

    pub(super) fn number(self, number: u64) -> Self {
        let bytes = number.to_le_bytes();
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// All 64 bits, well stirred (the finalizer of splitmix64).
    pub(super) fn bits(self) -> u64 {
        let mut bits = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 up to, not including, 1.
    pub(super) fn share(self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
