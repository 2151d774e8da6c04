//! The storage contract: what every storage plugin must hold.
//!
//! Each function checks one property on an empty warehouse and panics where it is broken;
//! [`run_all`] checks them all.
//!
//! A prefix names a folder: `a/b` and `a/b/` both stand for the files below `a/b/`, never for the file `a/b`
//! or for `a/bc`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use floe_core::{Error, ErrorKind, StorageClient};
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// A storage under test.
pub type Storage = Arc<dyn StorageClient>;

/// Checks every property, each on a new and empty storage that `make` gives; not [`odd_keys_never_meet`], which servers
/// that keep their objects in a file system do not hold.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Storage>,
{
    warehouse_is_an_absolute_uri(make().await).await;
    what_is_written_is_read(make().await).await;
    ranges_are_exact(make().await).await;
    an_overwrite_is_visible_whole(make().await).await;
    a_missing_file_has_its_kind(make().await).await;
    a_prefix_is_a_folder(make().await).await;
    deleting_many_answers_for_each(make().await).await;
    deleting_a_prefix_spares_its_neighbours(make().await).await;
    a_large_file_arrives_whole(make().await).await;
    names_are_literal(make().await).await;
    a_dropped_writer_leaves_nothing(make().await).await;
    a_closed_writer_takes_no_more(make().await).await;
    writers_do_not_disturb_each_other(make().await).await;
    all_file_io_sees_the_same_files(make().await).await;
    a_foreign_scheme_is_refused(make().await).await;
    the_check_passes_and_leaves_nothing(make().await).await;
}

/// The warehouse is an absolute URI without a final slash.
#[allow(clippy::unused_async)] // as the other properties are
pub async fn warehouse_is_an_absolute_uri(storage: Storage) {
    let warehouse = storage.warehouse();
    assert!(warehouse.contains("://"), "{warehouse}");
    assert!(!warehouse.ends_with('/'), "{warehouse}");
}

/// A file that was written is there, has its size, and reads back, empty or not.
pub async fn what_is_written_is_read(storage: Storage) {
    let io = storage.file_io();
    for (name, content) in [("empty", Bytes::new()), ("one", random(1, 1)), ("some", random(2, 100_003))] {
        let location = at(&storage, &format!("data/deep/{name}"));
        assert!(!io.exists(&location).await.expect("exists"), "{name} is there before it is written");
        io.new_output(&location).expect("output").write(content.clone()).await.expect("write");
        assert!(io.exists(&location).await.expect("exists"), "{name} is not there");
        let input = io.new_input(&location).expect("input");
        assert_eq!(input.metadata().await.expect("metadata").size, content.len() as u64, "{name}");
        assert!(input.read().await.expect("read") == content, "{name} differs");
        write_pieces(&storage, &location, &[content.clone(), content.clone()]).await;
        let twice = [content.as_ref(), content.as_ref()].concat();
        assert!(input.read().await.expect("read") == twice, "{name} differs through a writer");
    }
}

/// Each range reads as the bytes it names; a range behind the end is an error, never short data.
pub async fn ranges_are_exact(storage: Storage) {
    let content = random(3, 300_007);
    let location = at(&storage, "data/ranges");
    write(&storage, &location, content.clone()).await;
    let reader = storage.file_io().new_input(&location).expect("input").reader().await.expect("reader");
    let length = content.len() as u64;
    let mut random = StdRng::seed_from_u64(4);
    let mut ranges = vec![0..0, 0..1, 0..length, length - 1..length, length..length, 7..7];
    ranges.extend((0..40).map(|_| {
        let start = random.random_range(0..length);
        start..random.random_range(start..=length)
    }));
    for range in ranges {
        let expected = content.slice(range.start as usize..range.end as usize);
        assert!(reader.read(range.clone()).await.expect("read range") == expected, "{range:?} differs");
    }
    let at_once = (0..length / 10_000).map(|i| reader.read(i * 10_000..(i + 1) * 10_000));
    for (i, bytes) in futures::future::join_all(at_once).await.into_iter().enumerate() {
        let expected = content.slice(i * 10_000..(i + 1) * 10_000);
        assert!(bytes.expect("concurrent read") == expected, "concurrent range {i} differs");
    }
    for range in [length - 1..length + 1, length + 5..length + 6] {
        assert!(reader.read(range.clone()).await.is_err(), "{range:?} goes beyond {length} bytes");
    }
}

