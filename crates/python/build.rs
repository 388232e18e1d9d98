//! Lists the Python files under `py/`, so that the binary holds them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=py");
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("py");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut list = String::from("pub(crate) const FILES: &[(&str, &[u8])] = &[\n");
    for path in &files {
        let name = path.strip_prefix(&root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let _ = writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    list.push_str("];\n");
    let target = PathBuf::from(variable("OUT_DIR")).join("files.rs");
    if let Err(error) = std::fs::write(&target, list) {
        panic!("cannot write {}: {error}", target.display());
    }
}

#[expect(clippy::disallowed_methods, reason = "Cargo speaks to build scripts by variables")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "__pycache__" && !name.starts_with('.') {
                println!("cargo::rerun-if-changed={}", path.display());
                collect(&path, files);
            }
        } else if !name.starts_with('.') && [".py", ".pyi", ".typed", ".txt"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
}
