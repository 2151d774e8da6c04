//! Fuzzing without a fuzzer: files of a corpus, damaged by a seeded generator, on the stable toolchain.
//!
//! A run is the corpus as it is, and so many cases as are usual for a test. `FLOE_TEST_SEEDS=100000` runs more of them,
//! `FLOE_TEST_SEED=7` one again. The bytes of a case that fails are kept in a file, which belongs into the corpus once the
//! fault is mended.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use floe_core::{Error, ErrorKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How long one case may take, in builds without optimisation too.
const PATIENCE: Duration = Duration::from_secs(10);
/// Files that are larger are taken now and then only.
const LARGE_BYTES: usize = 16 << 10;
/// No case is larger.
const MOST_BYTES: usize = 256 << 10;

/// Files of one kind, in the order of their names.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: String,
    files: Vec<(String, Vec<u8>)>,
    words: Vec<Vec<u8>>,
}

/// What a reader made of a case: rows, or whatever else it counts, or an error.
pub type Outcome = Result<u64, Error>;

impl Corpus {
    /// The files of `folder`, below the corpus at `root`. Panics when there are none: a fuzzer without a corpus finds nothing.
    pub fn load(root: impl AsRef<Path>, folder: &str) -> Self {
        let path = root.as_ref().join(folder);
        let entries = fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut files: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs::read(entry.path()).unwrap_or_default())
            })
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} holds no files", path.display());
        Self { name: folder.to_owned(), files, words: Vec::new() }
    }

    /// These files, with their names.
    pub fn of(name: &str, files: Vec<(String, Vec<u8>)>) -> Self {
        assert!(!files.is_empty(), "a corpus holds files");
        Self { name: name.to_owned(), files, words: Vec::new() }
    }

    /// Words that are put into cases now and then.
    #[must_use]
    pub fn with_words(mut self, words: &[&str]) -> Self {
        self.words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self
    }

    /// The files as they are: names and bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The case of a seed: one of the files, damaged.
    pub fn case(&self, seed: u64) -> (String, Vec<u8>) {
        let mut rng =
            StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.name.len() as u64);
        let mut chosen = rng.random_range(0..self.files.len());
        // Large files take long.
        for _ in 0..20 {
            if self.files[chosen].1.len() > LARGE_BYTES {
                chosen = rng.random_range(0..self.files.len());
            }
        }
        if rng.random_ratio(1, 200) {
            chosen = rng.random_range(0..self.files.len());
        }
        let (name, bytes) = &self.files[chosen];
        let mut bytes = bytes.clone();
        for _ in 0..=(rng.random_range(0..4) * rng.random_range(0..3)) {
            self.damage(&mut rng, &mut bytes);
        }
        bytes.truncate(MOST_BYTES);
        (name.clone(), bytes)
    }

    fn damage(&self, rng: &mut StdRng, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let at = if length == 0 { 0 } else { rng.random_range(0..length) };
        // Much of what a reader trusts is at the end of a file.
        let at = if rng.random_bool(0.3) { length - (length - at).min(64.min(length)) } else { at };
        let some = 1 + rng.random_range(0..1 + (length - at).min(64));
        match rng.random_range(0..11) {
            0 if length > 0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if length > 0 => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\n', b','][rng.random_range(0..8)];
            }
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + some).min(length))),
            4 => {
                let piece = bytes[at..(at + some).min(length)].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let noise: Vec<u8> = (0..some).map(|_| rng.random()).collect();
                bytes.splice(at..at, noise);
            }
            6 | 7 => {
                let numbers = [
                    0,
                    1,
                    -1,
                    i64::MAX,
                    i64::MIN,
                    i64::from(i32::MAX),
                    i64::from(i32::MIN),
                    1 << 40,
                    255,
                    65_536,
                ];
                let number = numbers[rng.random_range(0..numbers.len())].to_le_bytes();
                let width = [1, 2, 4, 8][rng.random_range(0..4)];
                for (place, byte) in bytes.iter_mut().skip(at).zip(&number[..width]) {
                    *place = *byte;
                }
            }
            8 => {
                // A number of variable length that is as large as can be.
                let large = [0xff_u8, 0xff, 0xff, 0xff, 0x0f];
                bytes.splice(at..at, large);
            }
            9 if !self.words.is_empty() => {
                let word = self.words[rng.random_range(0..self.words.len())].clone();
                bytes.splice(at..at, word);
            }
            _ => {
                let (_, other) = &self.files[rng.random_range(0..self.files.len())];
                if !other.is_empty() {
                    let from = rng.random_range(0..other.len());
                    let piece = &other[from..(from + some * 4).min(other.len())];
                    bytes.splice(at..(at + some).min(length), piece.iter().copied());
                }
            }
        }
    }

    /// Gives every file of the corpus to `read`, and `usual` damaged ones. Panics when a panic comes out of it, when an error is
    /// of none of the `allowed` kinds, when it takes too long, and when a file whose name begins with `valid` fails, or
    /// `valid-N-` gives other than `N`.
    pub fn run(&self, usual: u64, allowed: &[ErrorKind], mut read: impl FnMut(&[u8]) -> Outcome) -> Tally {
        let mut tally = Tally::default();
        for (name, bytes) in &self.files {
            let outcome = self.one(name, bytes, allowed, &mut read);
            if let Some(rest) = name.strip_prefix("valid") {
                let expected = rest.split('-').nth(1).and_then(|number| number.parse::<u64>().ok());
                match (&outcome, expected) {
                    (Ok(found), Some(expected)) => assert_eq!(*found, expected, "{}/{name}", self.name),
                    (Ok(_), None) => {}
                    (Err(error), _) => panic!("{}/{name}: {error:?}", self.name),
                }
            }
            tally.count(&outcome);
        }
        for seed in seeds(usual) {
            let (name, bytes) = self.case(seed);
            let outcome = self.one(&format!("{name}, seed {seed}"), &bytes, allowed, &mut read);
            tally.count(&outcome);
        }
        tally
    }

    fn one(
        &self,
        case: &str,
        bytes: &[u8],
        allowed: &[ErrorKind],
        read: &mut impl FnMut(&[u8]) -> Outcome,
    ) -> Outcome {
        if let Some(path) = std::env::var_os("FLOE_FUZZ_LAST") {
            // For what stops the process: this is the case then.
            fs::write(path, bytes).unwrap_or_default();
        }
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(bytes)));
        let took = started.elapsed();
        let fault = match &outcome {
            Err(_) => Some("a panic came through".to_owned()),
            Ok(Err(error)) if !allowed.contains(&error.kind()) => {
                Some(format!("an error of another kind: {error:?}"))
            }
            Ok(_) if took > PATIENCE => Some(format!("it took {took:?}")),
            Ok(_) => None,
        };
        if let Some(fault) = fault {
            let kept = keep(&self.name, case, bytes);
            panic!("{}/{case}: {fault}; the case is in {}", self.name, kept.display());
        }
        outcome.unwrap_or(Ok(0))
    }
}

