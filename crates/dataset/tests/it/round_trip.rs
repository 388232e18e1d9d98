//! What is written is read, and what is cut off is told.

use proptest::prelude::*;
use sluicegate_dataset::{Row, Where};
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::{Map, Value};

use crate::{Folder, shown};

/// Text of every plane, with what separates and quotes.
fn text() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        4 => prop::sample::select(vec!['"', ',', '\t', '\n', '\r', ' ', '\\', '{', '}', '[', ']', 'a', '\u{feff}']),
        2 => any::<char>(),
        1 => (0x1_0000u32..0x11_0000).prop_map(|code| char::from_u32(code).unwrap_or('x')),
    ];
    prop::collection::vec(letter, 0..12).prop_map(|letters| letters.into_iter().collect())
}

fn rows() -> impl Strategy<Value = Vec<Map>> {
    let row = prop::collection::vec(
        (
            text(),
            prop_oneof![
                text().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from)
            ],
        ),
        0..4,
    );
    prop::collection::vec(row.prop_map(|entries| entries.into_iter().collect::<Map>()), 0..6)
}

/// Rows of three columns.
fn table() -> impl Strategy<Value = Vec<[String; 3]>> {
    prop::collection::vec([text(), text(), text()], 0..6)
}

fn read(name: &str, content: impl AsRef<[u8]>) -> Vec<Result<Row, String>> {
    let folder = Folder::with(name, content);
    folder.dataset(name).rows().map(|row| row.map_err(|bad| bad.to_string())).collect()
}

fn columns(rows: Vec<Result<Row, String>>) -> Vec<Map> {
    rows.into_iter().map(|row| row.expect("a whole row").columns).collect()
}

fn json_lines(rows: &[Map], end: &str) -> String {
    rows.iter().map(|row| Value::from(row.clone()).to_json() + end).collect()
}

fn json_list(rows: &[Map], separator: &str) -> String {
    let items: Vec<String> = rows.iter().map(|row| Value::from(row.clone()).to_json_pretty()).collect();
    format!("[{}]", items.join(separator))
}

fn delimited(rows: &[[String; 3]], delimiter: char, end: &str) -> (String, Vec<usize>) {
    let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
    let mut out = format!("one{delimiter}two{delimiter}three{end}");
    let mut ends = Vec::new();
    for row in rows {
        // A cell is quoted only where it must be; the first always, lest a row look blank.
        let is_plain = |cell: &str| !cell.contains(['"', '\n', '\r', delimiter]);
        let [one, two, three] = row;
        let rest = [two, three].map(|cell| if is_plain(cell) { cell.clone() } else { quoted(cell) });
        out.push_str(&format!("{}{delimiter}{}{end}", quoted(one), rest.join(&delimiter.to_string())));
        ends.push(out.len());
    }
    (out, ends)
}

fn of_table(rows: &[[String; 3]]) -> Vec<Map> {
    let map = |[one, two, three]: &[String; 3]| {
        Map::from([("one", one.as_str()), ("two", two.as_str()), ("three", three.as_str())])
    };
    rows.iter().map(map).collect()
}

