//! A fast generator of pseudo-random numbers, for tests that can be repeated.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// Different seeds, even adjacent ones, give unrelated sequences.
    pub fn new(seed: u64) -> Self {
        // The state must not be zero.
        Self(mix(seed).max(1))
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; zero when the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half, scaled: no division, and the bias does not matter for tests.
        ((self.draw() >> 32) * bound) >> 32
    }
}

/// Spreads the bits of a number (the finaliser of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
