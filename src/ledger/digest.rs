//! The digest of a projection: a sum of hashes, so that a changed row costs one subtraction and one addition.

use std::fmt;

/// A number modulo 2^256. The order of additions does not matter; adding and subtracting one hash cancel out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u64; 4]);

impl Digest {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0_u64; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut word = [0_u8; 8];
            word.copy_from_slice(chunk);
            *limb = u64::from_le_bytes(word);
        }
        Self(limbs)
    }

    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0_u8; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    pub fn add(&mut self, hash: [u8; 32]) {
        let mut carry = false;
        for (limb, term) in self.0.iter_mut().zip(Self::from_bytes(hash).0) {
            let (sum, first) = limb.overflowing_add(term);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
    }

    pub fn subtract(&mut self, hash: [u8; 32]) {
        let mut borrow = false;
        for (limb, term) in self.0.iter_mut().zip(Self::from_bytes(hash).0) {
            let (difference, first) = limb.overflowing_sub(term);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            *limb = difference;
            borrow = first || second;
        }
    }
}

impl fmt::Display for Digest {
    /// 64 hex digits, most significant first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_of_additions_does_not_matter_and_subtraction_undoes(hashes in prop::collection::vec(any::<[u8; 32]>(), 0..20)) {
            let mut forward = Digest::default();
            let mut backward = Digest::default();
            hashes.iter().for_each(|hash| forward.add(*hash));
            hashes.iter().rev().for_each(|hash| backward.add(*hash));
            prop_assert_eq!(forward, backward);
            prop_assert_eq!(Digest::from_bytes(forward.to_bytes()), forward);
            hashes.iter().for_each(|hash| forward.subtract(*hash));
            prop_assert_eq!(forward, Digest::default());
        }
    }
}