/// While a file is overwritten, readers see the old content; once the writer is closed, the new.
pub async fn an_overwrite_is_visible_whole(storage: Storage) {
    let location = at(&storage, "data/overwritten");
    let (old, new) = (random(5, 50_000), random(6, 3_000_000));
    write(&storage, &location, old.clone()).await;
    let mut writer = storage.file_io().new_output(&location).expect("output").writer().await.expect("writer");
    for piece in pieces(&new, 7) {
        writer.write(piece).await.expect("write");
        assert!(read(&storage, &location).await == old, "a write under way shows");
    }
    writer.close().await.expect("close");
    assert!(read(&storage, &location).await == new, "the new content does not show");
    assert_eq!(list(&storage, storage.warehouse()).await.len(), 1, "an overwrite leaves one file");
    write(&storage, &location, old.clone()).await;
    assert!(read(&storage, &location).await == old, "a shorter file does not replace a longer one");
}

/// Reading what is not there is `FileNotFound`, through every call; deleting it succeeds.
pub async fn a_missing_file_has_its_kind(storage: Storage) {
    let io = storage.file_io();
    write(&storage, &at(&storage, "data/x/file"), Bytes::from_static(b"x")).await;
    for name in ["nowhere", "data/nothing", "data/x/fil", "data/x/file2", "data/x", "data"] {
        let location = at(&storage, name);
        let input = io.new_input(&location).expect("input");
        assert!(!io.exists(&location).await.expect("exists"), "{name}");
        assert_eq!(kind(input.read().await), ErrorKind::FileNotFound, "read {name}");
        assert_eq!(kind(input.metadata().await.map(|m| m.size)), ErrorKind::FileNotFound, "metadata {name}");
        let opened = match input.reader().await {
            Ok(reader) => reader.read(0..1).await,
            Err(e) => Err(e),
        };
        assert_eq!(kind(opened), ErrorKind::FileNotFound, "read a range of {name}");
    }
    for name in ["nowhere", "data/nothing", "data/x/file2"] {
        io.delete(at(&storage, name)).await.expect("deleting what is not there succeeds");
    }
}

/// A listing gives each file below the folder once, at any depth, by the location it was written to.
pub async fn a_prefix_is_a_folder(storage: Storage) {
    let names = ["a/b/1", "a/b/2/3", "a/b/2/4", "a/bc/5", "a/b.6", "b/7"];
    for name in names {
        write(&storage, &at(&storage, name), Bytes::from(name.repeat(3))).await;
    }
    let below = |folder: &str| -> BTreeSet<String> {
        names.iter().filter(|n| n.starts_with(folder)).map(|n| at(&storage, n)).collect()
    };
    for (prefix, folder) in [("a/b", "a/b/"), ("a/b/", "a/b/"), ("a", "a/"), ("b", "b/")] {
        assert_eq!(list(&storage, &at(&storage, prefix)).await, below(folder), "{prefix}");
    }
    assert_eq!(list(&storage, storage.warehouse()).await, below(""));
    for missing in ["c", "a/b/1", "a/b/1/2", "a/b/2/3/"] {
        assert!(list(&storage, &at(&storage, missing)).await.is_empty(), "{missing}");
    }
    let entry = storage.list(&at(&storage, "b")).next().await.expect("one file").expect("list");
    assert_eq!(entry.size, 9);
}

/// Deleting many gives one answer for each location; a file that is not there counts as deleted.
pub async fn deleting_many_answers_for_each(storage: Storage) {
    let all: Vec<String> = (0..230).map(|i| at(&storage, &format!("d{}/file {i}", i % 7))).collect();
    for location in all.iter().filter(|l| !l.ends_with('3')) {
        write(&storage, location, Bytes::from_static(b"x")).await;
    }
    let (doomed, spared) = all.split_at(200);
    let answers: Vec<_> = storage.delete_many(futures::stream::iter(doomed.to_vec()).boxed()).collect().await;
    let mut answered: Vec<String> = Vec::new();
    for (location, result) in answers {
        result.expect("deleted");
        answered.push(location);
    }
    answered.sort();
    let mut expected = doomed.to_vec();
    expected.sort();
    assert_eq!(answered, expected);
    let left: BTreeSet<String> = spared.iter().filter(|l| !l.ends_with('3')).cloned().collect();
    assert_eq!(list(&storage, storage.warehouse()).await, left);
    let io = storage.file_io();
    io.delete_stream(futures::stream::iter(spared.to_vec())).await.expect("delete stream");
    assert!(list(&storage, storage.warehouse()).await.is_empty());
}