/// How the rows of a file that is cut at `cut` compare with those of the whole: all that end before the cut are there.
fn check_cut(name: &str, content: &[u8], cut: usize, whole_before: usize) -> Result<(), TestCaseError> {
    let whole: Vec<Map> = columns(read(name, content));
    let found = read(name, &content[..cut]);
    let good: Vec<Map> =
        found.iter().take(whole_before).filter_map(|row| row.as_ref().ok()).map(|row| row.columns.clone()).collect();
    prop_assert_eq!(&good, &whole[..whole_before]);
    prop_assert!(found.len() <= whole_before + 2, "{:?}", found);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn json_lines_come_back(rows in rows(), end in prop::sample::select(vec!["\n", "\r\n", "\n\n"])) {
        prop_assert_eq!(columns(read("d.jsonl", json_lines(&rows, end))), rows);
    }

    #[test]
    fn lists_come_back(rows in rows(), separator in prop::sample::select(vec![",", ",\r\n", " , "])) {
        for name in ["d.json", "d.jsonl"] {
            prop_assert_eq!(&columns(read(name, json_list(&rows, separator))), &rows);
        }
    }

    #[test]
    fn objects_one_after_the_other_come_back(rows in rows()) {
        prop_assert_eq!(&columns(read("d.json", json_lines(&rows, "\n"))), &rows);
    }

    #[test]
    fn tables_come_back(rows in table(), end in prop::sample::select(vec!["\n", "\r\n", "\r"]), tabs in any::<bool>()) {
        let (name, delimiter) = if tabs { ("d.tsv", '\t') } else { ("d.csv", ',') };
        prop_assert_eq!(columns(read(name, delimited(&rows, delimiter, end).0)), of_table(&rows));
    }

    #[test]
    fn json_lines_that_are_cut_keep_their_whole_rows(rows in rows(), at in any::<prop::sample::Index>()) {
        let content = json_lines(&rows, "\n").into_bytes();
        let cut = at.index(content.len() + 1);
        let before = content[..cut].iter().filter(|byte| **byte == b'\n').count();
        check_cut("d.jsonl", &content, cut, before)?;
    }

    #[test]
    fn lists_that_are_cut_keep_their_whole_rows(rows in rows(), at in any::<prop::sample::Index>()) {
        let content = json_list(&rows, ",").into_bytes();
        let cut = at.index(content.len() + 1);
        let mut end = 1;
        let mut before = 0;
        for row in &rows {
            end += Value::from(row.clone()).to_json_pretty().len() + usize::from(before > 0);
            if end > cut {
                break;
            }
            before += 1;
        }
        check_cut("d.json", &content, cut, before)?;
    }

    #[test]
    fn tables_that_are_cut_keep_their_whole_rows(rows in table(), at in any::<prop::sample::Index>()) {
        let (content, ends) = delimited(&rows, ',', "\n");
        let cut = at.index(content.len() + 1);
        let before = ends.iter().filter(|end| **end <= cut).count();
        check_cut("d.csv", content.as_bytes(), cut, before)?;
    }

    #[test]
    fn no_bytes_stop_the_reader(content in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\"{}[],:\n\r\t \\a1".to_vec())], 0..200)) {
        for name in ["d.jsonl", "d.json", "d.csv", "d.tsv"] {
            let folder = Folder::with(name, &content);
            let dataset = folder.dataset(name);
            let rows: Vec<String> = dataset.rows().map(shown).collect();
            let survey = dataset.survey(None, |_| Ok(()));
            prop_assert_eq!(survey.lines + survey.bad_rows, rows.len() as u64);
            prop_assert_eq!(survey.bad_rows as usize, rows.iter().filter(|row| row.starts_with('!')).count());
        }
    }

    #[test]
    fn a_survey_and_the_pass_after_it_agree(
        rows in rows(),
        broken in prop::collection::vec(any::<bool>(), 6),
        limit in prop::option::of(0u64..6),
        odd in any::<bool>(),
    ) {
        let lines = rows.iter().zip(&broken).map(|(row, broken)| if *broken { "{broken\n".to_owned() } else { Value::from(row.clone()).to_json() + "\n" });
        let folder = Folder::with("d.jsonl", lines.collect::<String>());
        let mut dataset = folder.dataset("d.jsonl");
        if odd {
            let text = "line_number % 2 == 1";
            let filter = Where::parse(&SourceFile::new("--where", text), Span::new(0, text.len()), text);
            dataset = dataset.with_filter(filter.expect("an expression"));
        }
        if let Some(limit) = limit {
            dataset = dataset.with_limit(limit);
        }
        let survey = dataset.survey(None, |_| Ok(()));
        let second: Vec<_> = dataset.as_surveyed(&survey).lines(None).collect();
        prop_assert_eq!(second.iter().filter(|line| line.is_ok()).count() as u64, survey.lines);
        prop_assert_eq!(second.iter().filter(|line| line.is_err()).count() as u64, survey.bad_rows);
        for name in survey.columns.names() {
            let having = second.iter().flatten().filter(|line| line.row.columns.contains_key(name)).count() as u64;
            prop_assert_eq!(survey.columns.count(name), having);
        }
    }
}

#[test]
fn pieces_that_lie_across_what_is_read_at_once_are_whole() {
    // Rows of all lengths put every kind of boundary at the end of a read.
    let row =
        |index: usize| Map::from([("a", Value::from("\\\"é😀".repeat(index % 97))), ("b", Value::from(index as i64))]);
    let rows: Vec<Map> = (0..2000).map(row).collect();
    assert_eq!(columns(read("d.json", json_list(&rows, ", "))), rows);
    assert_eq!(columns(read("d.jsonl", json_lines(&rows, "\r\n"))), rows);
    let table: Vec<[String; 3]> =
        (0..5000).map(|row| ["\"\r\n".repeat(row % 41), "é".repeat(row % 13), row.to_string()]).collect();
    assert_eq!(columns(read("d.csv", delimited(&table, ',', "\r\n").0)), of_table(&table));
}
