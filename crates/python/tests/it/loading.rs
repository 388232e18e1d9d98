//! What a tool takes, and why it cannot be loaded.

use std::sync::Arc;

use sluicegate_config::Secret;
use sluicegate_python::{
    Argument, ConnectionObject, EntryMethod, NoHost, Parameter, Pools, PythonError, Search, Settings, ShimMemory,
    ToolKind, ToolSource,
};
use sluicegate_value::{Map, Value};

use crate::support::{Flow, call_of, search_path, settings, tool_file};

fn told(parameters: &[Parameter]) -> Vec<String> {
    let told = |parameter: &Parameter| {
        let default = parameter.default.as_ref().map_or(String::new(), |value| format!(" = {}", value.to_json()));
        let required = if parameter.required { "" } else { "?" };
        format!("{}{required}: {:?}{default}", parameter.name, parameter.kind)
    };
    parameters.iter().map(told).collect()
}

#[tokio::test]
async fn a_tool_is_told_with_what_it_takes() {
    let flow = Flow::of_tool(
        "from enum import Enum\nfrom typing import Dict, List, Optional, Union\n\
         from promptflow.connections import AzureOpenAIConnection, CustomConnection, OpenAIConnection\n\
         from promptflow.contracts.multimedia import Image\n\
         class E(Enum):\n  A = 1\n  B = 'b'\n\
         @tool\ndef find(a, b: int, c: Optional[float] = None, d: str = 'x', e: E = E.A, f: List[str] = [], g: Dict = {}, \
         h: Union[int, str] = 1, i: Union[AzureOpenAIConnection, OpenAIConnection] = None, j: CustomConnection = None, \
         k: Image = None, l: 'bool' = True, *, m=1.5, **rest): pass\n",
    );
    let tool = flow.load("tool.py").await;
    assert_eq!((&*tool.name, tool.kind), ("find", ToolKind::Function));
    assert!(tool.takes_any() && tool.parameter("rest").is_none());
    assert_eq!(
        told(&tool.parameters),
        [
            "a: Object",
            "b: Int",
            "c?: Double",
            "d?: Text = \"x\"",
            "e?: Enum([\"1\", \"b\"])",
            "f?: List",
            "g?: Object",
            "h?: Object = 1",
            "i?: Connection { classes: [\"AzureOpenAIConnection\", \"OpenAIConnection\"], custom: None }",
            "j?: Connection { classes: [\"CustomConnection\"], custom: None }",
            "k?: Image",
            "l?: Bool = true",
            "m?: Object = 1.5",
            "rest?: Rest",
        ]
    );
}

#[tokio::test]
async fn kinds_of_functions_are_told_apart() {
    for (text, kind) in [
        ("def t(): return 1", ToolKind::Function),
        ("async def t(): return 1", ToolKind::Coroutine),
        ("def t(): yield 1", ToolKind::Generator),
        ("async def t(): yield 1", ToolKind::AsyncGenerator),
    ] {
        assert_eq!(Flow::of_tool(&format!("@tool\n{text}\n")).load("tool.py").await.kind, kind, "{text}");
    }
}

async fn check_load_fails(text: &str, code: &str, message: &str) {
    let flow = Flow::new(&[("tool.py", text)]);
    match flow.try_load("tool.py").await {
        Err(PythonError::LoadFailed { code: found, message: said, .. }) => {
            let said = said.replace(&flow.folder.path().display().to_string(), "FLOW");
            assert_eq!((found.as_str(), said.as_str()), (code, message));
        }
        other => panic!("{text}: {other:?}"),
    }
    // Another file of it can still be loaded.
    std::fs::write(flow.folder.path().join("good.py"), tool_file("@tool\ndef t(): pass\n")).expect("written");
    flow.load("good.py").await;
}

#[tokio::test]
async fn a_file_that_cannot_be_loaded_says_why_in_the_originals_words() {
    check_load_fails(
        "def t(): pass\n",
        "NoToolDefined",
        "No tool found in the python script. Please make sure you have one and only one tool definition in your script.",
    )
    .await;
    check_load_fails(
        &tool_file("@tool\ndef a(): pass\n@tool\ndef b(): pass\n"),
        "MultipleToolsDefined",
        "Expected 1 but collected 2 tools: a, b. Please make sure you have one and only one tool definition in your script.",
    )
    .await;
    check_load_fails(
        "import not_a_module_xyz.sub\n",
        "PythonLoadError",
        "Failed to load python module from file 'FLOW/tool.py': (ModuleNotFoundError) No module named 'not_a_module_xyz'",
    )
    .await;
    check_load_fails(
        "raise ValueError('at import')\n",
        "PythonLoadError",
        "Failed to load python module from file 'FLOW/tool.py': (ValueError) at import",
    )
    .await;
    check_load_fails("import sys\nsys.exit(4)\n", "SystemExit", "SystemExit: 4").await;
}