/// Deleting a prefix removes the files below the folder and no others.
pub async fn deleting_a_prefix_spares_its_neighbours(storage: Storage) {
    let io = storage.file_io();
    for name in ["t/x/1", "t/x/2/3", "t/xy/4", "t/x.5"] {
        write(&storage, &at(&storage, name), Bytes::from_static(b"x")).await;
    }
    io.delete_prefix(at(&storage, "t/x.5")).await.expect("a file is no folder");
    io.delete_prefix(at(&storage, "t/missing")).await.expect("what is not there is deleted");
    io.delete_prefix(at(&storage, "t/x")).await.expect("delete prefix");
    let left: BTreeSet<String> = ["t/xy/4", "t/x.5"].iter().map(|n| at(&storage, n)).collect();
    assert_eq!(list(&storage, storage.warehouse()).await, left);
}

/// A file of many parts, written in pieces of odd sizes, arrives whole.
pub async fn a_large_file_arrives_whole(storage: Storage) {
    let content = random(8, (20 << 20) + 12_345);
    let location = at(&storage, "data/large.parquet");
    write_pieces(&storage, &location, &pieces(&content, 9)).await;
    assert!(read(&storage, &location).await == content, "the content differs");
    let size =
        storage.file_io().new_input(&location).expect("input").metadata().await.expect("metadata").size;
    assert_eq!(size, content.len() as u64);
    write_pieces(&storage, &location, std::slice::from_ref(&content)).await;
    assert!(read(&storage, &location).await == content, "the content differs when written as one piece");
}

/// A name stands for itself, whatever characters it holds: nothing is encoded, decoded or confused. A store that
/// would take a backslash for a slash refuses the name.
pub async fn names_are_literal(storage: Storage) {
    let names = [
        "a b",
        "a%20b",
        "a+b",
        "a%2Fb",
        "a%2520b",
        "é",
        "e\u{301}",
        "%C3%A9",
        "日本語",
        "a#b",
        "a?b=c",
        "a:b",
        "a=b&c",
        "~a",
        "[a]",
        "{a}",
        "a|b",
        "a\"b",
        "a'b",
        "a\\b",
        "a<b>",
        "a*",
        "a^`",
        "a;b,c",
        "$a@!",
        ".hidden",
        "a..b",
        "x#1y",
    ];
    let refused = |location: String| {
        let storage = Arc::clone(&storage);
        async move {
            match storage.file_io().new_input(&location) {
                Ok(input) => {
                    input.exists().await.is_err_and(|e| Error::from(e).kind() == ErrorKind::Validation)
                }
                Err(e) => Error::from(e).kind() == ErrorKind::Validation,
            }
        }
    };
    let mut names = names.to_vec();
    if refused(at(&storage, "a\\b")).await {
        names.retain(|name| !name.contains('\\'));
    }
    for (i, name) in names.iter().enumerate() {
        let content = Bytes::from(format!("{i}"));
        write(&storage, &at(&storage, &format!("p={name}/{name}.parquet")), content.clone()).await;
        let pieces = [content];
        write_pieces(&storage, &at(&storage, &format!("q={name}/{name}.parquet")), &pieces).await;
    }
    let mut expected = BTreeSet::new();
    for (i, name) in names.iter().enumerate() {
        for folder in ["p", "q"] {
            let location = at(&storage, &format!("{folder}={name}/{name}.parquet"));
            assert_eq!(read(&storage, &location).await, format!("{i}"), "{location}");
            let one: BTreeSet<String> = [location.clone()].into();
            assert_eq!(list(&storage, &at(&storage, &format!("{folder}={name}"))).await, one);
            expected.insert(location);
        }
    }
    assert_eq!(list(&storage, storage.warehouse()).await, expected);
    for location in &expected {
        storage.file_io().delete(location).await.expect("delete");
    }
    assert!(list(&storage, storage.warehouse()).await.is_empty());
}

