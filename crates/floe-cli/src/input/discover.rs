//! From the arguments of a command to its inputs.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use floe::{Error, ErrorKind, Result};

use super::sniff;
use super::source::{Seekable, spool};
use super::{ReadOptions, Source};

/// The inputs that `paths` stand for, in order. A folder stands for all files of known formats below it, in the
/// order of their paths, without hidden ones and those that start with `_`; `-` is standard input.
///
/// What is no regular file (a pipe, a FIFO, a device) is opened once and read once. One such input is read as it comes;
/// several are copied to temporary files first, side by side, so that it does not matter in which order they are written.
///
/// Fails with `FileNotFound` or `PermissionDenied` for a path that cannot be read, with `Validation` for a
/// folder without inputs, a format that is not known, or a stream that is given twice.
pub(crate) fn discover(paths: &[PathBuf], options: &ReadOptions) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for path in paths {
        if is_stdin(path) {
            found.push(Found::Stream("standard input".to_owned(), None));
            continue;
        }
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, e))?;
        if metadata.is_file() {
            found.push(Found::File(path.clone()));
            continue;
        }
        if !metadata.is_dir() {
            found.push(Found::Stream(path.display().to_string(), Some(path.clone())));
            continue;
        }
        let mut files = Vec::new();
        walk(path, &mut files)?;
        if files.is_empty() {
            return Err(Error::validation(format!("{}: no input files in this folder", path.display()))
                .with_hint("files are known by extension: .parquet .csv .tsv .json .ndjson .jsonl .arrow .feather .ipc"));
        }
        found.extend(files.into_iter().map(Found::File));
    }
    check_streams(&found)?;
    let alone = found.iter().filter(|found| matches!(found, Found::Stream(..))).count() < 2;
    let mut copies = if alone { Vec::new() } else { copied(&found)? };
    copies.reverse();
    let sources = found.into_iter().map(|found| match found {
        Found::File(path) => Source::file(path.display().to_string(), Seekable::Path(path), options),
        Found::Stream(label, path) => match copies.pop() {
            Some(copy) => Source::file(label, copy, options),
            None => Source::stream(label, opened(path.as_deref())?, options),
        },
    });
    sources.collect()
}

/// What a path stands for.
enum Found {
    File(PathBuf),
    /// What it is called, and its path, unless it is standard input.
    Stream(String, Option<PathBuf>),
}

/// Opens a stream. Waits for a writer, if it is a FIFO.
fn opened(path: Option<&Path>) -> Result<Box<dyn Read + Send>> {
    Ok(match path {
        None => Box::new(std::io::stdin()),
        Some(path) => Box::new(fs::File::open(path).map_err(|e| unreadable(path, e))?),
    })
}

/// Copies of all streams, made side by side: who writes them may write them in any order.
fn copied(found: &[Found]) -> Result<Vec<Seekable>> {
    std::thread::scope(|scope| {
        let streams = found.iter().filter_map(|found| match found {
            Found::File(_) => None,
            Found::Stream(label, path) => Some((label, path)),
        });
        let threads =
            streams.map(|(label, path)| scope.spawn(move || spool(&mut opened(path.as_deref())?, label)));
        let threads: Vec<_> = threads.collect();
        let copies = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "a reader of an input stopped")))
        });
        copies.collect()
    })
}

/// Fails if one stream is given twice: the second would find nothing.
fn check_streams(found: &[Found]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for found in found {
        if let Found::Stream(label, path) = found
            && identity(path.as_deref()).is_some_and(|identity| !seen.insert(identity))
        {
            return Err(Error::validation(format!("{label} can be read once only, and is given twice")));
        }
    }
    Ok(())
}

/// Fails if these paths, which are read one after the other, name one stream twice.
pub(crate) fn check_once<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Result<()> {
    let streams = paths.filter_map(|path| {
        let stream = || fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
        if is_stdin(path) {
            return Some(Found::Stream("standard input".to_owned(), None));
        }
        stream().then(|| Found::Stream(path.display().to_string(), Some(path.clone())))
    });
    check_streams(&streams.collect::<Vec<_>>())
}

/// What tells one stream from another.
#[cfg(unix)]
fn identity(path: Option<&Path>) -> Option<(u64, u64)> {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let metadata = match path {
        Some(path) => fs::metadata(path),
        None => std::io::stdin().as_fd().try_clone_to_owned().and_then(|fd| fs::File::from(fd).metadata()),
    };
    // Standard input that is closed is one all the same.
    metadata.map_or(Some((u64::MAX, u64::MAX)), |m| Some((m.dev(), m.ino())))
}

/// What tells one stream from another.
#[cfg(not(unix))]
fn identity(path: Option<&Path>) -> Option<PathBuf> {
    Some(path.unwrap_or(Path::new("-")).to_owned())
}

/// The error for a path that cannot be opened.
pub(super) fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let not_found = error.kind() == std::io::ErrorKind::NotFound;
    let error = Error::from(error);
    if not_found {
        return Error::new(ErrorKind::FileNotFound, format!("{}: there is no such file", path.display()));
    }
    error.context(path.display())
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|e| unreadable(folder, e))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|e| unreadable(folder, e))?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '_']) {
            continue;
        }
        // A link to a folder is not followed: it may lead round in a circle.
        let kind = fs::symlink_metadata(&path).map_err(|e| unreadable(&path, e))?;
        if kind.is_dir() {
            walk(&path, files)?;
        } else if sniff::by_extension(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_known_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b")).unwrap();
        fs::create_dir_all(root.join("_tmp")).unwrap();
        for name in ["z.csv", "a.json", "b/x.csv", "_SUCCESS", "_tmp/y.csv", ".hidden.csv", "notes.txt"] {
            fs::write(root.join(name), "{\"a\":1}\n").unwrap();
        }
        let sources = discover(&[root.to_path_buf()], &ReadOptions::default()).unwrap();
        let labels: Vec<_> = sources.iter().map(|s| s.label().rsplit('/').next().unwrap()).collect();
        assert_eq!(labels, ["a.json", "x.csv", "z.csv"]);
    }

    #[test]
    fn missing_files_and_empty_folders_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let options = ReadOptions::default();
        let missing = discover(&[folder.path().join("x.csv")], &options).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::FileNotFound);
        let empty = discover(&[folder.path().to_path_buf()], &options).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::Validation);
    }

    #[test]
    fn standard_input_is_read_once() {
        let error = discover(&["-".into(), "-".into()], &ReadOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }

    #[cfg(unix)]
    #[test]
    fn several_fifos_are_copied_whoever_is_written_first() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = ["a", "b"].iter().map(|name| folder.path().join(name)).collect();
        for path in &paths {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        }
        let (a, b) = (paths[0].clone(), paths[1].clone());
        let writer = std::thread::spawn(move || {
            fs::write(b, "id\n2\n").unwrap();
            fs::write(a, "id\n1\n").unwrap();
        });
        let sources = discover(&paths, &ReadOptions::default()).unwrap();
        writer.join().unwrap();
        assert!(sources.iter().all(Source::repeatable), "copies can be read again");
        assert_eq!(sources.len(), 2);
        let twice = discover(&[paths[0].clone(), paths[0].clone()], &ReadOptions::default()).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Validation);
    }
}
