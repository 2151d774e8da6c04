//! From the arguments of a command to its inputs.

use std::fs;
use std::path::{Path, PathBuf};

use floe::{Error, ErrorKind, Result};

use super::sniff;
use super::{ReadOptions, Source};

/// The inputs that `paths` stand for, in order. A folder stands for all files of known formats below it, in the
/// order of their paths, without hidden ones and those that start with `_`; `-` is standard input.
///
/// Fails with `FileNotFound` or `PermissionDenied` for a path that cannot be read, with `Validation` for a
/// folder without inputs or a format that is not known.
pub(crate) fn discover(paths: &[PathBuf], options: &ReadOptions) -> Result<Vec<Source>> {
    if paths.iter().filter(|p| is_stdin(p)).count() > 1 {
        return Err(Error::validation("standard input can be read once only"));
    }
    let mut sources = Vec::new();
    for path in paths {
        if is_stdin(path) {
            sources.push(Source::stdin(options)?);
            continue;
        }
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, e))?;
        if !metadata.is_dir() {
            sources.push(Source::file(path.clone(), options)?);
            continue;
        }
        let mut files = Vec::new();
        walk(path, &mut files)?;
        if files.is_empty() {
            return Err(Error::validation(format!("{}: no input files in this folder", path.display()))
                .with_hint("files are known by extension: .parquet .csv .tsv .json .ndjson .jsonl .arrow .feather .ipc"));
        }
        for file in files {
            sources.push(Source::file(file, options)?);
        }
    }
    Ok(sources)
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
}