/// Keys of odd form: each is kept apart from every other one, or refused with `Validation`, for writing and reading
/// alike. Those that are one file to the operating system are so for local files.
pub async fn odd_keys_never_meet(storage: Storage) {
    let local = storage.warehouse().starts_with("file:");
    // What the operating system makes of a path.
    let seen_as = |key: &str| match local {
        true => key.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"),
        false => key.to_owned(),
    };
    let mut kept: Vec<(String, Bytes)> = Vec::new();
    for (i, key) in odd_keys(60).into_iter().enumerate() {
        let (location, content) = (at(&storage, &key), Bytes::from(format!("{i} {key}")));
        let output = storage.file_io().new_output(&location).expect("output");
        let written = output.write(content.clone()).await.map_err(Error::from);
        let read = match storage.file_io().new_input(&location) {
            Ok(input) => input.read().await.map_err(Error::from),
            Err(e) => Err(Error::from(e)),
        };
        match written {
            Ok(()) => {
                assert!(read.expect("what was written is read") == content, "{location} reads as another");
                // Written over, where it is the same file.
                kept.retain(|(other, _)| seen_as(other) != seen_as(&key));
                kept.push((key, content));
            }
            // By name, or by the store itself: then nothing is there.
            Err(e) if e.kind() == ErrorKind::Validation => {
                assert_eq!(read.expect_err(&location).kind(), ErrorKind::Validation, "{location}");
                let shown = location.escape_debug().to_string();
                assert!(e.message().contains(&shown), "it is refused by name: {e}");
            }
            Err(_) => assert!(read.is_err(), "{location} was not written, but is read"),
        }
    }
    assert!(kept.len() >= 8, "few odd keys are kept: {kept:?}");
    for (key, content) in &kept {
        let location = at(&storage, key);
        assert!(read(&storage, &location).await == *content, "{location} was overwritten by another key");
    }
    let listed: BTreeSet<String> = list(&storage, storage.warehouse()).await;
    let expected: BTreeSet<String> = kept.iter().map(|(key, _)| at(&storage, &seen_as(key))).collect();
    assert_eq!(listed, expected, "a listing names each by its key");
    // One after the other: none takes another with it.
    for (i, (key, _)) in kept.iter().enumerate() {
        let mut answers = storage.delete_many(futures::stream::iter([at(&storage, key)]).boxed());
        while let Some((location, answer)) = answers.next().await {
            answer.unwrap_or_else(|e| panic!("deleting {location}: {e:?}"));
        }
        let left = list(&storage, storage.warehouse()).await.len();
        assert_eq!(left, kept.len() - i - 1, "deleting {key:?}");
    }
}

/// Keys without order: those that were ever collapsed or decoded by someone, and ones that are drawn.
fn odd_keys(drawn: usize) -> Vec<String> {
    let known = [
        "k/a//b",
        "k/a/b",
        "k/a///b",
        "k//a/b",
        "k/a/./b",
        "k/a/../b",
        "k/./a",
        "k/a%2Fb",
        "k/a%2F/b",
        "k/a%2f%2fb",
        "k/a b",
        "k/a%20b",
        "k/a+b",
        "k/a#b",
        "k/a",
        "k/a?b",
        "k/é",
        "k/e\u{301}",
        "k/%C3%A9",
        "k/a\tb",
        "k/a/b/",
        "k/a//",
        "k/..a",
        "k/a..",
        "k/%2E%2E/a",
        "k/a&b",
        "k/<a>",
        "k/a'b",
        "k/ a",
        "k/日本/表",
    ];
    let mut random = StdRng::seed_from_u64(13);
    let letters = ["a", "b", "/", "//", ".", "..", "%", "%2F", " ", "#", "?", "é", "&", "+"];
    let draw = |random: &mut StdRng| -> String {
        let count = random.random_range(1..6);
        (0..count).map(|_| letters[random.random_range(0..letters.len())]).collect()
    };
    let mut keys: Vec<String> = known.iter().map(ToString::to_string).collect();
    // Below a folder of its own, so that no key is a file where another has a folder.
    keys.extend((0..drawn).map(|i| format!("d{i}/{}/x{}", draw(&mut random), draw(&mut random))));
    keys
}

/// A writer that is dropped before it is closed leaves no file.
pub async fn a_dropped_writer_leaves_nothing(storage: Storage) {
    for (name, size) in [("small", 10), ("large", 20 << 20)] {
        let location = at(&storage, &format!("data/{name}"));
        let mut writer =
            storage.file_io().new_output(&location).expect("output").writer().await.expect("writer");
        for piece in pieces(&random(10, size), 11) {
            writer.write(piece).await.expect("write");
        }
        drop(writer);
        assert!(!storage.file_io().exists(&location).await.expect("exists"), "{name}");
        assert!(list(&storage, storage.warehouse()).await.is_empty(), "{name} left something");
    }
}

