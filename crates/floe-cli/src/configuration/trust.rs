//! The files that the user trusts, with the content that they had then.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use floe::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::owner::{self, system};
use super::{Variables, variable};

/// The name of the list, in the user's folder of floe's configuration.
const FILE: &str = "trusted.json";
/// Bytes that a configuration, or the list, may have.
const MAX_BYTES: u64 = 1 << 20;

/// The list of trusted files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trusted {
    /// The SHA-256 of each file's content, by its path.
    files: BTreeMap<PathBuf, String>,
    #[serde(skip)]
    place: PathBuf,
}

/// The folder of the user's own configuration, `~/.config/floe`.
pub(crate) fn user_folder(env: &Variables) -> Option<PathBuf> {
    // A relative one is to be passed over, as the XDG specification has it.
    let xdg = variable(env, "XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = xdg.or_else(|| variable(env, "HOME").map(|home| Path::new(home).join(".config")));
    config.map(|config| config.join("floe"))
}

/// The content of a configuration file, as the list keeps it.
pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Reads an open file, which must be small.
pub(super) fn content(file: &File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MAX_BYTES {
        true => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is larger than 1 MiB")),
        false => Ok(content),
    }
}

impl Trusted {
    /// Reads the user's list; empty where there is none. `PermissionDenied` for one that others may have written.
    pub(crate) fn load(env: &Variables) -> Result<Self> {
        let folder = user_folder(env).ok_or_else(|| {
            Error::validation("there is no place for the list of trusted files: HOME is not set")
                .with_hint("set HOME or XDG_CONFIG_HOME to a folder of your own")
        })?;
        let place = folder.join(FILE);
        let named = |e: Error| e.context(format!("the list of trusted files, {}", place.display()));
        let file = match File::open(&place) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { files: BTreeMap::new(), place });
            }
            opened => opened.map_err(|e| named(e.into()))?,
        };
        let placed = system::placed(&file, &place).map_err(|e| named(e.into()))?;
        if let Some(why) = placed.and_then(|placed| owner::objection(&placed, system::caller())) {
            return Err(named(Error::new(ErrorKind::PermissionDenied, why.to_string()))
                .with_hint("look at it; make it your own with mode 600, or remove it"));
        }
        let content = content(&file).map_err(|e| named(e.into()))?;
        let list: Self = serde_json::from_slice(&content)
            .map_err(|_| named(Error::validation("it is not as floe writes it")).with_hint("remove it"))?;
        Ok(Self { place, ..list })
    }

    /// Whether the file was trusted with this content. `path` is canonical.
    pub(crate) fn holds(&self, path: &Path, content: &[u8]) -> bool {
        self.files.get(path).is_some_and(|kept| *kept == digest(content))
    }

    /// The files, with the digests of their contents.
    pub(crate) fn files(&self) -> &BTreeMap<PathBuf, String> {
        &self.files
    }

    /// Adds a file with its content, and keeps the list. Whether that changed it.
    pub(crate) fn add(&mut self, path: PathBuf, content: &[u8]) -> Result<bool> {
        let digest = digest(content);
        let before = self.files.insert(path, digest.clone());
        self.save()?;
        Ok(before != Some(digest))
    }

    /// Takes a file off the list, and keeps the list. Whether it was there.
    pub(crate) fn remove(&mut self, path: &Path) -> Result<bool> {
        let there = self.files.remove(path).is_some();
        if there {
            self.save()?;
        }
        Ok(there)
    }

    /// Writes the list, for the user alone.
    fn save(&self) -> Result<()> {
        let save = || -> io::Result<()> {
            let folder = self.place.parent().unwrap_or(Path::new("."));
            let mut make = std::fs::DirBuilder::new();
            make.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut make, 0o700);
            make.create(folder)?;
            // A temporary file is for its owner alone.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.as_file().sync_all()?;
            file.persist(&self.place).map_err(|e| e.error)?;
            Ok(())
        };
        let named = || format!("the list of trusted files, {}", self.place.display());
        save().map_err(|e| Error::from(e).context(named()))
    }
}
