//! Where a project's configuration is looked for: in the working folder and those above it, as far as the home folder and
//! the border of the file system.

use std::path::{Path, PathBuf};

use super::owner::system::device;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The file to read.
    pub(super) file: Option<PathBuf>,
    /// One that lies further up and is not read, and why.
    pub(super) beyond: Option<(PathBuf, &'static str)>,
}

/// Looks for a file called `name` in `folder` and above.
pub(super) fn upwards(folder: &Path, name: &str, home: Option<&Path>) -> Found {
    let home = home.map(|home| home.canonicalize().unwrap_or_else(|_| home.to_owned()));
    within(folder, home.as_deref(), device, |folder| {
        let path = folder.join(name);
        path.is_file().then_some(path)
    })
}

fn within(
    folder: &Path,
    home: Option<&Path>,
    device: impl Fn(&Path) -> Option<u64>,
    find: impl Fn(&Path) -> Option<PathBuf>,
) -> Found {
    let start = device(folder);
    let mut limit = None;
    for folder in folder.ancestors() {
        if limit.is_none() && device(folder) != start {
            limit = Some("on another file system than this folder");
        }
        match (find(folder), limit) {
            (None, _) => {}
            (Some(path), None) => return Found { file: Some(path), beyond: None },
            (Some(path), Some(why)) => return Found { file: None, beyond: Some((path, why)) },
        }
        if limit.is_none() && Some(folder) == home {
            limit = Some("above your home folder");
        }
    }
    Found::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_home_nor_the_file_system_is_left() {
        // Where the file lies, the home, the first folder of the working folder's file system; whether it is read.
        for (file, home, mount, read) in [
            ("/home/ann/p/q", "/home/ann", "/", true),
            ("/home/ann", "/home/ann", "/", true),
            ("/home", "/home/ann", "/", false),
            ("/", "/home/ann", "/", false),
            ("/home", "/home/bob", "/", true),
            ("/", "/root", "/", true),
            ("/home/ann/p", "/home/bob", "/home/ann/p", true),
            ("/home/ann", "/home/bob", "/home/ann/p", false),
            ("/home/ann", "/home/ann", "/home/ann/p", false),
        ] {
            let device = |folder: &Path| Some(u64::from(folder.starts_with(mount)));
            let find = |folder: &Path| (folder == Path::new(file)).then(|| folder.join("floe.toml"));
            let found = within(Path::new("/home/ann/p/q"), Some(Path::new(home)), device, find);
            assert_eq!(
                (found.file.is_some(), found.beyond.is_some()),
                (read, !read),
                "{file} {home} {mount}"
            );
        }
        let nothing = within(Path::new("/a/b"), None, |_| None, |_| None);
        assert_eq!(nothing, Found::default());
    }
}