/// After `close` a writer refuses to write and to close, and its file stays.
pub async fn a_closed_writer_takes_no_more(storage: Storage) {
    let location = at(&storage, "data/closed");
    let mut writer = storage.file_io().new_output(&location).expect("output").writer().await.expect("writer");
    writer.write(Bytes::from_static(b"content")).await.expect("write");
    writer.close().await.expect("close");
    assert!(writer.write(Bytes::from_static(b"more")).await.is_err(), "writes after it was closed");
    assert!(writer.close().await.is_err(), "closes twice");
    drop(writer);
    assert_eq!(read(&storage, &location).await, "content");
}

/// Writers of distinct files in one new folder work side by side.
pub async fn writers_do_not_disturb_each_other(storage: Storage) {
    let tasks = (0..24_u64).map(|i| {
        let storage = Arc::clone(&storage);
        tokio::spawn(async move {
            let location = at(&storage, &format!("new/folder/{i}"));
            let content = random(100 + i, 700_000);
            if i % 2 == 0 {
                write_pieces(&storage, &location, &pieces(&content, i)).await;
            } else {
                write(&storage, &location, content).await;
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.expect("a writer");
    }
    for i in 0..24 {
        let location = at(&storage, &format!("new/folder/{i}"));
        assert!(read(&storage, &location).await == random(100 + i, 700_000), "file {i} differs");
    }
    assert_eq!(list(&storage, storage.warehouse()).await.len(), 24);
}

/// Each `file_io` of a client works on the same files.
pub async fn all_file_io_sees_the_same_files(storage: Storage) {
    let (one, other) = (storage.file_io(), storage.file_io());
    let location = at(&storage, "shared");
    one.new_output(&location).expect("output").write(Bytes::from_static(b"x")).await.expect("write");
    assert!(other.exists(&location).await.expect("exists"));
}

/// A location that another kind of storage serves is an error, not another file.
pub async fn a_foreign_scheme_is_refused(storage: Storage) {
    let io = storage.file_io();
    for location in ["nosuch://warehouse/x", "relative/x", ""] {
        let written = match io.new_output(location) {
            Ok(output) => output.write(Bytes::from_static(b"x")).await,
            Err(e) => Err(e),
        };
        assert_eq!(kind(written), ErrorKind::Validation, "{location}");
    }
}

/// The accessibility check passes on a good storage, again and again, and leaves no file.
pub async fn the_check_passes_and_leaves_nothing(storage: Storage) {
    let (first, second) = futures::join!(storage.check(), storage.check());
    first.expect("check");
    second.expect("a check beside another");
    assert!(list(&storage, storage.warehouse()).await.is_empty());
}

fn at(storage: &Storage, name: &str) -> String {
    format!("{}/{name}", storage.warehouse())
}

fn kind<T>(result: iceberg::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it must fail"),
        Err(e) => Error::from(e).kind(),
    }
}

fn random(seed: u64, length: usize) -> Bytes {
    let mut content = vec![0; length];
    StdRng::seed_from_u64(seed).fill_bytes(&mut content);
    content.into()
}

/// Cuts into pieces of odd sizes, from none to a few megabytes.
fn pieces(content: &Bytes, seed: u64) -> Vec<Bytes> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < content.len() {
        let largest = [1, 5000, 300_000, 3_000_000][random.random_range(0..4)];
        let end = (start + random.random_range(0..=largest)).min(content.len());
        pieces.push(content.slice(start..end));
        start = end;
    }
    pieces
}

async fn write(storage: &Storage, location: &str, content: Bytes) {
    let output = storage.file_io().new_output(location).expect("output");
    output.write(content).await.unwrap_or_else(|e| panic!("writing {location}: {e:?}"));
}

async fn write_pieces(storage: &Storage, location: &str, pieces: &[Bytes]) {
    let output = storage.file_io().new_output(location).expect("output");
    let mut writer = output.writer().await.expect("writer");
    for piece in pieces {
        writer.write(piece.clone()).await.unwrap_or_else(|e| panic!("writing {location}: {e:?}"));
    }
    writer.close().await.unwrap_or_else(|e| panic!("closing {location}: {e:?}"));
}

async fn read(storage: &Storage, location: &str) -> Bytes {
    let input = storage.file_io().new_input(location).expect("input");
    input.read().await.unwrap_or_else(|e| panic!("reading {location}: {e:?}"))
}

async fn list(storage: &Storage, prefix: &str) -> BTreeSet<String> {
    let found: Vec<_> = storage.list(prefix).collect().await;
    let count = found.len();
    let locations: BTreeSet<String> = found.into_iter().map(|entry| entry.expect("list").location).collect();
    assert_eq!(locations.len(), count, "{prefix} lists a file twice");
    locations
}
