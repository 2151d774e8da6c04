//! Which program wrote a Parquet file, and what is known of its statistics.

/// A writer, by the `created_by` of the footer: `NAME version 1.2.3 (build …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Writer {
    name: String,
    version: Option<[u32; 3]>,
}

impl Writer {
    /// `None` if the footer does not tell, as those of some early writers do not.
    pub(super) fn of(created_by: Option<&str>) -> Option<Self> {
        let text = created_by?.trim();
        if text.is_empty() {
            return None;
        }
        let (name, version) = match text.split_once(" version ") {
            Some((name, version)) => (name, Some(version)),
            None => match text.split_once(' ') {
                Some((name, version)) if name == "floe" => (name, Some(version)),
                _ => (text, None),
            },
        };
        let version = version.and_then(version_of);
        Some(Self { name: name.trim().to_ascii_lowercase(), version })
    }

    fn is(&self, name: &str) -> bool {
        self.name == name
    }

    fn since(&self, version: [u32; 3]) -> bool {
        self.version.is_some_and(|own| own >= version)
    }

    /// Whether its statistics of numbers with a fraction leave NaN out, or show it.
    ///
    /// parquet-cpp took the least and greatest value by comparisons that a NaN in the middle breaks (PARQUET-1225).
    pub(super) fn knows_nan(&self) -> bool {
        !self.is("parquet-cpp") || self.since([1, 4, 0])
    }

    /// Whether its statistics of bytes and text are in the order that the footer says (PARQUET-251, PARQUET-686).
    pub(super) fn orders_bytes(&self) -> bool {
        self.is("floe")
            || (self.is("parquet-mr") && self.since([1, 10, 0]))
            || (self.is("parquet-cpp") && self.since([1, 3, 0]))
            || self.is("parquet-cpp-arrow")
            || (self.is("parquet-rs") && self.since([30, 0, 0]))
            || (self.is("duckdb") && self.since([1, 0, 0]))
    }

    /// Whether its statistics of decimals that are stored as bytes are in the order of numbers (PARQUET-1655).
    pub(super) fn orders_decimal_bytes(&self) -> bool {
        self.is("floe")
            || (self.is("parquet-mr") && self.since([1, 10, 0]))
            || (self.is("parquet-cpp-arrow") && self.since([4, 0, 0]))
            || (self.is("parquet-rs") && self.since([40, 0, 0]))
    }

    /// Whether it left the header of the dictionary page out of the size of a column chunk (PARQUET-816).
    pub(super) fn forgets_dictionary_header(&self) -> bool {
        self.is("parquet-mr") && !self.since([1, 2, 9])
    }

    /// Whether it is a version of Spark, named as such, before `version`.
    pub(super) fn before(version: &str, than: [u32; 3]) -> bool {
        version_of(version).is_some_and(|own| own < than)
    }
}

/// The numbers that a version begins with.
fn version_of(text: &str) -> Option<[u32; 3]> {
    let text = text.trim().trim_start_matches('v');
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let first = numbers.next()?.ok()?;
    let mut next = || numbers.next().and_then(std::result::Result::ok).unwrap_or(0);
    Some([first, next(), next()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(created_by: &str) -> Writer {
        Writer::of(Some(created_by)).unwrap()
    }

    #[test]
    fn writers_are_known_by_name_and_version() {
        let mr = writer("parquet-mr version 1.12.3-SNAPSHOT (build abcd)");
        assert_eq!((mr.name.as_str(), mr.version), ("parquet-mr", Some([1, 12, 3])));
        assert_eq!(writer("parquet-cpp-arrow version 14.0.1").version, Some([14, 0, 1]));
        assert_eq!(writer("DuckDB version v1.3.2 (build 0b83e5d2f6)").version, Some([1, 3, 2]));
        assert_eq!(writer("parquet-mr").version, None);
        assert_eq!(writer(concat!("floe ", env!("CARGO_PKG_VERSION"))).name, "floe");
        assert_eq!(Writer::of(None), None);
        assert_eq!(Writer::of(Some(" ")), None);
    }

    #[test]
    fn statistics_of_bytes_are_believed_of_writers_that_got_them_right() {
        for (created_by, bytes, decimals) in [
            ("floe 0.1.0", true, true),
            ("parquet-mr version 1.8.1 (build 4aba4da)", false, false),
            ("parquet-mr version 1.10.0", true, true),
            ("parquet-mr", false, false),
            ("parquet-cpp version 1.2.9", false, false),
            ("parquet-cpp version 1.5.1-SNAPSHOT", true, false),
            ("parquet-cpp-arrow version 3.0.0", true, false),
            ("parquet-cpp-arrow version 21.0.0", true, true),
            ("parquet-rs version 58.4.1", true, true),
            ("parquet-rs version 5.1.0", false, false),
            ("impala version 1.2-INTERNAL (build x)", false, false),
            ("someone else", false, false),
        ] {
            let writer = writer(created_by);
            assert_eq!(
                (writer.orders_bytes(), writer.orders_decimal_bytes()),
                (bytes, decimals),
                "{created_by}"
            );
        }
    }

    #[test]
    fn versions_of_spark_are_compared() {
        assert!(Writer::before("2.4.8", [3, 0, 0]) && !Writer::before("3.0.0", [3, 0, 0]));
        assert!(Writer::before("3.0.1-amzn", [3, 1, 0]) && !Writer::before("4.0.0", [3, 1, 0]));
        assert!(!Writer::before("nightly", [3, 0, 0]));
    }
}
