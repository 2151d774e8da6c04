//! Aligned columns for people.

use std::fmt::Write as _;
use std::io::Write as _;

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, SchemaRef};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, TableComponent, Width};
use floe::Result;
use floe::text::escape;

use super::sink::{Out, Sink, arrow_error};
use super::years;

/// How a table is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Columns of the terminal; none when the output is no terminal, and nothing is cut.
    pub(crate) width: Option<u16>,
}

/// Rows in a block. Blocks are aligned one by one, so that a long table needs no more memory than a short one.
const BLOCK_ROWS: usize = 2_000;
/// Characters that a value is cut to on a terminal.
const MAX_VALUE: usize = 60;

/// A table of rows, written in blocks of aligned columns.
pub(super) struct Table {
    out: Out,
    names: Vec<String>,
    numeric: Vec<bool>,
    layout: Layout,
    rows: Vec<Vec<String>>,
    /// Widths of the first block, which later blocks keep at least.
    widths: Option<Vec<u16>>,
}

impl Table {
    pub(super) fn new(schema: &SchemaRef, out: Out, layout: Layout) -> Self {
        let names = schema.fields().iter().map(|f| escape(f.name()).into_owned()).collect();
        let numeric = schema.fields().iter().map(|f| is_numeric(f.data_type())).collect();
        Self { out, names, numeric, layout, rows: Vec::new(), widths: None }
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut table = lines(&self.names, self.layout);
        for row in rows {
            table.add_row(row.into_iter().zip(&self.numeric).map(|(text, numeric)| {
                let right = if *numeric { CellAlignment::Right } else { CellAlignment::Left };
                Cell::new(text).set_alignment(right)
            }));
        }
        for (i, numeric) in self.numeric.iter().enumerate() {
            if let (true, Some(column)) = (*numeric, table.column_mut(i)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if let Some(widths) = &self.widths {
            for (i, width) in widths.iter().enumerate() {
                if let Some(column) = table.column_mut(i) {
                    column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(*width)));
                }
            }
        }
        let text = table.to_string();
        let skip = if self.widths.is_some() { 2 } else { 0 };
        for line in text.lines().skip(skip) {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        if self.widths.is_none() {
            self.widths = Some(table.column_max_content_widths());
        }
        Ok(())
    }
}

impl Sink for Table {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::new().with_null("NULL").with_display_error(false);
        let formatters: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<std::result::Result<_, _>>()
            .map_err(arrow_error)?;
        for row in 0..batch.num_rows() {
            let values = formatters.iter().zip(batch.columns()).map(|(formatter, column)| {
                if column.is_null(row) {
                    return Ok("NULL".to_owned());
                }
                let mut text = String::new();
                write!(text, "{}", formatter.value(row)).map_err(|_| years::beyond())?;
                Ok(one_line(&text, self.layout.width.is_some()))
            });
            self.rows.push(values.collect::<Result<_>>()?);
            if self.rows.len() >= BLOCK_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        if self.widths.is_none() || !self.rows.is_empty() {
            self.flush()?;
        }
        Ok(self.out)
    }
}

/// A table of a few lines, in the style of all of floe's tables. Each cell is one line: what it holds is foreign text.
#[derive(Debug)]
pub(crate) struct PlainTable(comfy_table::Table);

/// An empty table with a header line.
pub(crate) fn plain_table<S: AsRef<str>>(header: &[S], layout: Layout) -> PlainTable {
    let header: Vec<_> = header.iter().map(|name| escape(name.as_ref())).collect();
    PlainTable(lines(&header, layout))
}

impl PlainTable {
    /// Adds a row.
    pub(crate) fn add_row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.0.add_row(cells.into_iter().map(|cell| Cell::new(escape(cell.as_ref()))));
    }

    /// Aligns these columns, counted from 0, to the right.
    pub(crate) fn right(&mut self, columns: &[usize]) {
        for column in columns {
            if let Some(column) = self.0.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }

    /// The table as text, without spaces at the ends of lines.
    pub(crate) fn trim_fmt(&self) -> String {
        self.0.trim_fmt()
    }
}

/// An empty table whose cells are escaped already.
fn lines<S: AsRef<str>>(header: &[S], layout: Layout) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, ' ');
    table.set_style(TableComponent::VerticalLines, ' ');
    table.set_header(header.iter().map(|name| Cell::new(name.as_ref())));
    if let Some(width) = layout.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

/// Line breaks and control characters would tear the table apart, and could steer the terminal: they are escaped, wherever
/// the table goes. What must be exact is written in another format.
fn one_line(text: &str, cut: bool) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) if cut => format!("{}…", escape(&text[..end])),
        _ => escape(text).into_owned(),
    }
}

fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn render(rows: usize) -> Vec<String> {
        let ids: Int64Array = (0..rows as i64).map(|i| (i != 1).then_some(i)).collect();
        let names: StringArray = (0..rows).map(|i| Some(format!("a\nb{i}"))).collect();
        let batch = RecordBatch::try_from_iter([
            ("id", Arc::new(ids) as arrow_array::ArrayRef),
            ("name", Arc::new(names)),
        ])
        .unwrap();
        let out = Shared::default();
        let mut table = Box::new(Table::new(&batch.schema(), Box::new(out.clone()), Layout::default()));
        table.write(&batch).unwrap();
        table.finish().unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_stand_right_and_null_is_shown() {
        let lines = render(12);
        assert_eq!(lines.len(), 14, "{lines:#?}");
        assert!(lines[0].starts_with("id") || lines[0].trim_start().starts_with("id"), "{lines:#?}");
        assert!(lines[3].starts_with("NULL"), "{lines:#?}");
        assert!(lines[2].starts_with("   0"), "{lines:#?}");
        assert!(lines[13].starts_with("  11"), "{lines:#?}");
        assert!(lines[2].contains("a\\nb0"), "{lines:#?}");
    }

    #[test]
    fn long_tables_have_one_header() {
        let lines = render(BLOCK_ROWS * 2 + 5);
        assert_eq!(lines.len(), BLOCK_ROWS * 2 + 5 + 2);
        assert_eq!(lines.iter().filter(|l| l.contains("name")).count(), 1);
    }

    #[test]
    fn an_empty_table_shows_its_header() {
        assert_eq!(render(0).len(), 2);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2J\u{202e}", false), r"a\u001b[2J\u202e");
        assert_eq!(one_line(&"x".repeat(100), true).chars().count(), MAX_VALUE + 1);
        assert_eq!(one_line(&"x".repeat(100), false).len(), 100);
    }
}
