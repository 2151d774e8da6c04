//! A table under test, with the rows that must be in it.

use std::collections::HashSet;

use floe::base::{ManifestCache, TableBase};
use floe::commit::commit_updates;
use floe::env::SystemEnvironment;
use floe::execute::rows::RowMode;
use floe::execute::upsert::{WhenMatched, WhenNotMatched, WhenNotMatchedBySource};
use floe::iceberg::spec::{
    NestedField, PrimitiveType, Schema, Struct, TableMetadata, Type, UnboundPartitionSpec,
};
use floe::iceberg::{TableIdent, TableUpdate};
use floe::model::{
    ChangeOptions, CommitStrategy, DeleteConfig, FieldType, SchemaField, TableSchema, WriteConfig, WriteMode,
};
use floe::plan::backoff::RetryPolicy;
use floe::plan::expr::Expr;
use floe::refs::BranchRetention;
use floe_tests::equality::equality_delete;
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::{Warehouse, with_mode};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::model::{Columns, Filter, Row, Spec, draw_spec, partition};

/// A table, its model, and what was done.
pub(super) struct Subject {
    pub(super) table: TableIdent,
    pub(super) rows: Vec<Row>,
    pub(super) columns: Columns,
    /// Whether it ever had equality deletes.
    pub(super) equality: bool,
    seed: u64,
    rng: StdRng,
    spec: Spec,
    next_id: i64,
    /// The snapshots of the branch, each with the rows that it must have.
    history: Vec<(i64, Vec<Row>)>,
    done: Vec<String>,
}

fn schema() -> TableSchema {
    let fields = vec![
        SchemaField::new(1, "id", FieldType::Long, true),
        SchemaField::new(2, "a", FieldType::Int, false),
        SchemaField::new(3, "x", FieldType::Double, false),
        SchemaField::new(4, "s", FieldType::String, false),
        SchemaField::new(5, "d", FieldType::Date, false),
    ];
    TableSchema { fields }
}

