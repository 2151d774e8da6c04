//! Configuration of the plugin.

use floe_core::{Error, Result};
use floe_object_store::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the storage plugin `local`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalStorageConfig {
    /// The folder of the warehouse: a path, or a `file:` URI (not percent-decoded). A relative path counts
    /// from the working directory. The folder is made by the first write.
    pub warehouse: String,
    /// Flush each written file to the device before the write counts as done, so that a commit survives a
    /// crash of the machine and not only of the process. Costs some milliseconds for each file.
    #[serde(default, rename = "local.sync")]
    pub sync: bool,
}

impl LocalStorageConfig {
    /// The absolute path of the warehouse, without `.` and `..`.
    ///
    /// `Validation` when the warehouse is empty, the root of the file system, or a URI of another scheme.
    pub fn warehouse_path(&self) -> Result<String> {
        let given = self.warehouse.as_str();
        let path = if given.starts_with("file:/") {
            let uri = Uri::parse(given)?;
            if !uri.authority.is_empty() {
                return Err(Error::validation(format!("'{given}' is on the host '{}'", uri.authority))
                    .with_hint("write file:///path with three slashes"));
            }
            format!("/{}", uri.path)
        } else if given.contains("://") {
            return Err(Error::validation(format!("'{given}' is no local path"))
                .with_hint("configure the storage plugin of its scheme"));
        } else {
            given.to_owned()
        };
        if path.is_empty() {
            return Err(Error::validation("the path is empty"));
        }
        let absolute = std::path::absolute(&path)?;
        let absolute = absolute.to_str().ok_or_else(|| Error::validation("the path is not UTF-8"))?;
        let mut parts = Vec::new();
        for part in absolute.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Err(Error::validation("the root of the file system cannot be a warehouse"));
        }
        Ok(format!("/{}", parts.join("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(warehouse: &str) -> Result<String> {
        LocalStorageConfig { warehouse: warehouse.into(), sync: false }.warehouse_path()
    }

    #[test]
    fn every_spelling_gives_the_same_absolute_path() {
        for given in ["/a/b c", "/a/b c/", "/a/./b c", "/a/x/../b c", "file:/a/b c", "file:///a/b c"] {
            assert_eq!(path_of(given).unwrap(), "/a/b c", "{given}");
        }
    }

    #[test]
    fn a_relative_path_becomes_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(path_of("lake").unwrap(), here.join("lake").display().to_string());
    }

    #[test]
    fn percent_signs_stay() {
        assert_eq!(path_of("file:///a/b%20c").unwrap(), "/a/b%20c");
    }

    #[test]
    fn what_is_no_local_folder_is_refused() {
        for given in ["", "/", "s3://bucket/x", "file://host/x", "/a/.."] {
            assert!(path_of(given).is_err(), "{given}");
        }
    }
}
