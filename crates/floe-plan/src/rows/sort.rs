//! Ordering buffered rows by partition.

/// The order that puts buffered rows partition by partition: pairs of batch and row, for `ids` holding the
/// partition of each row of each batch. Rows of one partition keep their order.
///
/// ```
/// use floe_plan::rows::sort::partition_order;
///
/// let order = partition_order(&[vec![1, 0], vec![1]]);
/// assert_eq!(order, [(0, 1), (0, 0), (1, 0)]);
/// ```
pub fn partition_order(ids: &[Vec<u32>]) -> Vec<(usize, usize)> {
    let rows: usize = ids.iter().map(Vec::len).sum();
    let all =
        || ids.iter().enumerate().flat_map(|(b, ids)| ids.iter().enumerate().map(move |(r, id)| (*id, b, r)));
    let Some(highest) = all().map(|(id, ..)| id).max() else { return Vec::new() };
    let lowest = all().map(|(id, ..)| id).min().unwrap_or(0);
    let spread = (highest - lowest) as usize + 1;
    if spread > rows.saturating_mul(4).max(1024) {
        // Counting would touch more memory than the rows do.
        let mut order: Vec<_> = all().collect();
        order.sort_unstable();
        return order.into_iter().map(|(_, batch, row)| (batch, row)).collect();
    }
    let mut next = vec![0_usize; spread + 1];
    for (id, ..) in all() {
        next[(id - lowest) as usize + 1] += 1;
    }
    for i in 1..next.len() {
        next[i] += next[i - 1];
    }
    let mut order = vec![(0, 0); rows];
    for (id, batch, row) in all() {
        let at = &mut next[(id - lowest) as usize];
        order[*at] = (batch, row);
        *at += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_stable_sort(
            ids in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![0_u32..8, any::<u32>()], 0..40), 0..6),
        ) {
            let mut expected: Vec<(u32, usize, usize)> = Vec::new();
            for (b, batch) in ids.iter().enumerate() {
                expected.extend(batch.iter().enumerate().map(|(r, id)| (*id, b, r)));
            }
            expected.sort_by_key(|(id, ..)| *id);
            let expected: Vec<_> = expected.into_iter().map(|(_, b, r)| (b, r)).collect();
            prop_assert_eq!(partition_order(&ids), expected);
        }

        #[test]
        fn few_partitions_are_counted_alike(ids in proptest::collection::vec(0_u32..5, 300..400)) {
            let order = partition_order(std::slice::from_ref(&ids));
            let mut expected: Vec<usize> = (0..ids.len()).collect();
            expected.sort_by_key(|row| ids[*row]);
            prop_assert_eq!(order.into_iter().map(|(_, r)| r).collect::<Vec<_>>(), expected);
        }
    }
}