fn unbound(spec: &Spec, number: usize) -> UnboundPartitionSpec {
    let field_id = |column: &str| match column {
        "id" => 1,
        "a" => 2,
        "s" => 4,
        _ => 5,
    };
    let fields = spec.iter().enumerate();
    let add =
        |builder: floe::iceberg::spec::UnboundPartitionSpecBuilder,
         (n, (column, transform)): (usize, &(&'static str, floe::iceberg::spec::Transform))| {
            builder.add_partition_field(field_id(column), format!("p{number}_{n}"), *transform).unwrap()
        };
    fields.fold(UnboundPartitionSpec::builder(), add).build()
}

impl Subject {
    pub(super) async fn create(warehouse: &Warehouse, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let properties: &[(&str, &str)] = match rng.random_range(0..3) {
            0 => &[("write.parquet.row-group-limit", "20")],
            1 => &[("commit.manifest.min-count-to-merge", "2")],
            _ => &[],
        };
        let table = warehouse.create_with(&format!("seed{seed}"), schema(), None, properties).await;
        let mut subject = Self {
            table,
            rows: Vec::new(),
            columns: Columns::default(),
            equality: false,
            seed,
            rng,
            spec: Spec::new(),
            next_id: 0,
            history: Vec::new(),
            done: Vec::new(),
        };
        subject.change_spec(warehouse).await;
        subject
    }

    /// What was done, to be read when something is wrong.
    pub(super) fn story(&self) -> String {
        let seed = self.seed;
        format!(
            "{} after\n  {}\n(again: FLOE_TEST_SEED={seed} cargo xtask interop sequences)\n",
            self.table,
            self.done.join("\n  ")
        )
    }

    pub(super) fn note(&mut self, step: String) {
        self.done.push(step);
    }

    /// Fails unless floe reads the rows of the model.
    pub(super) async fn check(&self, warehouse: &Warehouse) {
        let wanted = self.columns.batch(&self.rows);
        let columns = column_names(&wanted);
        let own = match warehouse.try_scan(&self.table, None).await {
            Ok(own) => own,
            Err(e) => panic!("floe reads {}: {e}", self.story()),
        };
        assert_same_rows(
            &format!("floe reads {}", self.story()),
            &rows(&own, &columns),
            &rows(&[wanted], &columns),
        );
    }

    /// One operation that is drawn, on the table and on the model.
    pub(super) async fn operate(&mut self, warehouse: &Warehouse) {
        let mode = if self.rng.random() { RowMode::CopyOnWrite } else { RowMode::MergeOnRead };
        match self.rng.random_range(0..23) {
            20 => self.roll_back(warehouse).await,
            21 => self.publish(warehouse).await,
            22 => self.write_to_branch(warehouse, mode).await,
            0..4 => self.append(warehouse).await,
            4..8 => self.delete(warehouse, mode).await,
            8..11 => self.overwrite(warehouse, mode).await,
            11..13 => self.overwrite_partitions(warehouse, mode).await,
            13..17 => self.upsert(warehouse, mode).await,
            17 => self.change_spec(warehouse).await,
            18 => self.change_schema(warehouse).await,
            _ => self.delete_equal(warehouse).await,
        }
        self.remember(warehouse).await;
    }

    /// Notes which rows the head of the branch has.
    pub(super) async fn remember(&mut self, warehouse: &Warehouse) {
        let table = warehouse.manager.load_table(&self.table).await.unwrap();
        let Some(head) = table.metadata.current_snapshot_id() else { return };
        if self.history.last().is_none_or(|(id, _)| *id != head) {
            self.history.push((head, self.rows.clone()));
        }
    }

    async fn roll_back(&mut self, warehouse: &Warehouse) {
        let Some(to) = (0..self.history.len()).collect::<Vec<_>>().choose(&mut self.rng).copied() else {
            return;
        };
        self.history.truncate(to + 1);
        let (id, rows) = self.history[to].clone();
        self.note(format!("roll back to snapshot {id}, of {} rows", rows.len()));
        warehouse.manager.rollback_to_snapshot(&self.table, None, id).await.unwrap();
        self.rows = rows;
    }

    /// Stages an append, appends, and publishes what was staged.
    async fn publish(&mut self, warehouse: &Warehouse) {
        let (staged, between) = (self.draw(20), self.draw(5));
        let name = format!("step {}", self.done.len());
        self.note(format!(
            "publish {} rows that are staged while {} are appended",
            staged.len(),
            between.len()
        ));
        let options = ChangeOptions {
            staged: true,
            snapshot_properties: [("wap.id".to_owned(), name.clone())].into(),
            ..ChangeOptions::default()
        };
        let config = WriteConfig { options, ..WriteConfig::default() };
        warehouse.write(&self.table, &self.columns.batch(&staged), &config).await;
        self.check(warehouse).await;
        warehouse.append(&self.table, vec![self.columns.batch(&between)]).await;
        warehouse.manager.publish(&self.table, None, &name).await.unwrap();
        self.rows.extend(staged.into_iter().chain(between));
    }

    /// Deletes and appends on a branch, and moves the main branch forward to it.
    async fn write_to_branch(&mut self, warehouse: &Warehouse, mode: RowMode) {
        if self.history.is_empty() {
            return;
        }
        let name = format!("branch{}", self.done.len());
        let (filter, new) = (Filter::draw(&mut self.rng, self.columns, 1), self.draw(10));
        self.done.push(format!(
            "on a branch: delete {}, {}, append {} rows",
            filter.text,
            mode.as_str(),
            new.len()
        ));
        let manager = &warehouse.manager;
        manager.branch(&self.table, &name, None, BranchRetention::default(), false).await.unwrap();
        let options = ChangeOptions { branch: Some(name.clone()), ..with_mode(mode) };
        let delete = DeleteConfig { options: options.clone() };
        manager.delete_data(&self.table, &Expr::parse(&filter.text).unwrap(), &delete).await.unwrap();
        let append = WriteConfig { options, ..WriteConfig::default() };
        warehouse.write(&self.table, &self.columns.batch(&new), &append).await;
        self.check(warehouse).await;
        manager.fast_forward(&self.table, "main", &name).await.unwrap();
        manager.drop_branch(&self.table, &name).await.unwrap();
        self.rows.retain(|row| !filter.is_true(row));
        self.rows.extend(new);
    }

    /// New rows, whose ids are new, too.
    fn draw(&mut self, most: usize) -> Vec<Row> {
        let count = self.rng.random_range(1..most);
        let first = self.next_id;
        self.next_id += count as i64;
        let late = self.columns.late;
        (first..self.next_id).map(|id| Row::draw(&mut self.rng, id, late)).collect()
    }

    async fn append(&mut self, warehouse: &Warehouse) {
        let new = self.draw(60);
        let strategy =
            if self.rng.random() { CommitStrategy::FastAppend } else { CommitStrategy::MergeCommit };
        self.note(format!("append {} rows, {}", new.len(), strategy.as_str()));
        warehouse.try_append(&self.table, vec![self.columns.batch(&new)], strategy).await.unwrap();
        self.rows.extend(new);
    }

    async fn delete(&mut self, warehouse: &Warehouse, mode: RowMode) {
        let filter = Filter::draw(&mut self.rng, self.columns, 2);
        self.note(format!("delete {}, {}", filter.text, mode.as_str()));
        warehouse.delete(&self.table, &filter.text, mode).await;
        self.rows.retain(|row| !filter.is_true(row));
    }

    async fn overwrite(&mut self, warehouse: &Warehouse, mode: RowMode) {
        let new = self.draw(25);
        let all = self.rng.random_bool(0.1);
        let filter = Filter::draw(&mut self.rng, self.columns, 2);
        let text = if all { "true" } else { &filter.text };
        self.done.push(format!("overwrite {text} with {} rows, {}", new.len(), mode.as_str()));
        warehouse.overwrite(&self.table, &self.columns.batch(&new), text, mode).await;
        self.rows.retain(|row| !all && !filter.is_true(row));
        self.rows.extend(new);
    }

    async fn overwrite_partitions(&mut self, warehouse: &Warehouse, mode: RowMode) {
        let new = self.draw(6);
        self.note(format!("overwrite the partitions of {} rows, {}", new.len(), mode.as_str()));
        let config = WriteConfig {
            mode: WriteMode::Overwrite,
            overwrite_partitions: true,
            options: with_mode(mode),
            ..WriteConfig::default()
        };
        warehouse.write(&self.table, &self.columns.batch(&new), &config).await;
        let touched: Vec<_> = new.iter().map(|row| partition(&self.spec, row)).collect();
        self.rows.retain(|row| !touched.contains(&partition(&self.spec, row)));
        self.rows.extend(new);
    }

    async fn upsert(&mut self, warehouse: &Warehouse, mode: RowMode) {
        let by_text = self.rng.random_bool(0.3);
        let mut source = self.draw(20);
        for row in &mut source {
            if let Some(present) = self.rows.choose(&mut self.rng).filter(|_| row.id % 2 == 0) {
                (row.id, row.s) = (present.id, present.s);
            }
        }
        let key = |row: &Row| if by_text { (0, row.a, row.s) } else { (row.id, None, None) };
        let mut seen = HashSet::new();
        source.retain(|row| seen.insert(key(row)));
        let when_matched = *[
            WhenMatched::UpdateAll,
            WhenMatched::UpdateAll,
            WhenMatched::UpdateIfChanged,
            WhenMatched::Ignore,
            WhenMatched::Delete,
        ]
        .choose(&mut self.rng)
        .unwrap();
        let when_not_matched =
            if self.rng.random_bool(0.8) { WhenNotMatched::Insert } else { WhenNotMatched::Ignore };
        let by_source = match self.rng.random_bool(0.1) {
            true => WhenNotMatchedBySource::Delete,
            false => WhenNotMatchedBySource::Ignore,
        };
        let on: Vec<String> = match by_text {
            true => vec!["a".into(), self.columns.name_of_s().into()],
            false => vec!["id".into()],
        };
        self.note(format!(
            "upsert {} rows on {on:?}: {when_matched:?}, {when_not_matched:?}, {by_source:?}, {}",
            source.len(),
            mode.as_str()
        ));
        let config = WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: on,
            when_matched,
            when_not_matched,
            when_not_matched_by_source: by_source,
            options: with_mode(mode),
            ..WriteConfig::default()
        };
        warehouse.write(&self.table, &self.columns.batch(&source), &config).await;
        let (mut left, mut matched) = (Vec::new(), HashSet::new());
        for row in &self.rows {
            match source.iter().find(|s| key(s) == key(row)) {
                None if by_source == WhenNotMatchedBySource::Delete => {}
                None => left.push(*row),
                Some(new) => {
                    matched.insert(key(new));
                    match when_matched {
                        WhenMatched::Ignore => left.push(*row),
                        WhenMatched::Delete => {}
                        WhenMatched::UpdateAll | WhenMatched::UpdateIfChanged => left.push(*new),
                    }
                }
            }
        }
        if when_not_matched == WhenNotMatched::Insert {
            left.extend(source.iter().filter(|new| !matched.contains(&key(new))));
        }
        self.rows = left;
    }

    async fn change_spec(&mut self, warehouse: &Warehouse) {
        let spec = draw_spec(&mut self.rng);
        self.note(format!("partition by {spec:?}"));
        let number = self.done.len();
        self.update(warehouse, |metadata| {
            let next = unbound(&spec, number);
            let same = metadata.partition_specs_iter().find(|old| {
                old.fields().len() == next.fields().len()
                    && old
                        .fields()
                        .iter()
                        .zip(next.fields())
                        .all(|(a, b)| (a.source_id, a.transform) == (b.source_id, b.transform))
            });
            match same {
                Some(old) => vec![TableUpdate::SetDefaultSpec { spec_id: old.spec_id() }],
                None => {
                    vec![TableUpdate::AddSpec { spec: next }, TableUpdate::SetDefaultSpec { spec_id: -1 }]
                }
            }
        })
        .await;
        self.spec = spec;
    }

    async fn change_schema(&mut self, warehouse: &Warehouse) {
        let mut next = self.columns;
        match self.rng.random_range(0..3) {
            0 => next.late = true,
            1 => next.wide = true,
            _ => next.renamed = true,
        }
        self.note(format!("columns {next:?}"));
        self.columns = next;
        self.update(warehouse, |metadata| {
            let fields = metadata.current_schema().as_struct().fields().iter().map(|field| {
                let mut field = NestedField::clone(field);
                match field.id {
                    2 if next.wide => *field.field_type = Type::Primitive(PrimitiveType::Long),
                    4 if next.renamed => field.name = "text".into(),
                    _ => {}
                }
                field.into()
            });
            let mut fields: Vec<_> = fields.collect();
            if next.late && fields.len() == 5 {
                let late = NestedField::optional(6, "late", Type::Primitive(PrimitiveType::Boolean));
                fields.push(late.into());
            }
            let schema = Schema::builder().with_fields(fields).build().unwrap();
            vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }]
        })
        .await;
    }

    /// Deletes by equality everywhere, while the table is not partitioned.
    async fn delete_equal(&mut self, warehouse: &Warehouse) {
        if !self.spec.is_empty() {
            return self.delete(warehouse, RowMode::MergeOnRead).await;
        }
        let mut keys = self.draw(4);
        keys.extend(self.rows.choose(&mut self.rng));
        self.note(format!("delete {} rows by equality of a and s", keys.len()));
        let batch = self.columns.batch(&keys).project(&[1, 3]).unwrap();
        equality_delete(warehouse, &self.table, &[2, 4], &batch, Struct::empty()).await;
        let gone: HashSet<_> = keys.iter().map(|row| (row.a, row.s)).collect();
        self.rows.retain(|row| !gone.contains(&(row.a, row.s)));
        self.equality = true;
    }

    async fn update(&self, warehouse: &Warehouse, updates: impl Fn(&TableMetadata) -> Vec<TableUpdate>) {
        let loaded = warehouse.manager.load_table(&self.table).await.unwrap();
        let base = TableBase::new(loaded, ManifestCache::default().into());
        let catalog = warehouse.manager.catalog();
        let retry = RetryPolicy::default();
        commit_updates(&**catalog, &base, |m| Ok(updates(m)), &retry, &SystemEnvironment).await.unwrap();
    }
}
