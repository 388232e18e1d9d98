//! A project in strings, and what compiling it says.

use std::sync::Arc;

use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::MemoryFiles;
use sluicegate_flow::plan::Plan;
use sluicegate_source::Severity;

/// Compiles flow `f` of a project; every problem is printed as one line with its severity and code, then its help.
pub(crate) fn problems_of(files: &[(&str, &str)], options: &CompileOptions) -> Vec<String> {
    let compiled = compile(&MemoryFiles::new(files), "f", options);
    let errors = compiled.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(compiled.plan.is_none(), errors, "a plan comes exactly when there is no error");
    compiled
        .problems
        .iter()
        .map(|problem| {
            let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
            let help = problem.help.as_ref().map_or(String::new(), |help| format!(" [{help}]"));
            format!("{severity} {} {problem}{help}", problem.code)
        })
        .collect()
}

/// Compiles a flow whose text is `yaml` in a project with these other files, and compares all that is wrong; an
/// expected line that ends in `…` is the beginning of one.
pub(crate) fn check_problems(yaml: &str, others: &[(&str, &str)], expected: &[&str]) {
    let files: Vec<(&str, &str)> = std::iter::once(("f/flow.dag.yaml", yaml)).chain(others.iter().copied()).collect();
    let found = problems_of(&files, &CompileOptions::default());
    let same = |found: &String, expected: &&str| match expected.strip_suffix('…') {
        Some(beginning) => found.starts_with(beginning),
        None => found == expected,
    };
    let equal =
        found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| same(found, expected));
    assert!(equal, "\nfound:\n{}\n\nexpected:\n{}\n", found.join("\n"), expected.join("\n"));
}

/// Compiles flow `f` of a sound project; warnings are let through.
pub(crate) fn plan_of(files: &[(&str, &str)]) -> Arc<Plan> {
    let compiled = compile(&MemoryFiles::new(files), "f", &CompileOptions::default());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    compiled.plan.unwrap_or_else(|| panic!("{}", problems.join("\n")))
}

/// Compiles a flow whose text is `yaml`, with an empty Python file and templates beside it.
pub(crate) fn plan_of_yaml(yaml: &str) -> Arc<Plan> {
    plan_of(&[
        ("f/flow.dag.yaml", yaml),
        ("f/a.py", ""),
        ("f/p.jinja2", "Hello {{x}}\n"),
        ("f/llm.jinja2", "user:\n{{x}}\n"),
    ])
}
