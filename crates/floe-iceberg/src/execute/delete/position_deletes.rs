//! Merge-on-read: files that name the deleted rows of data files (Iceberg spec, "Position Delete Files").

use std::collections::HashMap;
use std::sync::Arc;

use floe_core::{Error, Result};
use floe_plan::change::TableFile;
use iceberg::spec::{DataFile, Struct};

use super::remove::Removal;
use crate::base::TableBase;
use crate::execute::rewrite::spec_of;
use crate::execute::rows::{FileRows, RowOptions, Rows};
use crate::execute::write::WriteSession;

/// The property that tells how many data files a delete file may name: those of a partition, or one.
const GRANULARITY: &str = "write.delete.granularity";
/// Positions that are written at a time.
const STEP: usize = 64 * 1024;

/// Gathers rows by partition and writes them as position delete files.
pub(super) struct PositionDeleteFiles<'a> {
    base: &'a TableBase,
    session: Option<&'a Arc<WriteSession>>,
    memory: u64,
    held: u64,
    partitions: HashMap<(i32, Struct), Vec<FileRows>>,
    /// Partitions in the order in which they were seen.
    order: Vec<(i32, Struct)>,
}

impl<'a> PositionDeleteFiles<'a> {
    pub(super) fn new(
        base: &'a TableBase,
        session: Option<&'a Arc<WriteSession>>,
        options: &RowOptions,
    ) -> Self {
        Self {
            base,
            session,
            memory: options.memory_bytes / 2,
            held: 0,
            partitions: HashMap::new(),
            order: Vec::new(),
        }
    }

    /// Takes the rows of a data file.
    pub(super) async fn add(&mut self, file: FileRows, removal: &mut Removal) -> Result<()> {
        if let Rows::At(positions) = &file.rows {
            self.held += positions.memory();
        }
        let key = (file.task.spec_id, file.file.data_file.partition().clone());
        if !self.partitions.contains_key(&key) {
            self.order.push(key.clone());
        }
        self.partitions.entry(key).or_default().push(file);
        // Several files for a partition are right too.
        if self.held > self.memory || self.granularity()? == Granularity::File {
            self.write(removal).await?;
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) async fn finish(mut self, removal: &mut Removal) -> Result<()> {
        self.write(removal).await
    }

    fn granularity(&self) -> Result<Granularity> {
        let text =
            self.base.metadata().properties().get(GRANULARITY).map(|text| text.trim().to_ascii_lowercase());
        match text.as_deref() {
            None | Some("partition") => Ok(Granularity::Partition),
            Some("file") => Ok(Granularity::File),
            Some(other) => Err(Error::validation(format!("{GRANULARITY} cannot be '{other}'"))
                .with_hint("partition or file")),
        }
    }

    async fn write(&mut self, removal: &mut Removal) -> Result<()> {
        self.held = 0;
        for key in std::mem::take(&mut self.order) {
            let Some(mut files) = self.partitions.remove(&key) else { continue };
            let Some(session) = self.session else {
                removal.counts.delete_files_added += 1;
                continue;
            };
            files.sort_unstable_by(|a, b| a.task.path.cmp(&b.task.path));
            let Some(first) = files.first() else { continue };
            let (spec, partition_type) = spec_of(self.base.metadata(), first)?;
            let (spec_id, values) = key;
            let mut writer = session.position_deletes(spec, &partition_type, values);
            for file in files {
                let Rows::At(positions) = &file.rows else { continue };
                let mut step = Vec::with_capacity(STEP.min(positions.count() as usize));
                for position in positions.iter() {
                    step.push(position as i64);
                    if step.len() == STEP {
                        writer.delete(&file.task.path, &step).await?;
                        step.clear();
                    }
                }
                writer.delete(&file.task.path, &step).await?;
            }
            let files = writer.finish().await?;
            removal.counts.delete_files_added += files.len() as u64;
            removal.counts.bytes_added += files.iter().map(DataFile::file_size_in_bytes).sum::<u64>();
            removal.added.extend(files.into_iter().map(|file| TableFile { spec_id, file }));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Granularity {
    Partition,
    File,
}
