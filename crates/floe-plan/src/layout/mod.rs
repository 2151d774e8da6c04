//! Which manifests a snapshot consists of.
