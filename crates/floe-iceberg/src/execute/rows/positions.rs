//! Positions of rows in a file.

use std::ops::Range;

/// A set of positions of rows in one data file, counted from 0: a bit for each row up to the last of them.
///
/// ```
/// use floe_iceberg::execute::rows::Positions;
///
/// let mut positions = Positions::default();
/// positions.extend([3, 70, 3]);
/// assert_eq!(positions.count(), 2);
/// assert_eq!(positions.within(4..100).collect::<Vec<_>>(), [70]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    words: Vec<u64>,
    count: u64,
}

impl Positions {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a position.
    pub fn insert(&mut self, position: u64) {
        let (word, bit) = ((position / 64) as usize, 1_u64 << (position % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.count += 1;
        }
    }

    /// Whether a position is among them.
    pub fn contains(&self, position: u64) -> bool {
        let word = usize::try_from(position / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Those within a range, ascending.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        let last = self.words.len() as u64 * 64;
        let (start, end) = (range.start.min(last), range.end.min(last));
        let words = start / 64..end.div_ceil(64);
        words.flat_map(move |word| {
            let mut bits = self.words[word as usize];
            std::iter::from_fn(move || {
                let bit = u64::from(bits.trailing_zeros());
                (bits != 0).then(|| {
                    bits &= bits - 1;
                    word * 64 + bit
                })
            })
            .filter(move |position| (start..end).contains(position))
        })
    }

    /// All, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.within(0..u64::MAX)
    }

    /// How many bytes of memory they take.
    pub fn memory(&self) -> u64 {
        self.words.capacity() as u64 * 8
    }
}

impl Extend<u64> for Positions {
    fn extend<T: IntoIterator<Item = u64>>(&mut self, positions: T) {
        positions.into_iter().for_each(|position| self.insert(position));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_positions_is_a_set(
            values in prop::collection::vec(0_u64..400, 0..60), start in 0_u64..500, length in 0_u64..500
        ) {
            let mut positions = Positions::default();
            positions.extend(values.iter().copied());
            let model: BTreeSet<u64> = values.into_iter().collect();
            prop_assert_eq!(positions.count(), model.len() as u64);
            prop_assert!(positions.iter().eq(model.iter().copied()));
            prop_assert!(positions.within(start..start + length).eq(model.range(start..start + length).copied()));
            prop_assert!((0..450).all(|p| positions.contains(p) == model.contains(&p)));
        }
    }
}
