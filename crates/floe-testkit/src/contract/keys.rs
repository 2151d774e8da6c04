//! Keys of objects are opaque: what a storage over an object store has to do with odd ones. The store is an
//! [`ObjectServer`], which keeps keys as they come, and the warehouse of the storage is its folder `lake`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_core::{Error, ErrorKind, StorageClient};
use futures::StreamExt;

use crate::http::ObjectServer;

/// Proves that the store sees the key that a location names, byte for byte, and that listings name it so.
pub async fn keys_are_sent_as_they_are(server: &ObjectServer, client: Arc<dyn StorageClient>) {
    let names = [
        "a//b",
        "a///b",
        "a/b",
        "a b",
        "a%20b",
        "a%2Fb",
        "a+b",
        "a#b",
        "a?b",
        "é",
        "日本/表",
        "a&b<c>",
        "..a/b..",
    ];
    for name in names {
        let location = format!("{}/{name}", client.warehouse());
        client.file_io().new_output(&location).unwrap().write("x".into()).await.unwrap();
        assert_eq!(server.keys(), [format!("lake/{name}")], "{location}");
        let listed: Vec<_> =
            client.list(client.warehouse()).map(|entry| entry.unwrap().location).collect().await;
        assert_eq!(listed, [location.as_str()], "a listing names it as it was written");
        client.file_io().delete(&location).await.unwrap();
        assert!(server.keys().is_empty(), "{location}");
    }
}

/// Proves that a key which cannot be asked for is refused for writing, reading, looking and deleting, and that nothing changes.
pub async fn impossible_keys_are_refused(server: &ObjectServer, client: Arc<dyn StorageClient>) {
    let root = client.warehouse().strip_suffix("/lake").unwrap().to_owned();
    for key in ["lake/a", "a", "lake/b/c"] {
        server.put(key, b"another's");
    }
    let before = server.keys();
    for name in ["/lake/a", "lake/./a", "lake/../a", "lake/b/../a", "..", "lake/a\t", "lake/a/"] {
        let location = format!("{root}/{name}");
        let io = client.file_io();
        let kinds = [
            io.new_output(&location).unwrap().write("x".into()).await.err(),
            io.new_input(&location).unwrap().read().await.err(),
            io.exists(&location).await.err(),
            io.delete(&location).await.err(),
        ]
        .map(|e| Error::from(e.unwrap_or_else(|| panic!("{location:?} is taken"))));
        for error in kinds {
            assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
            assert!(error.message().contains(&location.escape_debug().to_string()), "{error}");
        }
        assert_eq!(server.keys(), before, "{location}");
    }
}

/// Proves that `a//b` is another key than `a/b` in listings and deletions, and that markers of folders are no files.
pub async fn folders_are_told_apart(server: &ObjectServer, client: Arc<dyn StorageClient>) {
    for (key, content) in
        [("lake/t/x", "1"), ("lake/t//x", "2"), ("lake//t/x", "3"), ("lake/t/", ""), ("lake/t/sub/", "")]
    {
        server.put(key, content.as_bytes());
    }
    let list = async |prefix: &str| -> Vec<String> {
        let prefix = format!("{}{prefix}", client.warehouse());
        client
            .list(&prefix)
            .map(|entry| entry.unwrap().location.replace(client.warehouse(), ""))
            .collect()
            .await
    };
    assert_eq!(list("/t").await, ["/t//x", "/t/x"]);
    assert_eq!(list("/t/").await, ["/t//x", "/t/x"]);
    assert_eq!(list("/t//").await, ["/t//x"]);
    assert_eq!(list("//t").await, ["//t/x"]);
    client.file_io().delete_prefix(format!("{}/t//", client.warehouse())).await.unwrap();
    assert_eq!(list("").await, ["//t/x", "/t/x"]);
    // The check of a location uses the same keys.
    client.check_at(&format!("{}//odd", client.warehouse())).await.unwrap();
    assert_eq!(list("").await.len(), 2);
}
