//! What goes wrong in a simulation, and how often.

/// How often calls go wrong: probabilities between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FaultRates {
    /// A call to the catalog fails and has no effect.
    pub catalog_error: f64,
    /// The outcome of a commit is not known: the request or the reply was lost, or it takes effect later on.
    pub commit_unknown: f64,
    /// A commit is answered as a conflict though nothing was in its way.
    pub commit_conflict: f64,
    /// Calls to the storage of an operation fail and have no effect.
    pub storage_error: f64,
    /// Calls to the storage of an operation take effect and report an error.
    pub storage_error_after: f64,
    /// The writer stops for good at a call to the storage.
    pub storage_crash: f64,
    /// A call takes long, so that others come first.
    pub delay: f64,
    /// The writer stops for good at a call to the catalog, before or after it took effect.
    pub crash: f64,
}

/// What goes wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// It certainly does not happen; trying again may help.
    Refused,
    /// It certainly does not happen, and trying again does not help.
    Denied,
    /// It does not happen, and the caller cannot tell.
    LostRequest,
    /// It happens, and the caller cannot tell.
    LostReply,
    /// The caller cannot tell, and it is carried out some time later.
    Late,
    /// It does not happen, and is reported as a conflict.
    SpuriousConflict,
    /// The writer stops before, or after.
    Crash(Moment),
}

/// When a writer stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the call takes effect.
    Before,
    /// After it took effect.
    After,
    /// Before, but the request is on its way and takes effect later.
    Late,
}

/// What goes wrong with a call to the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFault {
    /// It fails without effect.
    Before,
    /// It takes effect and fails.
    After,
    /// The writer stops before it takes effect.
    Crash,
}
