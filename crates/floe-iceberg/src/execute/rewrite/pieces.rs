//! Cutting a row group into pieces that are read one by one.

use std::ops::Range;

use parquet::file::metadata::ParquetMetaData;

/// Compressed bytes of a piece, about. Few in tests, so that small row groups are cut too.
const PIECE_BYTES: u64 = if cfg!(test) { 64 } else { 8 << 20 };

/// The positions, out of those of a row group, that are read together: cut where pages of its largest column begin, so that
/// few pages are decoded twice. One piece if the file has no page indexes.
pub(super) fn pieces(footer: &ParquetMetaData, group: usize, positions: Range<u64>) -> Vec<Range<u64>> {
    let row_group = footer.row_group(group);
    let bytes = u64::try_from(row_group.compressed_size()).unwrap_or(0);
    let largest =
        (0..row_group.num_columns()).max_by_key(|column| row_group.column(*column).compressed_size());
    let index = largest.and_then(|column| footer.offset_index()?.get(group)?.get(column));
    let pages = index.iter().flat_map(|index| index.page_locations());
    let starts = pages.filter_map(|page| u64::try_from(page.first_row_index).ok());
    cut(positions, starts, bytes.div_ceil(PIECE_BYTES))
}

/// Cuts a range into about `count` pieces, at some of the `starts`, which are ascending and relative to its own.
fn cut(range: Range<u64>, starts: impl Iterator<Item = u64>, count: u64) -> Vec<Range<u64>> {
    let least = (range.end - range.start).div_ceil(count.max(1)).max(1);
    let mut pieces = Vec::new();
    let mut from = range.start;
    for start in starts.filter_map(|start| range.start.checked_add(start)) {
        if start < range.end && start.saturating_sub(from) >= least {
            pieces.push(from..start);
            from = start;
        }
    }
    pieces.push(from..range.end);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_begin_with_pages() {
        assert_eq!(cut(100..200, [0, 20, 40, 60, 80].into_iter(), 2), [100..160, 160..200]);
        assert_eq!(cut(100..200, [0, 20, 40, 60, 80].into_iter(), 1), [100..200]);
        assert_eq!(cut(100..200, std::iter::empty(), 9), [100..200]);
    }

    proptest! {
        #[test]
        fn pieces_are_the_range_in_order(
            start in 0_u64..1000, length in 1_u64..1000,
            mut starts in prop::collection::vec(0_u64..1200, 0..20), count in 0_u64..20,
        ) {
            starts.sort_unstable();
            let pieces = cut(start..start + length, starts.iter().copied(), count);
            prop_assert_eq!(pieces.first().map(|p| p.start), Some(start));
            prop_assert_eq!(pieces.last().map(|p| p.end), Some(start + length));
            prop_assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            prop_assert!(pieces.iter().all(|piece| piece.start < piece.end));
            prop_assert!(pieces.len() as u64 <= count.max(1));
        }
    }
}
