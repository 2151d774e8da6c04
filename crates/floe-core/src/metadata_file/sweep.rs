//! Which metadata files a table may have deleted.

use std::fmt;

use iceberg::spec::TableMetadata;

use super::METADATA_PATH;

/// Why a file that a table's metadata names is not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// It lies elsewhere than the table's metadata files.
    Elsewhere,
    /// Its name is not that of a metadata file, or not a plain one.
    OddName,
    /// The table needs it.
    InUse,
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elsewhere => "it lies outside of the table's own folder of metadata",
            Self::OddName => "it has no name of a metadata file",
            Self::InUse => "the table needs it",
        })
    }
}

/// Whether `file`, which the metadata of a table names as an earlier version of itself, may be deleted when the catalog points to
/// `head`: the one rule for every sweep of metadata files.
///
/// What a table's metadata says is the word of whoever writes its files, and what the catalog says is not. So a file goes only if
/// it lies beside the one that the catalog points to, in the folder that the metadata itself gives for its files, has the name of
/// a metadata file, and is in use neither as the head nor in the log. Locations are compared as they are written, but for the
/// slashes of `file:`; a name with a slash, a backslash, a percent sign or a control character is nobody's.
pub fn may_sweep(head: &str, metadata: &TableMetadata, file: &str) -> Result<(), Stays> {
    let (Some((folder, name)), Some((pointed, _))) = (parts(file), parts(head)) else {
        return Err(Stays::Elsewhere);
    };
    let own = match metadata.properties().get(METADATA_PATH) {
        Some(path) => plain(path),
        None => format!("{}/metadata", plain(metadata.location())),
    };
    let odd_folder = folder.split('/').any(|part| matches!(part, "." | ".."));
    if odd_folder || folder != pointed || folder != own.trim_end_matches('/') {
        return Err(Stays::Elsewhere);
    }
    if file.ends_with('/') || !is_metadata_name(&name) {
        return Err(Stays::OddName);
    }
    let same = |other: &str| plain(other) == plain(file);
    if same(head) || metadata.metadata_log().iter().any(|log| same(&log.metadata_file)) {
        return Err(Stays::InUse);
    }
    Ok(())
}

/// The folder of a file, and its name.
fn parts(location: &str) -> Option<(String, String)> {
    let location = plain(location);
    let (folder, name) = location.rsplit_once('/')?;
    Some((folder.to_owned(), name.to_owned()))
}

/// A location with one spelling for local files, and no slash at its end.
fn plain(location: &str) -> String {
    let trimmed = location.trim_end_matches('/');
    match trimmed.strip_prefix("file:") {
        Some(path) => path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path).to_owned(),
        None => trimmed.to_owned(),
    }
}

