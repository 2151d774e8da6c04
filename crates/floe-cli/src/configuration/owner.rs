//! Whose a configuration file is, and who else may write it.

use std::fmt;

/// What the system knows of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// The id of its owner.
    pub(super) owner: u32,
    /// The id of its group.
    pub(super) group: u32,
    /// Its permissions.
    pub(super) mode: u32,
}

/// Who runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// The effective user id.
    pub(super) user: u32,
    /// Who became root by `sudo`.
    pub(super) sudo: Option<u32>,
}

/// A configuration file, the folder that it lies in and, where its name is a link, the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) file: Facts,
    pub(super) folder: Facts,
    pub(super) link: Option<Facts>,
}

/// Why a file may say what its reader did not want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    /// It, its link or its folder is of somebody else.
    Owner { what: What, owner: u32 },
    /// Others may write it, or put another file in its place.
    Writable { what: What, group: bool },
}

/// What is objected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    File,
    Link,
    Folder,
}

impl Caller {
    fn takes(self, owner: u32) -> bool {
        owner == self.user || owner == 0 || (self.user == 0 && Some(owner) == self.sudo)
    }
}

/// The first objection, if any, as Git and SSH judge: the file, its link and its folder belong to the caller, to root or to
/// whoever became root by `sudo`; and nobody else may write them. A group that has the number of its owner is the owner's
/// own, as most systems make one for each user. In a folder such as `/tmp` nobody can replace the files of others.
pub(super) fn objection(placed: &Placed, caller: Caller) -> Option<Objection> {
    let things =
        [(What::File, Some(placed.file)), (What::Link, placed.link), (What::Folder, Some(placed.folder))];
    let things = things.into_iter().filter_map(|(what, facts)| Some((what, facts?)));
    let sticky = |what, facts: Facts| what == What::Folder && facts.mode & 0o1000 != 0;
    for (what, facts) in things.clone() {
        if !caller.takes(facts.owner) {
            return Some(Objection::Owner { what, owner: facts.owner });
        }
    }
    for (what, facts) in things {
        // The permissions of a link mean nothing.
        if what == What::Link || sticky(what, facts) {
            continue;
        }
        if facts.mode & 0o002 != 0 {
            return Some(Objection::Writable { what, group: false });
        }
        if facts.mode & 0o020 != 0 && facts.group != facts.owner {
            return Some(Objection::Writable { what, group: true });
        }
    }
    None
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "it",
            Self::Link => "the link of that name",
            Self::Folder => "its folder",
        })
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { what, owner } => {
                write!(f, "{what} belongs to {}, not to you", system::user(*owner))
            }
            Self::Writable { what, group: false } => write!(f, "anybody may write {what}"),
            Self::Writable { what, group: true } => write!(f, "others of its group may write {what}"),
        }
    }
}

#[cfg(unix)]
pub(super) use unix as system;

#[cfg(not(unix))]
pub(super) use elsewhere as system;

/// Owners and permissions of Unix.
#[cfg(unix)]
pub(super) mod unix {
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::{Caller, Facts, Placed};

    /// What is known of an open file that was found at `path`.
    pub(in super::super) fn placed(file: &File, path: &Path) -> io::Result<Option<Placed>> {
        let name = std::fs::symlink_metadata(path)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Some(Placed {
            file: facts(&file.metadata()?),
            folder: facts(&std::fs::metadata(folder)?),
            link: name.is_symlink().then(|| facts(&name)),
        }))
    }

    /// Who runs this.
    pub(in super::super) fn caller() -> Caller {
        let sudo = std::env::var("SUDO_UID").ok().and_then(|id| id.parse().ok());
        Caller { user: rustix::process::geteuid().as_raw(), sudo }
    }

    /// The file system that a folder lies on.
    pub(in super::super) fn device(folder: &Path) -> Option<u64> {
        std::fs::metadata(folder).ok().map(|metadata| metadata.dev())
    }

    /// The name of a user, or the number.
    pub(in super::super) fn user(id: u32) -> String {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        name.map_or_else(|| format!("the user {id}"), |name| format!("{name} (user {id})"))
    }

    fn facts(metadata: &Metadata) -> Facts {
        Facts { owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }
}

/// Other systems: owners and permissions are not looked at. What a project's file takes from variables and files needs the
/// user's trust there too.
#[cfg(not(unix))]
pub(super) mod elsewhere {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    use super::{Caller, Placed};

    /// Nothing is known.
    pub(in super::super) fn placed(_file: &File, _path: &Path) -> io::Result<Option<Placed>> {
        Ok(None)
    }

    /// Nobody is asked for.
    pub(in super::super) fn caller() -> Caller {
        Caller { user: 0, sudo: None }
    }

    /// One file system is as another.
    pub(in super::super) fn device(_folder: &Path) -> Option<u64> {
        None
    }

    /// The number.
    pub(in super::super) fn user(id: u32) -> String {
        format!("the user {id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Caller = Caller { user: 1000, sudo: None };

    fn facts(owner: u32, group: u32, mode: u32) -> Facts {
        Facts { owner, group, mode }
    }

    #[test]
    fn only_ones_own_files_and_those_of_root_are_taken() {
        let owners = [0, 1000, 1001];
        for user in owners {
            for sudo in [None, Some(1000)] {
                let caller = Caller { user, sudo };
                for (file, folder) in owners.iter().flat_map(|a| owners.map(|b| (*a, b))) {
                    for link in [None, Some(0), Some(1001)] {
                        let placed = Placed {
                            file: facts(file, file, 0o644),
                            folder: facts(folder, folder, 0o755),
                            link: link.map(|owner| facts(owner, owner, 0o777)),
                        };
                        let fine = |owner| owner == user || owner == 0 || (user == 0 && sudo == Some(owner));
                        let all = fine(file) && fine(folder) && link.is_none_or(fine);
                        assert_eq!(objection(&placed, caller).is_none(), all, "{placed:?} {caller:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_others_can_write_is_not_taken() {
        for mode in 0..0o2000 {
            let file = Placed { file: facts(1000, 50, mode), folder: facts(1000, 1000, 0o755), link: None };
            assert_eq!(objection(&file, ANN).is_none(), mode & 0o022 == 0, "{mode:o}");
            let own = Placed { file: facts(1000, 1000, mode), ..file };
            assert_eq!(objection(&own, ANN).is_none(), mode & 0o002 == 0, "{mode:o}");
            let folder = Placed { file: facts(1000, 50, 0o600), folder: facts(1000, 50, mode), link: None };
            let fine = mode & 0o022 == 0 || mode & 0o1000 != 0;
            assert_eq!(objection(&folder, ANN).is_none(), fine, "{mode:o}");
        }
    }
}
