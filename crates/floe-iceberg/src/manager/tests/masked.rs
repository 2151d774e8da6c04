//! FR-044: values of partitions, cells and literals appear in no error, no event and no `Debug` text.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use floe_core::Error;
use floe_plan::guard::Isolation;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::fmt::format::FmtSpan;

use super::act::Act;
use super::lake::{Lake, ONCE, rows};
use crate::execute::rows::RowMode;
use crate::execute::scan::ScanRequest;
use crate::model::{ChangeOptions, DeleteConfig, WriteConfig};

const MARK: &str = "zqSECRETqz";
const FILTER: &str = "part = 'zqSECRETqz'";
const OTHER: &str = "v > 4711";

/// What events were written, of every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that can be made of an error.
fn shown(error: &Error) -> String {
    let mut text =
        format!("{error} {error:?} {error:#?} {:?}", iceberg::Error::from(error.clone()).to_string());
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text.push(' ');
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[track_caller]
fn hides(error: &Error, what: &str) {
    let text = shown(error);
    assert!(!text.contains("SECRET") && !text.contains("4711"), "{what}: {text}");
}

/// Every operation on a table; the errors there were.
async fn everything(lake: &Lake) -> Vec<Error> {
    let mut errors = Vec::new();
    let manager = lake.another();
    match manager.scan(&lake.table, &ScanRequest::default()).await {
        Ok(scan) => errors.extend(scan.data.collect().await.err()),
        Err(e) => errors.push(e),
    }
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let options = || ChangeOptions { row_mode: Some(mode), rerun: ONCE, ..ChangeOptions::default() };
        for act in [
            Act::Delete(OTHER),
            Act::Delete("part = 'zqSECRETqz' and id = 1"),
            Act::Upsert(1, MARK),
            Act::Overwrite("part = 'zqSECRETqz' and v > 1", 9, MARK),
            Act::Dynamic(9, MARK),
            Act::Append(9, MARK),
        ] {
            errors.extend(act.run(&manager, &lake.table, options()).await.err());
        }
    }
    errors
}

#[tokio::test]
async fn no_error_event_or_debug_text_shows_a_value() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_span_events(FmtSpan::FULL)
        .finish();
    let work = async {
        let mut seen = 0;
        let start = || rows(&[(1, MARK, 5000), (2, "b/c=zqSECRETqz", 1), (3, "x zqSECRETqz", 2)]);
        for damage in 0..3 {
            let lake = Lake::new(&[]).await;
            lake.manager.write_data(&lake.table, start(), &WriteConfig::default()).await.unwrap();
            for location in lake.storage.locations().iter().filter(|l| l.ends_with(".parquet")) {
                let table = lake.manager.load_table(&lake.table).await.unwrap();
                let bytes = table.file_io.new_input(location).unwrap().read().await.unwrap();
                match damage {
                    0 => table.file_io.delete(location).await.unwrap(),
                    1 => lake.storage.damage(location, bytes.slice(..bytes.len() / 2)).unwrap(),
                    _ => lake.storage.damage(location, Bytes::from(vec![0x55; bytes.len()])).unwrap(),
                }
            }
            let errors = everything(&lake).await;
            assert!(!errors.is_empty());
            for error in &errors {
                hides(error, &format!("damage {damage}"));
            }
            seen += errors.len();
        }
        // Another writer changes what was read.
        for mine in [
            Act::Delete(FILTER),
            Act::Upsert(1, MARK),
            Act::Overwrite(FILTER, 9, MARK),
            Act::Dynamic(9, MARK),
        ] {
            for theirs in
                [Act::Append(7, MARK), Act::Delete(FILTER), Act::Upsert(1, MARK), Act::Dynamic(8, MARK)]
            {
                for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
                    let lake = Lake::new(&[]).await;
                    lake.manager.write_data(&lake.table, start(), &WriteConfig::default()).await.unwrap();
                    let (other, table) = (lake.another(), lake.table.clone());
                    let (manager, _) = lake.after(async move {
                        theirs.run(&other, &table, ChangeOptions::default()).await.unwrap();
                    });
                    let isolation = Some(Isolation::Serializable);
                    let options = ChangeOptions {
                        row_mode: Some(mode),
                        isolation,
                        rerun: ONCE,
                        ..ChangeOptions::default()
                    };
                    if let Err(error) = mine.run(&manager, &lake.table, options).await {
                        hides(&error, &format!("{mine:?} {theirs:?}"));
                        seen += 1;
                    }
                }
            }
        }
        // What is asked for is not there.
        let lake = Lake::new(&[]).await;
        for filter in
            ["nope = 'zqSECRETqz'", "id = 'zqSECRETqz'", "v like 'zqSECRETqz%'", "id in (1, 'zqSECRETqz')"]
        {
            let filter = floe_plan::expr::Expr::parse(filter).unwrap();
            let error =
                lake.manager.delete_data(&lake.table, &filter, &DeleteConfig::default()).await.unwrap_err();
            hides(&error, "a filter");
            seen += 1;
        }
        for filter in
            ["part = 'zqSECRETqz", "part = 'zqSECRETqz' and", "'zqSECRETqz'", "part = date 'zqSECRETqz'"]
        {
            if let Err(error) = floe_plan::expr::Expr::parse(filter) {
                hides(&error, filter);
                seen += 1;
            }
        }
        seen
    };
    let seen = work.with_subscriber(subscriber).await;
    assert!(seen > 25, "{seen}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("operation failed"), "events are caught");
    let bad = log.lines().find(|line| line.contains("SECRET") || line.contains("4711"));
    assert_eq!(bad, None);
}
