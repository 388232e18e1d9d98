use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Document, Vec<Problem>> {
    read(&SourceFile::new("a.yaml", text))
}

#[track_caller]
fn check(text: &str, json: &str) {
    match parse(text) {
        Ok(document) => assert_eq!(document.root.to_value().to_json(), json, "{text}"),
        Err(problems) => panic!("{text}: {}", messages(&problems)),
    }
}

fn messages(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// Every problem as its line, and its first label's text in the file.
#[track_caller]
fn check_problems(text: &str, expected: &[(&str, &str)]) {
    let problems = parse(text).expect_err("a problem");
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.to_string(), problem.file.as_ref().unwrap().slice(problem.labels[0].span)))
        .collect();
    let told: Vec<_> = told.iter().map(|(message, place)| (message.as_str(), *place)).collect();
    assert_eq!(told, expected);
}

/// All keys and values with the text at their places, depth first.
fn places(document: &Document) -> String {
    fn walk(document: &Document, node: &Node, out: &mut String) {
        let text = document.file.slice(node.span);
        match &node.data {
            Data::Scalar { plain, .. } => {
                writeln!(out, "{} {text:?}", if *plain { "plain" } else { "quoted" }).unwrap()
            }
            Data::List(items) => {
                writeln!(out, "list {text:?}").unwrap();
                items.iter().for_each(|item| walk(document, item, out));
            }
            Data::Map(entries) => {
                writeln!(out, "map {text:?}").unwrap();
                for entry in entries {
                    assert_eq!(document.file.slice(entry.key_span).trim_matches(['"', '\'']), &*entry.key);
                    write!(out, "{} = ", entry.key).unwrap();
                    walk(document, &entry.value, out);
                }
            }
        }
    }
    let mut out = String::new();
    walk(document, &document.root, &mut out);
    out
}

#[track_caller]
fn check_places(text: &str, expected: &str) {
    let document = parse(text).unwrap();
    assert_eq!(places(&document), expected.trim().lines().map(|line| format!("{}\n", line.trim())).collect::<String>());
}