/// How the cases of a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases that were read.
    pub read: u64,
    /// Cases that were refused.
    pub refused: u64,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.read += 1,
            Err(_) => self.refused += 1,
        }
    }
}

/// The seeds of a run.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("FLOE_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FLOE_TEST_SEEDS").unwrap_or(usual),
    }
}

fn keep(corpus: &str, case: &str, bytes: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join("floe-fuzz").join(corpus);
    let name: String =
        case.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let path = folder.join(name);
    // The case can be made again from its seed when this fails.
    let _ = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, bytes));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Corpus {
        let long = (0..200).map(|n| n as u8).collect();
        let files = vec![("valid-3-a".to_owned(), b"abc".to_vec()), ("long".to_owned(), long)];
        Corpus { name: "test".to_owned(), files, words: vec![b"word".to_vec()] }
    }

    #[test]
    fn a_seed_is_always_the_same_case_and_most_seeds_are_others() {
        let all: Vec<_> = (0..500).map(|seed| corpus().case(seed)).collect();
        assert_eq!(all, (0..500).map(|seed| corpus().case(seed)).collect::<Vec<_>>());
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert!(different.len() > 300, "{}", different.len());
    }

    #[test]
    fn faults_of_a_reader_are_found() {
        let found = |read: &dyn Fn(&[u8]) -> Outcome| {
            let run = || corpus().run(50, &[ErrorKind::Corrupted], read);
            catch_unwind(AssertUnwindSafe(run)).is_err()
        };
        assert!(!found(&|bytes| Ok(bytes.len() as u64)));
        assert!(found(&|_| Ok(4)), "a valid file with another count");
        assert!(found(&|_| Err(Error::new(ErrorKind::Corrupted, "no"))), "a valid file refused");
        let refused =
            |kind| move |bytes: &[u8]| if bytes == b"abc" { Ok(3) } else { Err(Error::new(kind, "no")) };
        assert!(!found(&refused(ErrorKind::Corrupted)));
        assert!(found(&refused(ErrorKind::Internal)), "an error of another kind");
        assert!(found(&|bytes| Ok(u64::from(bytes[2]) - u64::from(bytes[2]) + 3)), "a panic");
    }
}
