//! Each format, and what is wrong in it.

use sluicegate_dataset::{Dataset, Format, Source};

use crate::{Folder, check, shown};

#[test]
fn json_lines_are_read_with_their_numbers_and_places() {
    check("d.jsonl", "{\"a\": 1}\n{\"a\": 2}", &["0 d.jsonl:1 {\"a\":1}", "1 d.jsonl:2 {\"a\":2}"]);
}

#[test]
fn blank_lines_carriage_returns_and_a_byte_order_mark_are_no_rows() {
    check(
        "d.jsonl",
        "\u{feff}\r\n{\"a\": 1}\r\n   \r\n\n{\"a\": 2}\r\n",
        &["0 d.jsonl:2 {\"a\":1}", "1 d.jsonl:5 {\"a\":2}"],
    );
    check("d.jsonl", "", &[]);
    check("d.jsonl", "\u{feff}", &[]);
}

#[test]
fn a_bad_line_counts_and_the_next_is_read() {
    check(
        "d.jsonl",
        "{\"a\": 1}\n{\"a\": }\n[1]\n5\n{\"a\": NaN, \"a\": Infinity}\n{\"a\"",
        &[
            "0 d.jsonl:1 {\"a\":1}",
            "! 1 d.jsonl:2:7: a row is not JSON: expected a JSON value",
            "! 2 d.jsonl:3:1: a row must be an object of columns, and this is a list",
            "! 3 d.jsonl:4:1: a row must be an object of columns, and this is a number",
            "4 d.jsonl:5 {\"a\":Infinity}",
            "! 5 d.jsonl:6:5: a row is not JSON: expected `:` after a key",
        ],
    );
}

#[test]
fn an_object_over_several_lines_is_told_where_it_belongs() {
    let folder = Folder::with("d.jsonl", "{\n  \"a\": 1\n}\n");
    let bad = folder.dataset("d.jsonl").rows().next().expect("a row").expect_err("half an object");
    assert!(bad.problem.help.is_some_and(|help| help.contains(".json file")));
    check("d.json", "{\n  \"a\": 1\n}\n{\"a\": 2}\n", &["0 d.json:1 {\"a\":1}", "1 d.json:4 {\"a\":2}"]);
}