#[tokio::test]
async fn a_missing_package_and_a_syntax_error_have_their_place() {
    let flow = Flow::new(&[("missing.py", "\nimport not_a_module_xyz.sub\n"), ("syntax.py", "\n\ndef (:\n")]);
    let missing = flow.try_load("missing.py").await.expect_err("fails");
    let raised = missing.raised().expect("an exception");
    assert_eq!((raised.missing.as_deref(), raised.line), (Some("not_a_module_xyz"), Some(2)));
    let syntax = flow.try_load("syntax.py").await.expect_err("fails");
    let raised = syntax.raised().expect("an exception");
    assert_eq!((raised.type_name.as_str(), raised.line), ("SyntaxError", Some(3)));
    assert!(raised.file.as_deref().is_some_and(|file| file.ends_with("syntax.py")), "{raised:?}");
}

#[tokio::test]
async fn an_imported_tool_does_not_count() {
    let flow = Flow::new(&[
        (
            "tool.py",
            "from other import imported\nfrom promptflow.core import tool\n@tool\ndef mine(): return imported()\n",
        ),
        ("other.py", "from promptflow.core import tool\n@tool\ndef imported(): return 'imported'\n"),
    ]);
    assert_eq!(&*flow.load("tool.py").await.name, "mine");
    assert_eq!(flow.json(&[]).await, r#""imported""#);
}

#[tokio::test]
async fn a_providers_object_is_made_of_the_inputs_that_it_wants() {
    let flow = Flow::of_tool(
        "from promptflow.core import ToolProvider\nmade = []\nclass P(ToolProvider):\n  def __init__(self, pre: str = 'p'):\n    \
         super().__init__()\n    self.pre = pre\n    made.append(pre)\n  @tool\n  def run(self, x=None): return [self.pre, x, made]\n",
    );
    let tool = flow.load("tool.py").await;
    let provider = tool.provider.as_ref().expect("a provider");
    assert_eq!((&*provider.name, told(&provider.init)), ("P", vec!["pre?: Text = \"p\"".to_owned()]));
    assert_eq!(flow.json(&[("x", Value::Int(1))]).await, r#"["p",1,["p"]]"#);
    assert_eq!(flow.json(&[("x", Value::Int(2)), ("pre", "q".into())]).await, r#"["q",2,["p","q"]]"#);
    assert_eq!(flow.json(&[("x", Value::Int(3)), ("pre", "q".into())]).await, r#"["q",3,["p","q"]]"#);
}

#[tokio::test]
async fn a_packages_tool_is_found_by_its_id() {
    let flow = Flow::new(&[
        ("pkg/__init__.py", ""),
        (
            "pkg/mod.py",
            "class C:\n  def __init__(self, a): self.a = a\n  def run(self, b): return [self.a, b]\ndef free(b): return b\n",
        ),
        ("pkg/broken.py", "import not_a_module_xyz\n"),
    ]);
    let load = async |id: &str| flow.pool.load(&ToolSource::Package(id.into()), &NoHost, None).await;
    let free = load("pkg.mod.free").await.expect("loads");
    assert_eq!(
        flow.pool.call(&call_of(&free, &[("b", Value::Int(1))]), &NoHost).await.expect("returns"),
        Value::Int(1)
    );
    let method = load("pkg.mod.C.run").await.expect("loads");
    let value = flow.pool.call(&call_of(&method, &[("a", Value::Int(1)), ("b", Value::Int(2))]), &NoHost).await;
    assert_eq!(value.expect("returns").to_json(), "[1,2]");
    for (id, code) in [
        ("no_such.mod.free", "PackageToolNotFoundError"),
        ("pkg.mod.nothing", "PackageToolNotFoundError"),
        ("pkg.broken.f", "ModuleNotFoundError"),
    ] {
        match load(id).await {
            Err(PythonError::LoadFailed { code: found, .. }) => assert_eq!(found, code),
            other => panic!("{id}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_flex_flows_entry_is_a_function_or_a_class_with_its_object() {
    let flow = Flow::new(&[(
        "entry.py",
        "def f(q: str): return 'f ' + q\nclass C:\n  def __init__(self, n: int = 1):\n    self.n, self.seen = n, []\n  \
         def __call__(self, q: str) -> str:\n    self.seen.append(q)\n    return f'{q} {self.n}'\n  \
         def __aggregate__(self, results): return [results, self.seen]\n",
    )]);
    let load = async |entry: &str, n: Option<i64>, method: EntryMethod| {
        let init = n.map(|n| (Arc::from("n"), Argument::from(n))).into_iter().collect();
        flow.pool.load(&ToolSource::Entry { entry: entry.into(), init, method }, &NoHost, None).await
    };
    let call = async |tool: &Arc<sluicegate_python::Tool>, name: &str, value: Value| {
        flow.pool.call(&call_of(tool, &[(name, value)]), &NoHost).await.expect("returns").to_json()
    };
    let function = load("entry:f", None, EntryMethod::Call).await.expect("loads");
    assert_eq!(call(&function, "q", "x".into()).await, r#""f x""#);
    let class = load("entry:C", Some(2), EntryMethod::Call).await.expect("loads");
    assert!(class.provider.as_ref().is_some_and(|provider| provider.aggregates));
    assert_eq!(told(&class.parameters), ["q: Text"]);
    assert_eq!(call(&class, "q", "x".into()).await, r#""x 2""#);
    let aggregate = load("entry:C", Some(2), EntryMethod::Aggregate).await.expect("loads");
    assert_eq!(call(&aggregate, "results", Value::from(vec![Value::Int(1)])).await, r#"[[1],["x"]]"#);
    let other = load("entry:C", Some(3), EntryMethod::Aggregate).await.expect("loads");
    assert_eq!(call(&other, "results", Value::Null).await, "[null,[]]");
    for (entry, expected) in
        [("entry", "InvalidFlowEntry"), ("entry:nothing", "PythonLoadError"), ("nowhere:f", "PythonLoadError")]
    {
        match load(entry, None, EntryMethod::Call).await {
            Err(PythonError::LoadFailed { code, .. }) => assert_eq!(code, expected),
            other => panic!("{entry}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn literals_become_what_the_annotations_say() {
    let flow = Flow::of_tool(
        "from enum import Enum\nfrom typing import List, Optional, Union\nclass E(str, Enum):\n  A = 'A'\n  B = 'B'\n\
         @tool\ndef n(i: int, f: float, b: bool, s: str, l: list, o: dict, o2: object, u: Union[int, str], e: E, \
         n1: str = 'dflt1', n2: str = 'dflt2', x=None): pass\n",
    );
    let tool = flow.load("tool.py").await;
    let literals = |entries: &[(&str, Value)]| -> Map { entries.iter().cloned().collect() };
    let value = |text: &str| Value::from(text);
    let given = literals(&[
        ("i", value("5")),
        ("f", value("2")),
        ("b", value("True")),
        ("s", Value::Int(12)),
        ("l", value(r#"["a",1]"#)),
        ("o", value(r#"{"k":[1,null]}"#)),
        ("o2", value("not json")),
        ("u", Value::Int(3)),
        ("e", value("B")),
        ("n1", Value::Null),
        ("n2", value("")),
        ("x", value("null")),
        ("unknown", value("5")),
    ]);
    let coerced = flow.pool.literals(&tool, "n", &given).await.expect("coerced");
    assert_eq!(
        Value::from(coerced).to_json(),
        r#"{"i":5,"f":2.0,"b":true,"s":"12","l":["a",1],"o":{"k":[1,null]},"o2":"not json","u":3,"e":"B","x":null,"unknown":"5"}"#
    );
    for (name, given, expected) in [
        ("i", value("abc"), "Input 'i' for node 'n' of value 'abc' is not type int."),
        ("b", value("yes"), "Input 'b' for node 'n' of value 'yes' is not type bool."),
        ("l", value(r#"{"a":1}"#), r#"Input 'l' for node 'n' of value '{"a":1}' is not type list."#),
        ("f", value("x"), "Input 'f' for node 'n' of value 'x' is not type double."),
    ] {
        let error = flow.pool.literals(&tool, "n", &literals(&[(name, given)])).await;
        assert!(matches!(&error, Err(PythonError::InvalidLiteral { message }) if message == expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_becomes_an_object_of_its_class() {
    let flow = Flow::of_tool(
        "from promptflow.connections import AzureOpenAIConnection\n@tool\ndef t(c: AzureOpenAIConnection): \
         return [type(c).__name__, c.api_base, c.api_key, c.name]\n",
    );
    let tool = flow.load("tool.py").await;
    let connection = ConnectionObject {
        name: "aoai".into(),
        type_name: "azure_open_ai".into(),
        class: None,
        configs: Map::from([("api_base", "https://a.test")]),
        secrets: vec![("api_key".into(), Secret::new("k3y"))],
    };
    let mut call = call_of(&tool, &[]);
    call.inputs.push(("c".into(), connection.into()));
    let value = flow.pool.call(&call, &NoHost).await.expect("returns");
    assert_eq!(value.to_json(), r#"["AzureOpenAIConnection","https://a.test","k3y","aoai"]"#);
}

#[tokio::test]
async fn missing_packages_are_named() {
    let flow = Flow::new(&[("more.txt", "not-there-either\n")]);
    let text = "\u{feff}# comment\npip\npromptflow[azure]>=1.0\npromptflow-tools\nnot_a_package.xyz==1.0  # why\n\
                Not-A-Package-Abc[extra]>=2,<3 ; python_version >= '3'\nold-one; python_version < \"3.0\"\n\
                win-one ; sys_platform == 'nowhere' and python_version > '3'\n-r more.txt\n--index-url https://x.test\n\
                git+https://x.test/y.git\nnamed @ https://x.test/y.whl\n./local\nhashed==1 --hash=sha256:ab\nodd one\n";
    let missing = flow.pool.missing_requirements(text).await.expect("told");
    assert_eq!(missing, ["not_a_package.xyz", "Not-A-Package-Abc", "not-there-either", "named", "hashed"]);
}

#[tokio::test]
async fn without_a_python_nothing_starts_and_the_error_says_where_it_was_looked_for() {
    let flow = Flow::with(&[], Settings { search: Search::default(), ..settings() });
    let error = flow.pool.python().await.expect_err("no Python");
    assert_eq!(error.to_string(), "no Python was found: looked for `python3 on PATH`, `python on PATH`");
}

#[tokio::test]
async fn a_python_that_does_not_start_is_told_with_its_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = |text: &str| {
        let path = folder.path().join("python");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
        let search = Search { configured: Some(path), ..Search::default() };
        Flow::with(&[], Settings { search, ..settings() })
    };
    let broken = fake("#!/bin/sh\necho 'no encodings' >&2\nexit 3\n");
    match broken.pool.python().await {
        Err(PythonError::StartFailed { how, stderr }) => {
            assert_eq!((how.to_string(), stderr.trim()), ("exit code 3".into(), "no encodings"))
        }
        other => panic!("{other:?}"),
    }
    let old = fake("#!/bin/sh\nprintf 3.8.18 >&2\nexit 97\n");
    assert!(matches!(old.pool.python().await, Err(PythonError::TooOld { found, .. }) if found == "3.8.18"));
}

#[tokio::test]
async fn where_a_shim_led_is_remembered() {
    let folder = tempfile::tempdir().expect("a folder");
    let shims = folder.path().join("root/shims");
    std::fs::create_dir_all(&shims).expect("made");
    let (shim, count) = (shims.join("python3"), folder.path().join("count"));
    let script = format!(
        "#!/bin/sh\n# pyenv\necho x >> {}\nexec {} \"$@\"\n",
        count.display(),
        crate::support::python().display()
    );
    std::fs::write(&shim, script).expect("written");
    std::fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let search = Search { configured: Some(shim), path: search_path(), ..Search::default() };
    let memory = ShimMemory { folder: folder.path().join("kept"), pyenv_version: None };
    let pools = Pools::new(Settings { search, shims: Some(memory), ..settings() });
    let flows = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    for flow in &flows {
        let python = pools.pool(flow.path(), &[]).python().await.expect("starts");
        assert_eq!(python.executable, crate::support::python());
    }
    assert_eq!(std::fs::read_to_string(count).expect("counted"), "x\n");
}

#[tokio::test]
async fn files_are_loaded_in_the_main_thread() {
    let flow = Flow::of_tool(
        "import asyncio, signal, threading\n\
         signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n\
         WHERE = threading.current_thread() is threading.main_thread()\n\
         @tool\ndef find(): return WHERE\n",
    );
    let tool = flow.load("tool.py").await;
    assert_eq!(flow.pool.call(&call_of(&tool, &[]), &NoHost).await.unwrap(), Value::Bool(true));
}
