//! When to end a row group and when to end a file.

use serde::{Deserialize, Serialize};

/// The sizes that row groups and files must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutLimits {
    /// Encoded bytes of a row group (`write.parquet.row-group-size-bytes`).
    pub row_group_bytes: u64,
    /// Rows of a row group (`write.parquet.row-group-limit`).
    pub row_group_rows: u64,
    /// Encoded bytes of a file (`write.target-file-size-bytes`).
    pub file_bytes: u64,
}

/// How far the open file is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FileProgress {
    /// Encoded bytes of the row groups that are ended.
    pub ended_bytes: u64,
    /// Rows handed to the open row group.
    pub group_rows: u64,
    /// Encoded bytes those rows take, as estimated.
    pub group_bytes: u64,
    /// Encoded bytes that one more row takes, as estimated. Above zero.
    pub bytes_per_row: f64,
}

/// What to do with the next rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Put at most so many rows, at least one, into the open row group, then ask again.
    Take(u64),
    /// End the row group; the file goes on.
    EndGroup,
    /// End the row group and the file.
    EndFile,
}

/// Decides where the next rows go. A row group and a file hold one row at least, however long it is.
///
/// A file that has come within 1/32 of its size is full: a sliver of a row group would cost readers more than
/// it holds.
///
/// ```
/// use floe_plan::rows::cut::{Cut, CutLimits, FileProgress, next_cut};
///
/// let limits = CutLimits { row_group_bytes: 1000, row_group_rows: 50, file_bytes: 3200 };
/// let start = FileProgress { bytes_per_row: 10.0, ..Default::default() };
/// assert_eq!(next_cut(&limits, &start), Cut::Take(50));
/// let full = FileProgress { group_rows: 50, group_bytes: 500, ..start };
/// assert_eq!(next_cut(&limits, &full), Cut::EndGroup);
/// let last = FileProgress { ended_bytes: 2700, ..full };
/// assert_eq!(next_cut(&limits, &last), Cut::EndFile);
/// ```
pub fn next_cut(limits: &CutLimits, at: &FileProgress) -> Cut {
    let file_left = limits.file_bytes.saturating_sub(at.ended_bytes + at.group_bytes);
    if at.ended_bytes + at.group_bytes > 0 && file_left <= limits.file_bytes / 32 {
        return Cut::EndFile;
    }
    let group_left = limits.row_group_bytes.saturating_sub(at.group_bytes);
    let rows_left = limits.row_group_rows.max(1).saturating_sub(at.group_rows);
    if at.group_rows > 0 && (rows_left == 0 || group_left == 0) {
        return Cut::EndGroup;
    }
    let by_bytes = (group_left.min(file_left) as f64 / at.bytes_per_row.max(f64::MIN_POSITIVE)).ceil();
    Cut::Take(rows_left.min(by_bytes.min(u64::MAX as f64) as u64).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes `rows` rows of `row_bytes` and gives the sizes of the row groups of each file.
    fn simulate(limits: &CutLimits, rows: u64, row_bytes: u64) -> Vec<Vec<u64>> {
        let (mut files, mut at, mut left) = (vec![vec![]], FileProgress::default(), rows);
        at.bytes_per_row = row_bytes as f64;
        while left > 0 {
            match next_cut(limits, &at) {
                Cut::Take(n) => {
                    let n = n.min(left);
                    left -= n;
                    at.group_rows += n;
                    at.group_bytes += n * row_bytes;
                }
                cut => {
                    if at.group_rows > 0 {
                        files.last_mut().unwrap().push(at.group_rows);
                    }
                    at.ended_bytes += at.group_bytes;
                    (at.group_rows, at.group_bytes) = (0, 0);
                    if cut == Cut::EndFile {
                        at.ended_bytes = 0;
                        files.push(vec![]);
                    }
                }
            }
        }
        files.last_mut().unwrap().push(at.group_rows);
        files
    }

    proptest! {
        #[test]
        fn sizes_stay_within_one_row_of_the_limits(
            row_group_bytes in 1_u64..5_000, row_group_rows in 1_u64..200, file_bytes in 1_u64..20_000,
            rows in 1_u64..3_000, row_bytes in 1_u64..300,
        ) {
            let limits = CutLimits { row_group_bytes, row_group_rows, file_bytes };
            let files = simulate(&limits, rows, row_bytes);
            prop_assert_eq!(files.iter().flatten().sum::<u64>(), rows);
            let last = files.len() - 1;
            for (i, file) in files.iter().enumerate() {
                for group in file {
                    prop_assert!(*group >= 1 && *group <= row_group_rows);
                    prop_assert!(group * row_bytes < row_group_bytes + row_bytes);
                }
                let bytes = file.iter().sum::<u64>() * row_bytes;
                prop_assert!(bytes < file_bytes + row_bytes);
                prop_assert!(i == last || bytes >= file_bytes - file_bytes / 32);
            }
        }
    }
}
