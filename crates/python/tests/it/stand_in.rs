//! The stand-in package's own tests, which are written in Python.

use std::path::Path;
use std::process::Command;

#[test]
fn the_stand_in_package_passes_its_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in");
    let output = Command::new("python3")
        .args(["-W", "error", "-m", "unittest", "discover", "-s"])
        .arg(&folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // A discovery that finds nothing succeeds too.
    assert!(said.contains("Ran ") && !said.contains("Ran 0 tests"), "{said}");
}