#[test]
fn reads_maps_lists_and_scalars() {
    check("a: 1\nb:\n- x\n- y: [true, null, 1.5]\n", r#"{"a":1,"b":["x",{"y":[true,null,1.5]}]}"#);
    check("", "null");
    check("# only a comment\n", "null");
    check("just text", r#""just text""#);
    check("---\na: 1\n...\n", r#"{"a":1}"#);
    check("\u{feff}a: 1", r#"{"a":1}"#);
    check("a: |\n  one\n  two\nb: >-\n  one\n  two\n", r#"{"a":"one\ntwo\n","b":"one two"}"#);
    check("a: 'it''s'\r\nb: \"tab\\t\"\r\n", r#"{"a":"it's","b":"tab\t"}"#);
    check("{a: 1, b, 'c': }", r#"{"a":1,"b":null,"c":null}"#);
    check("[a: 1, {b: 2}]", r#"[{"a":1},{"b":2}]"#);
}

#[test]
fn quotes_and_tags_decide_what_a_scalar_is() {
    check("[5, '5', \"5\", !!str 5, !!int '5', !!float 5, ! 5, !!str ]", r#"[5,"5","5","5",5,5.0,"5",""]"#);
}

#[test]
fn keys_are_text() {
    check("1: a\ntrue: b\n010: c\n~: d\n1.10: e\n", r#"{"1":"a","true":"b","010":"c","~":"d","1.10":"e"}"#);
}

#[test]
fn references_of_flows_are_text() {
    check("a: ${inputs.q}\nb: ${fetch.output['k k'][0]}\n", r#"{"a":"${inputs.q}","b":"${fetch.output['k k'][0]}"}"#);
}

#[test]
fn a_place_is_the_exact_text_of_its_value() {
    check_places(
        "a:   one two  # comment\nb: 'q' # it's \"a\" comment\nc: \"x \\\" y\"\nd:\ne: [1, 'two' ,{k: v}] # end\nf:\n- x\n-  y\nlast:\n  - z\n\n# end\n",
        r#"
        map "a:   one two  # comment\nb: 'q' # it's \"a\" comment\nc: \"x \\\" y\"\nd:\ne: [1, 'two' ,{k: v}] # end\nf:\n- x\n-  y\nlast:\n  - z"
        a = plain "one two"
        b = quoted "'q'"
        c = quoted "\"x \\\" y\""
        d = plain ""
        e = list "[1, 'two' ,{k: v}]"
        plain "1"
        quoted "'two'"
        map "{k: v}"
        k = plain "v"
        f = list "- x\n-  y"
        plain "x"
        plain "y"
        last = list "- z"
        plain "z"
        "#,
    );
}

#[test]
fn places_count_bytes_where_characters_are_longer() {
    check_places(
        "ä: größe # ü\nö: \"日本語\" # 語\nlist: # é\n  - ✓ ok\n  - [é, 'ñ']\n",
        r#"
        map "ä: größe # ü\nö: \"日本語\" # 語\nlist: # é\n  - ✓ ok\n  - [é, 'ñ']"
        ä = plain "größe"
        ö = quoted "\"日本語\""
        list = list "- ✓ ok\n  - [é, 'ñ']"
        plain "✓ ok"
        list "[é, 'ñ']"
        plain "é"
        quoted "'ñ'"
        "#,
    );
}

#[test]
fn a_block_text_stands_at_its_content() {
    check_places(
        "a: |\n  one\n\n  two\n\nb: !!str >-\n  three\nc: |\nd: &x |\n  four",
        r#"
        map "a: |\n  one\n\n  two\n\nb: !!str >-\n  three\nc: |\nd: &x |\n  four"
        a = quoted "one\n\n  two"
        b = quoted "three"
        c = quoted ""
        d = quoted "four"
        "#,
    );
}

#[test]
fn tags_and_anchors_do_not_belong_to_the_value() {
    check_places(
        "a: &x !!str 5\nb: !!map {k: &y [1]}\nc: &z\n  k: v\nd: &e\n",
        r#"
        map "a: &x !!str 5\nb: !!map {k: &y [1]}\nc: &z\n  k: v\nd: &e"
        a = plain "5"
        b = map "{k: &y [1]}"
        k = list "[1]"
        plain "1"
        c = map "k: v"
        k = plain "v"
        d = plain ""
        "#,
    );
}

#[test]
fn an_unindented_list_begins_at_its_first_dash() {
    check_places(
        "a:\n- - x\n- [y]\n",
        "map \"a:\\n- - x\\n- [y]\"\na = list \"- - x\\n- [y]\"\nlist \"- x\"\nplain \"x\"\nlist \"[y]\"\nplain \"y\"",
    );
}

#[test]
fn an_alias_knows_both_places() {
    let document = parse("a: &x {k: v}\nb: *x\n").unwrap();
    let alias = document.root.get("b").unwrap();
    assert_eq!(document.file.slice(alias.span), "*x");
    assert_eq!(document.file.slice(alias.defined.unwrap()), "{k: v}");
    assert_eq!(document.file.slice(alias.get("k").unwrap().span), "v");
}

#[test]
fn a_merge_key_fills_in_what_the_map_does_not_say() {
    check("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3\n  z: 4\n", r#"{"base":{"x":1,"y":2},"c":{"x":1,"y":3,"z":4}}"#);
    check("c: {y: 3, <<: [{x: 1}, {x: 2, w: 3}], z: 4}", r#"{"c":{"y":3,"x":1,"w":3,"z":4}}"#);
    check("c: {'<<': {x: 1}}", r#"{"c":{"<<":{"x":1}}}"#);
    let document = parse("base: &b {x: 1}\nc:\n  <<: *b\n").unwrap();
    let merged = document.root.get("c").and_then(|c| c.get("x")).unwrap();
    assert_eq!(document.file.slice(merged.span), "*b");
    assert_eq!(document.file.slice(merged.written()), "1");
}

#[test]
fn every_duplicate_key_is_told_with_both_places() {
    let problems = parse("a: 1\nb: {c: 1, 'c': 2}\na: 3\n").unwrap_err();
    assert_eq!(
        messages(&problems),
        "a.yaml:2:11: the key `c` is given twice\na.yaml:3:1: the key `a` is given twice\n"
    );
    let file = problems[1].file.as_ref().unwrap();
    assert_eq!(problems[1].labels.iter().map(|label| file.position(label.span.start).line).collect::<Vec<_>>(), [3, 1]);
    let many: String = (0..40).map(|key| format!("k{}: 1\n", key % 30)).collect();
    assert_eq!(parse(&many).unwrap_err().len(), 10);
}

#[test]
fn a_syntax_error_comes_with_what_was_found_before_it() {
    check_problems(
        "a: 1\na: 2\nb: 'open\n",
        &[("a.yaml:2:1: the key `a` is given twice", "a"), ("a.yaml:3:4: a quote is not closed", "'")],
    );
}

#[test]
fn slips_are_told_with_their_place() {
    let slips: &[(&str, &str, &str)] = &[
        ("a: 1\nb:2\nc: 3\n", "a.yaml:2:1: `b:` has no space after its colon", "b:"),
        ("a:1\nb: 2\n", "a.yaml:1:1: `a:` has no space after its colon", "a:"),
        ("n:\n  - name:x\n    type: y\n", "a.yaml:2:5: `name:` has no space after its colon", "name:"),
        ("a:\n\tb: 1\n", "a.yaml:2:1: a tab is used as indentation", "\t"),
        ("a:\n  b: 1\n \tc: 2\n", "a.yaml:3:2: a tab is used as indentation", "\t"),
        ("a: one: two\n", "a.yaml:1:7: a value has a `: ` in it", ":"),
        ("a: x\n  b: 1\n", "a.yaml:2:4: a key begins where the line above has not ended its value", ":"),
        ("a:\n    b: 1\n  c: 2\n", "a.yaml:3:3: the indentation fits no line above", "c:"),
        ("a: 1\nword\nb: 2\n", "a.yaml:2:1: `word` is neither `key: value` nor part of a value", "word"),
        ("a: \"x\nb: 2\n", "a.yaml:1:4: a quote is not closed", "\""),
        ("a: 'x' y\n", "a.yaml:1:8: there is text after the closing quote", "y"),
        ("a: \"\\q\"\n", "a.yaml:1:4: a `\\` in double quotes begins no escape that YAML knows", "\"\\q\""),
        ("a: [1, 2\nb: 3\n", "a.yaml:2:2: a key begins where a `[` is not closed", ":"),
        ("a: {x: 1\n", "a.yaml:1:8: a `{` is not closed, or a comma is missing", "1"),
        ("a: @x\n", "a.yaml:1:4: a value cannot begin with `@`", "@x"),
        ("a: %x\n", "a.yaml:1:4: a value cannot begin with `%`", "%x"),
        ("a: *nope\n", "a.yaml:1:4: an alias has no anchor before it", "*nope"),
        ("a: &x [*x]\n", "a.yaml:1:8: an alias stands inside the value that it names", "*x"),
        ("a: {{name}}\n", "a.yaml:1:5: a list or a map is used as a key", "{"),
        ("a: {{name}} x\n", "a.yaml:1:5: a list or a map is used as a key", "{"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: there is a second document in the file", "---"),
        ("a: !!int five\n", "a.yaml:1:10: the value does not fit its tag `!!int`", "five"),
        ("a: !!binary aGk=\n", "a.yaml:1:13: the tag `!!binary` is not understood", "aGk="),
        ("a: !secret x\n", "a.yaml:1:12: the tag `!secret` is not understood", "x"),
        ("a: {<<: 5}\n", "a.yaml:1:9: `<<` takes a map, or a list of maps", "5"),
        ("a: \0\n", "a.yaml:1:4: there is a NUL character", "\0"),
        ("a: b]\nc: ]\n", "a.yaml:2:4: a bracket is closed that was never opened", "]"),
    ];
    let told: String = slips.iter().map(|(text, ..)| told(text)).collect();
    let expected: String =
        slips.iter().map(|(text, message, place)| format!("{text:?}\n  {message}\n  {place:?}\n")).collect();
    assert_eq!(told, expected);
}

fn told(text: &str) -> String {
    let problems = parse(text).expect_err(text);
    let problem = &problems[0];
    format!("{text:?}\n  {problem}\n  {:?}\n", problem.file.as_ref().unwrap().slice(problem.labels[0].span))
}

#[track_caller]
fn check_refused(text: &str, code: &str) {
    assert_eq!(parse(text).expect_err("a bomb")[0].code, code);
}

#[test]
fn a_bomb_is_refused() {
    let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        writeln!(laughs, "a{level}: &a{level} [{}]", vec![format!("*a{below}"); 9].join(",")).unwrap();
    }
    check_refused(&laughs, "yaml::too_large");

    let mut merges = "m0: &m0 {k: v}\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        writeln!(merges, "m{level}: &m{level} {{a{level}: *m{below}, b{level}: *m{below}}}").unwrap();
    }
    check_refused(&merges, "yaml::too_large");

    check_refused(&"[".repeat(100_000), "yaml::too_deep");
    check_refused(&"- ".repeat(100_000), "yaml::too_deep");
    check_refused(&"? ".repeat(100_000), "yaml::complex_key");
    check_refused(&"{a: ".repeat(5_000), "yaml::too_deep");

    let chain: String = (1..200)
        .fold("a0: &a0 [x]\n".to_owned(), |chain, level| format!("{chain}a{level}: &a{level} [*a{}]\n", level - 1));
    check_refused(&chain, "yaml::too_deep");

    let tags = format!("%TAG !t! {}\n---\n[{}]", "x".repeat(5_000), "!t!a b,".repeat(5_000));
    check_refused(&tags, "yaml::too_large");
}

#[test]
fn many_honest_aliases_are_read() {
    let text = format!("base: &b {{x: 1, y: [1, 2, 3]}}\nall:\n{}", "- {<<: *b, z: 2}\n".repeat(2_000));
    assert_eq!(parse(&text).unwrap().root.get("all").unwrap().as_list().unwrap().len(), 2_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 600 } else { 50_000 }))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        check_any(&text)?;
    }

    #[test]
    fn any_mixture_of_signs_is_read_or_refused(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        check_any(&pieces.concat())?;
    }

    #[test]
    fn quoted_text_comes_back_whole(text in "\\PC{0,40}") {
        let yaml = format!("key: '{}' # comment\nnext: 1\n", text.replace('\'', "''"));
        prop_assume!(!text.contains('\u{feff}'));
        let document = parse(&yaml).map_err(|problems| TestCaseError::fail(messages(&problems)))?;
        let node = document.root.get("key").unwrap();
        prop_assert_eq!(node.as_str(), Some(text.as_str()));
        prop_assert_eq!(document.file.slice(node.span), format!("'{}'", text.replace('\'', "''")));
    }
}

/// What YAML's grammar turns on.
const PIECES: &[&str] = &[
    "a",
    "b: ",
    ": ",
    ":",
    "- ",
    "-",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\n  ",
    "\n    ",
    " ",
    "\t",
    "'",
    "\"",
    "\\",
    "|",
    ">-\n",
    "&x ",
    "*x",
    "!!str ",
    "!t ",
    "<<: ",
    "# c",
    "---\n",
    "...\n",
    "%",
    "%TAG ! x\n",
    "\r\n",
    "\r",
    "1",
    "1e3",
    "ä",
    "日",
    "\u{feff}",
    "\0",
    "~",
    "null",
    "@",
    "\u{2028}",
    "\u{85}",
];

/// Reading ends, and says nothing about places that do not exist.
fn check_any(text: &str) -> Result<(), TestCaseError> {
    let file = SourceFile::new("a.yaml", text);
    let inside =
        |span: Span| span.start <= span.end && file.text().get(span.start as usize..span.end as usize).is_some();
    match read(&file) {
        Ok(document) => check_node(&document.root, &inside)?,
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                prop_assert!(problem.labels.iter().all(|label| inside(label.span)), "{:?}", problem);
                prop_assert!(!problem.to_string().is_empty());
            }
        }
    }
    Ok(())
}

fn check_node(node: &Node, inside: &dyn Fn(Span) -> bool) -> Result<(), TestCaseError> {
    prop_assert!(inside(node.span) && inside(node.written()), "{node:?}");
    for item in node.as_list().unwrap_or_default() {
        check_node(item, inside)?;
    }
    for entry in node.as_map().unwrap_or_default() {
        prop_assert!(inside(entry.key_span));
        check_node(&entry.value, inside)?;
    }
    Ok(())
}
