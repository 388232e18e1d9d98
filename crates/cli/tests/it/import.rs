//! `connections import`: prompt flow's connection files become entries of the config.

use sluicegate_testkit::project::Project;

use crate::fixture::SLUICEGATE;

const AOAI: &str = "$schema: https://azuremlschemas.azureedge.net/promptflow/latest/AzureOpenAIConnection.schema.json
name: aoai
type: azure_open_ai
api_key: \"k3y-that-somebody-wrote\"
api_base: \"https://x.openai.azure.com\"
api_type: azure
";
const CONFIG: &str = "# Where models live.
connections:
  local: { type: simulated, script: s.yaml }   # no key

flow_configs: {}   # none yet
";

fn project() -> Project {
    Project::new().file("config/config.yaml", CONFIG).file("s.yaml", "rules: []\n").file("pf/aoai.yaml", AOAI)
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path().join(path)).unwrap_or_default()
}

#[test]
fn entries_are_printed_and_no_secret_is() {
    let project = project();
    let ran = project.run(SLUICEGATE, &["connections", "import", "pf/aoai.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stdout,
        "# for config/config.yaml:
connections:
  aoai:
    type: azure_open_ai
    api_key: ${AOAI_API_KEY}
    api_base: https://x.openai.azure.com

# for .env.sample, and with values for .env:

# `api_key` of connection `aoai`
AOAI_API_KEY=
"
    );
    assert_eq!(ran.stderr, "set AOAI_API_KEY (`api_key` of connection `aoai`), in the environment or in .env\n");
    assert_eq!(read(&project, "config/config.yaml"), CONFIG, "nothing is written unasked");
}

#[test]
fn entries_are_added_and_secrets_go_to_a_file_of_their_owners() {
    let project = project();
    let ran = project.run(SLUICEGATE, &["connections", "import", "pf/aoai.yaml", "--write", "--write-env"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let config = read(&project, "config/config.yaml");
    assert_eq!(
        config,
        CONFIG.replace(
            "# no key\n",
            "# no key\n  aoai:\n    type: azure_open_ai\n    api_key: ${AOAI_API_KEY}\n    api_base: https://x.openai.azure.com\n"
        )
    );
    assert_eq!(read(&project, ".env.sample"), "# `api_key` of connection `aoai`\nAOAI_API_KEY=\n");
    assert_eq!(read(&project, ".env"), "AOAI_API_KEY=k3y-that-somebody-wrote\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let about = std::fs::metadata(project.path().join(".env")).expect("it is there");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
    assert!(!format!("{}{}{config}", ran.stdout, ran.stderr).contains("k3y"), "{}", ran.stderr);
    let listed = project.run(SLUICEGATE, &["connections", "list"]);
    assert!(listed.stdout.contains("aoai"), "{}", listed.stdout);
    assert!(!listed.stdout.contains("not set"), "{}", listed.stdout);

    let again = project.run(SLUICEGATE, &["connections", "import", "pf/aoai.yaml", "--write"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("there is a connection `aoai` already"), "{}", again.stderr);
    assert_eq!(read(&project, "config/config.yaml"), config);
}

#[test]
fn the_originals_own_store_is_refused_with_what_to_do() {
    let ran = project().run(SLUICEGATE, &["connections", "import", "--from-pf-home"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("pf connection show --name NAME"), "{}", ran.stderr);
}

#[test]
fn a_problem_shows_no_line_of_a_file_with_secrets() {
    let project = project().file("pf/bad.yaml", "name: b\ntype: open_aii\napi_key: k3y-of-mine\n");
    let ran = project.run(SLUICEGATE, &["connections", "import", "pf/bad.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("pf/bad.yaml:2:7: there is no type `open_aii` of connections"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("k3y"), "{}", ran.stderr);
}
