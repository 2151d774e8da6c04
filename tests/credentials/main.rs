//! Attackers: servers of catalogs and writers of tables that would have credentials, requests and files go where they do
//! not belong. Each test plays one, over many cases, and looks at three things: nobody came to the attacker's port, no
//! file of this machine was read or written, and the error says what happened and which setting changes it.
#![allow(clippy::unwrap_used)]

mod attacked;
mod endpoints;
mod local_files;
mod names;
mod outside;
