use base64::Engine as _;
use proptest::prelude::*;
use sluicegate_config::{ConnectionKind, MASK, Variables, entries_to_value};
use sluicegate_value::Value;

use crate::Folder;

const CONFIG: &str = "
connections:
  c: {type: open_ai, api_key: '${API_KEY}'}
telemetry: {endpoint: 'http://localhost:4318', headers: {authorization: 'Bearer ${COLLECTOR}'}}
flow_configs:
  f: {flow_path: x, db_password: '${DB}', plain: '${PLAIN}', greeting: 'hello ${PLAIN}'}
";

#[track_caller]
fn check_key_survives(key: &str) {
    let folder = Folder::with_config(CONFIG);
    let connection = folder.environment("f", None, &[("API_KEY", key)]).connection("c").unwrap();
    let ConnectionKind::OpenAi { api_key, .. } = connection.kind else { panic!("{connection:?}") };
    assert_eq!(api_key.unwrap().expose(), key);
}

#[test]
fn a_key_may_hold_anything() {
    for key in
        ["a: b", "x # y", "one\ntwo", "\"quoted\" 'twice'", "{[}]", "${API_KEY}", "pa$$word", "%&*!|>@`", "ключ: 鍵"]
    {
        check_key_survives(key);
    }
}

#[test]
fn settings_are_shown_with_who_set_them_and_without_secrets() {
    let folder = Folder::with_config(CONFIG);
    let variables = Variables::new([("API_KEY", "sk-1234567"), ("PLAIN", "world")])
        .with_dot_env(".env", "DB='p ss#word'\nCOLLECTOR=tok")
        .unwrap();
    let environment = folder.settings(&variables, None).environment("f", folder.path()).unwrap();
    let entries = environment.entries();
    let shown: String = entries
        .iter()
        .filter(|entry| !entry.is_default)
        .map(|entry| format!("{} = {}  ({})\n", entry.key, entry.shown, entry.origin))
        .collect();
    insta::assert_snapshot!(shown, @"
    f.flow_path = x  (config/config.yaml:6)
    f.db_password = [secret]  (config/config.yaml:6, from `DB` in .env)
    f.plain = world  (config/config.yaml:6, from `PLAIN` of the process)
    f.greeting = hello world  (config/config.yaml:6, from `PLAIN` of the process)
    telemetry.endpoint = http://localhost:4318  (config/config.yaml:4)
    telemetry.headers.authorization = [secret]  (config/config.yaml:4, from `COLLECTOR` in .env)
    connections.c.type = open_ai  (config/config.yaml:3)
    connections.c.api_key = [secret]  (config/config.yaml:3, from `API_KEY` of the process)
    ");
    let json = entries_to_value(&entries).to_json();
    for secret in ["sk-1234567", "p ss#word", "tok\""] {
        assert!(!json.contains(secret), "{json}");
    }
}

#[test]
fn the_collector_s_headers_are_read_once_and_hidden_wherever_they_come_from() {
    let folder =
        Folder::with_config("telemetry: {headers: {authorization: of-the-file}}\nflow_configs: {f: {flow_path: x}}");
    let headers = |variables: &[(&str, &str)]| -> Vec<(String, String)> {
        let telemetry = folder.environment("f", None, variables).telemetry().unwrap();
        assert!(!format!("{telemetry:?}").contains("hunter"), "{telemetry:?}");
        telemetry.headers.iter().map(|(name, value)| (name.to_string(), value.expose().to_owned())).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (all, traces) = (
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=hunter2%20one"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-b=hunter3%2Ftwo"),
    );
    assert_eq!(headers(&[]), [pair("authorization", "of-the-file")]);
    assert_eq!(headers(&[all]), [pair("x-a", "hunter2 one")]);
    assert_eq!(headers(&[traces, all]), [pair("x-b", "hunter3/two")]);
    let redactor = folder.environment("f", None, &[traces]).redactor([]);
    assert_eq!(redactor.redact("it said hunter3/two"), Some(format!("it said {MASK}")));
    assert_eq!(redactor.redact("x-b=hunter3%2Ftwo"), Some(MASK.to_owned()));
}

#[test]
fn the_service_is_named_by_its_own_variable_then_by_its_attributes_then_by_the_file() {
    let folder = Folder::with_config("telemetry: {service_name: file}\nflow_configs: {f: {flow_path: x}}");
    let name = |variables: &[(&str, &str)]| folder.environment("f", None, variables).telemetry().unwrap().service_name;
    let (own, attributes) =
        (("OTEL_SERVICE_NAME", "own"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=x%2Cy,wrong"));
    assert_eq!(name(&[]), "file");
    assert_eq!(name(&[attributes]), "a");
    assert_eq!(name(&[own, attributes]), "own");
    let telemetry = folder.environment("f", None, &[own, attributes]).telemetry().unwrap();
    assert_eq!(telemetry.resource_attributes, [("team".into(), "x,y".to_owned())]);
    assert_eq!(telemetry.warnings, ["OTEL_RESOURCE_ATTRIBUTES: entry 3 is no `name=value`"]);
}

#[test]
fn an_unset_variable_is_shown_as_such() {
    let folder = Folder::with_config(CONFIG);
    let entries = folder.environment("f", None, &[]).entries();
    let entry = entries.iter().find(|entry| entry.key == "connections.c.api_key").unwrap();
    assert_eq!((entry.shown.as_str(), entry.origin.as_str()), ("(API_KEY is not set)", "config/config.yaml:3"));
}

#[test]
fn the_redactor_knows_every_secret_of_the_environment() {
    let folder = Folder::with_config(CONFIG);
    let variables = Variables::new([
        ("API_KEY", "sk-1234567"),
        ("COLLECTOR", "collector-1"),
        ("DB", "database-1"),
        ("PLAIN", "world-wide"),
        ("GITHUB_TOKEN", "github-1"),
        ("OTHER_TOKEN", "other-1"),
    ]);
    let variables = variables.with_dot_env(".env", "UNUSED_SECRET=unused-1\n").unwrap();
    let environment = folder.settings(&variables, None).environment("f", folder.path()).unwrap();
    let text = "sk-1234567 collector-1 database-1 world-wide github-1 other-1 unused-1";
    let redacted = environment.redactor(["GITHUB_TOKEN"]).redact(text);
    assert_eq!(redacted.unwrap(), format!("{MASK} {MASK} {MASK} world-wide {MASK} other-1 {MASK}"));
}

#[test]
fn a_key_in_the_file_is_warned_about_without_being_shown() {
    let folder = Folder::with_config(
        "connections: {c: {type: open_ai, api_key: sk-abcdefghijkl}}\nflow_configs: {f: {flow_path: x}}",
    );
    let settings = folder.settings(&Variables::default(), None);
    let told = format!("{:?}", settings.warnings());
    assert!(
        told.contains("config/config.yaml:1 holds the value of `api_key` itself") && !told.contains("sk-abc"),
        "{told}"
    );
    let environment = settings.environment("f", folder.path()).unwrap();
    assert_eq!(environment.redactor([]).redact("sk-abcdefghijkl").as_deref(), Some(MASK));
}

#[test]
fn nothing_prints_a_secret() {
    let folder = Folder::with_config(CONFIG);
    let environment =
        folder.environment("f", None, &[("API_KEY", "sk-1234567"), ("COLLECTOR", "collector-1"), ("DB", "database-1")]);
    let printed = format!(
        "{environment:?} {:?} {:?} {:?} {:?} {:?}",
        environment.settings(),
        environment.connection("c"),
        environment.telemetry(),
        environment.value("db_password"),
        environment.redactor([]),
    );
    let written = Folder::with_config("connections: {c: {type: open_ai, api_key: written-1}}")
        .settings(&Variables::default(), None);
    let printed = format!("{printed} {written:?} {:?}", written.without_flow().unwrap());
    for secret in ["sk-1234567", "collector-1", "database-1", "written-1"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_key_survives_redaction(key in "[ -~äß鍵\n]{6,40}", around in "[a-z\"\\\\ ]{0,10}") {
        prop_assume!(key.trim().len() >= 6);
        let folder = Folder::with_config(CONFIG);
        let redactor = folder.environment("f", None, &[("API_KEY", &key)]).redactor([]);
        let text = format!("{around}{key}{around}");
        let json = Value::from(text.as_str()).to_json();
        for form in [text.clone(), json.clone(), Value::from(json).to_json()] {
            let redacted = redactor.redact(&form).unwrap();
            prop_assert!(!redacted.contains(&key), "{}", redacted);
        }
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
        prop_assert!(redactor.redact(&encoded).unwrap().contains(MASK));
    }
}