fn is_metadata_name(name: &str) -> bool {
    let stem = [".metadata.json", ".metadata.json.gz"].iter().find_map(|suffix| name.strip_suffix(suffix));
    stem.is_some_and(|stem| !stem.is_empty())
        && !name.starts_with('.')
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '%' | '?' | '#' | '*'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use iceberg::TableCreation;
    use proptest::prelude::*;

    use super::*;

    fn table(location: &str, metadata_path: Option<&str>) -> TableMetadata {
        let schema = iceberg::spec::Schema::builder().build().unwrap();
        let properties: HashMap<String, String> =
            metadata_path.map(|path| (METADATA_PATH.to_owned(), path.to_owned())).into_iter().collect();
        let creation = TableCreation::builder().name("t".into()).location(location.into()).schema(schema);
        super::super::create(creation.properties(properties).build()).unwrap()
    }

    const HEAD: &str = "s3://b/w/t/metadata/00007-a.metadata.json";

    #[test]
    fn earlier_versions_beside_the_head_go() {
        let t = table("s3://b/w/t", None);
        for name in ["00006-b.metadata.json", "v6.metadata.json", "6.gz.metadata.json", "v6.metadata.json.gz"]
        {
            assert_eq!(may_sweep(HEAD, &t, &format!("s3://b/w/t/metadata/{name}")), Ok(()), "{name}");
        }
        let local = table("/w/t", None);
        for (head, file) in [("file:///w/t", "/w/t"), ("/w/t", "file:/w/t"), ("file:/w/t", "file:///w/t")] {
            let [head, file] =
                [(head, 2), (file, 1)].map(|(at, v)| format!("{at}/metadata/v{v}.metadata.json"));
            assert_eq!(may_sweep(&head, &local, &file), Ok(()), "{head} {file}");
        }
        let elsewhere = table("s3://b/w/t", Some("s3://m/t/"));
        let head = "s3://m/t/v2.metadata.json";
        assert_eq!(may_sweep(head, &elsewhere, "s3://m/t/v1.metadata.json"), Ok(()));
    }

    #[test]
    fn what_is_anybody_elses_stays() {
        let t = table("s3://b/w/t", None);
        for file in [
            "s3://b/w/other/metadata/00006-b.metadata.json",
            "s3://b/w/t/metadata/../../other/metadata/00006-b.metadata.json",
            "s3://b/w/t/metadata/deep/00006-b.metadata.json",
            "s3://b/w/t/metadata//00006-b.metadata.json",
            "s3://other/w/t/metadata/00006-b.metadata.json",
            "file:///etc/x.metadata.json",
            "00006-b.metadata.json",
            "",
        ] {
            assert_eq!(may_sweep(HEAD, &t, file), Err(Stays::Elsewhere), "{file}");
        }
        for name in
            ["snap-1.avro", ".metadata.json", "..%2fx.metadata.json", "a\\..\\x.metadata.json", "x.json"]
        {
            let file = format!("s3://b/w/t/metadata/{name}");
            assert_eq!(may_sweep(HEAD, &t, &file), Err(Stays::OddName), "{name}");
        }
        assert_eq!(may_sweep(HEAD, &t, HEAD), Err(Stays::InUse));
        // A table that says its files are another's: the catalog does not point there.
        for (location, path) in [("s3://b/w/other", None), ("s3://b/w/t", Some("s3://b/w/other/metadata"))] {
            let file = "s3://b/w/other/metadata/00006-b.metadata.json";
            assert_eq!(may_sweep(HEAD, &table(location, path), file), Err(Stays::Elsewhere));
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("..".to_owned()),
            Just(".".to_owned()),
            Just(String::new()),
            Just("metadata".to_owned()),
            Just("t".to_owned()),
            Just("other".to_owned()),
            Just("v1.metadata.json".to_owned()),
            Just("..%2f..%2fv1.metadata.json".to_owned()),
            "[a-z.%\\\\]{0,6}",
        ]
    }

    proptest! {
        #[test]
        fn only_files_directly_in_the_one_folder_ever_go(
            scheme in prop_oneof![Just("s3://b/w/"), Just("file:///w/"), Just("/w/"), Just("s3://b/"), Just("")],
            pieces in prop::collection::vec(piece(), 0..6),
            at in prop_oneof![Just("s3://b/w/t"), Just("/w/t"), Just("file:///w/t"), Just("s3://b/w/other")],
        ) {
            let file = format!("{scheme}{}", pieces.join("/"));
            for head_at in ["s3://b/w/t", "file:///w/t"] {
                let head = format!("{head_at}/metadata/v9.metadata.json");
                if may_sweep(&head, &table(at, None), &file).is_ok() {
                    let rest = file.strip_prefix("file://").unwrap_or(&file);
                    let own = head_at.strip_prefix("file://").unwrap_or(head_at);
                    let name = rest.strip_prefix(&format!("{own}/metadata/"));
                    let name = name.unwrap_or_else(|| panic!("{file} is not beside {head}"));
                    prop_assert!(name.ends_with(".metadata.json") || name.ends_with(".metadata.json.gz"));
                    prop_assert!(!name.contains(['/', '\\', '%']), "{}", file);
                }
            }
        }
    }
}
