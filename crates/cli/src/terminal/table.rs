//! Tables for people: columns as wide as what stands in them.

use super::harmless;

/// A table with a header; the last column is not padded.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let cells = std::iter::once(header.iter().map(|name| (*name).to_owned()).collect())
        .chain(rows)
        .map(|row: Vec<String>| row.iter().map(|cell| harmless(cell).replace(['\n', '\t'], " ")).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    let columns = header.len();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines = cells.iter().map(|row| {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < columns {
                let padding = widths.get(column).map_or(0, |width| width.saturating_sub(cell.chars().count()));
                line.push_str(&" ".repeat(padding + 2));
            }
        }
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let shown = table(&["A", "LONG"], vec![vec!["wide".into(), "1".into()], vec!["é\n".into(), "2".into()]]);
        assert_eq!(shown, "A     LONG\nwide  1\né     2");
    }
}