#[test]
fn a_list_is_recognised_whatever_the_name() {
    let text = "\n [\n  {\"a\": \"]}\\\"\"},\n  {\"a\": {\"b\": [1, {}]}}, {}\n]\n";
    for name in ["d.json", "d.jsonl"] {
        let rows = [r#":3 {"a":"]}\""}"#, r#":4 {"a":{"b":[1,{}]}}"#, ":4 {}"];
        let rows: Vec<String> = rows.iter().enumerate().map(|(index, row)| format!("{index} {name}{row}")).collect();
        check(name, text, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    }
    check("d.json", "[]", &[]);
    check("d.json", " ", &[]);
}

#[test]
fn items_that_are_no_rows_are_bad_rows() {
    check(
        "d.json",
        "[1, \"x\", {\"a\": tru}, null,{\"a\": 1}]",
        &[
            "! 0 d.json:1:2: a row must be an object of columns, and this is a number",
            "! 1 d.json:1:5: a row must be an object of columns, and this is text",
            "! 2 d.json:1:16: a row is not JSON: expected a JSON value",
            "! 3 d.json:1:22: a row must be an object of columns, and this is `null`",
            "4 d.json:1 {\"a\":1}",
        ],
    );
}

#[test]
fn a_list_that_is_broken_is_read_no_further() {
    check("d.json", "[{\"a\": 1}", &["0 d.json:1 {\"a\":1}", "!! 1 d.json:1:10: the file ends inside the list"]);
    check("d.json", "[{\"a\": 1},\n", &["0 d.json:1 {\"a\":1}", "!! 1 d.json:2:1: the file ends inside the list"]);
    check("d.json", "[{\"a\": 1", &["!! 0 d.json:1:9: a row is not JSON: expected `,` or `}`"]);
    check("d.json", "[{\"a\": 1},]", &["0 d.json:1 {\"a\":1}", "!! 1 d.json:1:11: an item is missing after `,`"]);
    check("d.json", "[{} {}]", &["0 d.json:1 {}", "!! 1 d.json:1:5: expected `,` or `]` after an item of the list"]);
    check("d.json", "[{}] 5", &["0 d.json:1 {}", "!! 1 d.json:1:6: there is more text after the list"]);
    check("d.json", "[{\"a\": [1}, {\"b\": 2}]", &["!! 0 d.json:1:10: a row is not JSON: expected `,` or `]`"]);
}

#[test]
fn brackets_without_end_take_no_memory_to_speak_of() {
    let folder = Folder::with("d.json", "[".repeat(3_000_000));
    let dataset = folder.dataset("d.json").with_max_row_bytes(1000);
    let found: Vec<String> = dataset.rows().map(shown).collect();
    assert_eq!(found, ["!! 0 d.json:1:2: a row is longer than 1000 bytes"]);
}

#[test]
fn cells_are_texts() {
    check(
        "d.csv",
        "\u{feff}v,t\r\n1,a\r\n\r\n2,\r\n\"4\",\"x,y\"\r\n",
        &[r#"0 d.csv:2 {"v":"1","t":"a"}"#, r#"1 d.csv:4 {"v":"2","t":""}"#, r#"2 d.csv:5 {"v":"4","t":"x,y"}"#],
    );
    check("d.tsv", "v\tt\n1\ta,\"b\"\n", &[r#"0 d.tsv:2 {"v":"1","t":"a,\"b\""}"#]);
    check("d.tsv", "v\tt\n\t\n", &[r#"0 d.tsv:2 {"v":"","t":""}"#]);
    check("d.csv", "v,t\n", &[]);
    check("d.csv", "", &[]);
    check("d.csv", "v\n\"\"\n", &[r#"0 d.csv:2 {"v":""}"#]);
}

#[test]
fn a_quoted_cell_holds_quotes_and_lines() {
    check(
        "d.csv",
        "v,\"t \"\"q\"\"\"\n\"a\n\r\nb\",\"\"\"\"\n2,\"say \"\"hi\"\"\"\r3,x",
        &[
            r#"0 d.csv:2 {"v":"a\n\r\nb","t \"q\"":"\""}"#,
            r#"1 d.csv:5 {"v":"2","t \"q\"":"say \"hi\""}"#,
            r#"2 d.csv:6 {"v":"3","t \"q\"":"x"}"#,
        ],
    );
}

#[test]
fn a_row_with_other_cells_than_the_header_is_bad() {
    check(
        "d.csv",
        "a,b\n\"é\n\",2,3,4\n1\n5,6\n",
        &[
            "! 0 d.csv:3:5: this row has 4 cells, and the header has 2",
            "! 1 d.csv:4:2: this row has 1 cell, and the header has 2",
            r#"2 d.csv:5 {"a":"5","b":"6"}"#,
        ],
    );
}

#[test]
fn quotes_that_do_not_fit_are_bad() {
    check(
        "d.csv",
        "a,b\n1,\"x\"y\n2,\"open\n3,z\n",
        &[
            "! 0 d.csv:2:6: there is text after the closing quote of a cell",
            "!! 1 d.csv:3:3: a cell is quoted here, and the quote is never closed",
        ],
    );
}

#[test]
fn a_header_names_every_column_once() {
    check(
        "d.csv",
        "a,,b,a\n1,2,3,4\n",
        &["!! 0 d.csv:1:3: in the header, column 2 has no name, column 4 is named `a` as one before it"],
    );
}

#[test]
fn text_that_is_not_utf_8_has_a_place() {
    check(
        "d.jsonl",
        b"{\"a\": \"\xc3\xa9\xff\"}\n{}\n",
        &["! 0 d.jsonl:1:9: this is not UTF-8 text", "1 d.jsonl:2 {}"],
    );
    check("d.csv", b"a\n\"\n\xe9\"\nb\n", &["! 0 d.csv:3:1: this is not UTF-8 text", r#"1 d.csv:4 {"a":"b"}"#]);
    check("d.csv", b"\xff\xfea\0,\0", &["!! 0 d.csv:1:1: `d.csv` is UTF-16 text"]);
    check("d.jsonl", b"\xfe\xff\0{\0}", &["!! 0 d.jsonl:1:1: `d.jsonl` is UTF-16 text"]);
}

#[test]
fn what_is_shown_of_a_long_row_is_short_and_in_its_place() {
    let folder = Folder::with("d.jsonl", format!("{{\"a\": \"{}\", \"b\": !}}\n", "é".repeat(1_000_000)));
    let bad = folder.dataset("d.jsonl").rows().next().expect("a row").expect_err("no JSON");
    let file = bad.problem.file.as_ref().expect("a file");
    assert_eq!(bad.to_string(), "d.jsonl:1:1000016: a row is not JSON: expected a JSON value");
    assert!(file.text().len() < 300);
    assert_eq!(file.slice(bad.problem.labels[0].span), "!");
    assert_eq!(bad.problem.labels[0].text, "column 1000016");
}

#[test]
fn a_row_that_is_too_long_is_not_held() {
    let long = "x".repeat(500_000);
    let cases = [
        ("d.jsonl", format!("{{\"a\": \"{long}\"}}\n{{\"a\": 1}}\n"), "1 d.jsonl:2 {\"a\":1}"),
        ("d.json", format!("[{{\"a\": \"{long}\"}},\n{{\"a\": 1}}]"), "1 d.json:2 {\"a\":1}"),
        ("d.csv", format!("a\n\"{long}\"\n1\n"), "1 d.csv:3 {\"a\":\"1\"}"),
    ];
    for (name, text, next) in cases {
        let folder = Folder::with(name, text);
        let found: Vec<String> = folder.dataset(name).with_max_row_bytes(200_000).rows().map(shown).collect();
        assert!(found[0].ends_with("a row is longer than 200000 bytes"), "{found:?}");
        assert!(found[0].starts_with("! "), "{found:?}");
        assert_eq!(found[1..], [next]);
    }
}

#[test]
fn a_spooled_file_is_told_by_its_text() {
    let folder = Folder::with("spool", "{\"a\": 1}\n");
    let rows = |source| Dataset::open(&[source]).expect("a data set").rows().map(shown).collect::<Vec<_>>();
    assert_eq!(rows(Source::spooled("-", folder.path("spool"))), ["0 -:1 {\"a\":1}"]);
    folder.write("spool", " [{\"a\": 1}]");
    assert_eq!(rows(Source::spooled("-", folder.path("spool"))), ["0 -:1 {\"a\":1}"]);
    folder.write("spool", "a\n1\n");
    assert_eq!(rows(Source::spooled("-", folder.path("spool"))), ["!! 0 `-` is no JSON"]);
    assert_eq!(rows(Source::spooled("-", folder.path("spool")).in_format(Format::Csv)), ["0 -:2 {\"a\":\"1\"}"]);
}
