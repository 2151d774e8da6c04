//! Metadata of the tables used last.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use iceberg::TableUpdate;
use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataRef};

use super::text::MetadataText;
use super::{parse, read_text, write_text};
use crate::Result;

/// How many versions, each of another table, are kept with their text.
const TEXTS: usize = 4;
/// How many bytes of text are kept at most.
const TEXT_BYTES: usize = 16 << 20;

/// Metadata of the tables used last, by location. A metadata file never changes, so that an entry is always
/// right; a commit of the process that made the last one reads nothing.
///
/// The newest versions are kept with their JSON, which the version after them is made from: one version for each of
/// the four tables used last, and 16 MiB at most. Another's is read again.
#[derive(Debug)]
pub struct MetadataCache {
    entries: Mutex<VecDeque<Entry>>,
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    location: String,
    metadata: TableMetadataRef,
    text: Option<MetadataText>,
}

impl MetadataCache {
    /// A cache of at most `capacity` versions.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity }
    }

    /// The metadata at `location`, from memory or read and kept.
    pub async fn get_or_read(&self, file_io: &FileIO, location: &str) -> Result<TableMetadataRef> {
        if let Some(metadata) = self.get(location) {
            return Ok(metadata);
        }
        let json = read_text(file_io, location).await?;
        let metadata = TableMetadataRef::new(parse(&json, location)?);
        self.keep(location, metadata.clone(), Some(MetadataText::read(json)));
        Ok(metadata)
    }

    /// The metadata at `location`, if it is kept.
    pub fn get(&self, location: &str) -> Option<TableMetadataRef> {
        let mut entries = self.lock();
        let at = entries.iter().position(|entry| entry.location == location)?;
        let entry = entries.remove(at)?;
        let metadata = entry.metadata.clone();
        entries.push_front(entry);
        Some(metadata)
    }

    /// Keeps the metadata that was just read or written.
    pub fn put(&self, location: &str, metadata: TableMetadataRef) {
        self.keep(location, metadata, None);
    }

    /// Writes `metadata`, which `updates` made of the version `head` at `head_location`, at a new location: the text of
    /// the head, from memory or read again, with what has changed.
    ///
    /// Keep the version with [`MetadataCache::put_written`] once it is the table's.
    pub async fn write_next(
        &self,
        file_io: &FileIO,
        (head_location, head): (&str, &TableMetadata),
        (location, metadata): (&str, &TableMetadata),
        updates: &[TableUpdate],
    ) -> Result<MetadataText> {
        let before = match self.text(head_location) {
            Some(text) => text,
            None => MetadataText::read(read_text(file_io, head_location).await?),
        };
        let text = before.next(head, metadata, updates)?;
        write_text(file_io, location, text.json()).await?;
        Ok(text)
    }

    /// Keeps the metadata that [`MetadataCache::write_next`] wrote.
    pub fn put_written(&self, location: &str, metadata: TableMetadataRef, text: MetadataText) {
        self.keep(location, metadata, Some(text));
    }

    fn text(&self, location: &str) -> Option<MetadataText> {
        self.lock().iter().find(|entry| entry.location == location)?.text.clone()
    }

    fn keep(&self, location: &str, metadata: TableMetadataRef, text: Option<MetadataText>) {
        let mut entries = self.lock();
        entries.retain(|entry| entry.location != location);
        if text.is_some() {
            let table = metadata.uuid();
            for entry in entries.iter_mut().filter(|entry| entry.metadata.uuid() == table) {
                entry.text = None;
            }
        }
        entries.push_front(Entry { location: location.to_owned(), metadata, text });
        entries.truncate(self.capacity);
        let (mut texts, mut bytes) = (0, 0);
        for kept in entries.iter_mut().map(|entry| &mut entry.text) {
            let Some(size) = kept.as_ref().map(|text| text.json().len()) else { continue };
            if texts < TEXTS && bytes + size <= TEXT_BYTES {
                (texts, bytes) = (texts + 1, bytes + size);
            } else {
                *kept = None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MetadataCache {
    fn default() -> Self {
        Self::new(16)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use iceberg::TableCreation;

    use super::*;

    fn metadata() -> TableMetadataRef {
        let schema = iceberg::spec::Schema::builder().build().unwrap();
        let creation =
            TableCreation::builder().name("t".into()).location("memory:///t".into()).schema(schema).build();
        TableMetadataRef::new(super::super::create(creation).unwrap())
    }

    fn text(metadata: &TableMetadata) -> MetadataText {
        MetadataText::new(metadata).unwrap()
    }

    #[test]
    fn the_cache_forgets_the_oldest() {
        let cache = MetadataCache::new(2);
        cache.put("a", metadata());
        cache.put("b", metadata());
        assert!(cache.get("a").is_some());
        cache.put("c", metadata());
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
    }

    #[test]
    fn only_the_newest_version_of_a_table_keeps_its_text() {
        let cache = MetadataCache::default();
        let table = metadata();
        cache.put_written("v1", table.clone(), text(&table));
        cache.put_written("v2", table.clone(), text(&table));
        assert!(cache.text("v1").is_none() && cache.text("v2").is_some());
        assert!(cache.get("v1").is_some());
    }

    #[test]
    fn few_tables_keep_their_texts() {
        let cache = MetadataCache::default();
        for n in 0..=TEXTS {
            let table = metadata();
            cache.put_written(&n.to_string(), table.clone(), text(&table));
        }
        let kept = |n: usize| cache.text(&n.to_string()).is_some();
        assert_eq!((0..=TEXTS).filter(|n| kept(*n)).count(), TEXTS);
        assert!(!kept(0));
    }
}
