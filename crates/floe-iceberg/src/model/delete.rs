//! Configuration of a delete.

use floe_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChangeOptions;
use super::faults::Faults;

/// How rows are deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeleteConfig {
    /// How the change is made and committed.
    #[serde(flatten)]
    pub options: ChangeOptions,
}

impl DeleteConfig {
    /// Checks what can be checked without the table; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        self.options.check(&mut faults);
        faults.into_result("the delete configuration")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_or_branch_is_refused() {
        let empty = || Some(String::new());
        let refused = |options| DeleteConfig { options }.validate().is_err();
        assert!(DeleteConfig::default().validate().is_ok());
        assert!(refused(ChangeOptions { idempotency_key: empty(), ..ChangeOptions::default() }));
        assert!(refused(ChangeOptions { branch: empty(), ..ChangeOptions::default() }));
        assert!(serde_json::from_str::<DeleteConfig>(r#"{"filter": "id = 1"}"#).is_err());
    }
}
