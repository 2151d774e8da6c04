//! A table pinned at one version: metadata, manifest lists and manifests, read through a shared cache.
