//! Whoever is signed in at the command line: `az account get-access-token`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use sluicegate_config::Secret;
use sluicegate_value::json;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::sources::{Sources, Trouble, text};
use super::token::{self, Got, claim, claims};
use crate::wire::chat::reply::excerpt;

/// How long the command may take: it starts slowly, and may ask Entra.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

impl Sources {
    /// A token of whoever is signed in.
    pub(super) async fn az(&self) -> Result<Got, Trouble> {
        let scope = self.entra.scope.trim();
        let tenant = text(self.entra.tenant_id.as_ref());
        // On Windows the command is a script of a shell that has its own ideas of what stands in an argument.
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c));
        if !is_plain(scope) || !tenant.is_none_or(is_plain) {
            return Err(Trouble::failed("`scope` or the tenant holds characters that neither has"));
        }
        let Some(program) = find(&self.entra.path) else {
            return Err(Trouble::Absent("the command `az` is not in PATH".to_owned()));
        };
        let mut command = Command::new(&program);
        command.args(["account", "get-access-token", "--scope", scope, "--output", "json"]);
        if let Some(tenant) = tenant {
            command.args(["--tenant", tenant]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let since = Instant::now();
        let output = match timeout(self.az_limit, output(command)).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(Trouble::Absent(format!("{} cannot be run: {error}", program.display()))),
            Err(_) => {
                let message = format!("`az` gave no answer within {} s", self.az_limit.as_secs());
                return Err(Trouble::Failed { message, transient: true });
            }
        };
        if !output.status.success() {
            return Err(refused(&output, tenant));
        }
        let answer = json::read(String::from_utf8_lossy(&output.stdout).trim()).ok();
        let token = answer.as_ref().and_then(|answer| answer.get("accessToken")?.as_str());
        // Not quoted: it may be a token all the same.
        let (Some(answer), Some(token)) = (&answer, token.filter(|token| !token.is_empty())) else {
            return Err(Trouble::failed("what `az` printed is no token; `az upgrade` may help"));
        };
        let told = claims(token);
        let user = claim(told.as_ref(), &["upn", "unique_name", "preferred_username", "email", "appid", "oid"]);
        let tenant = answer.get("tenant").and_then(|tenant| tenant.as_str()).or(tenant);
        let signed_in = user.map_or_else(String::new, |user| format!(", signed in as {user}"));
        let place = tenant.map_or_else(String::new, |tenant| format!(" in tenant {tenant}"));
        Ok(Got {
            secret: Secret::new(token),
            since,
            // `expires_on` is by the clock by which it is read here.
            lifetime: Some(token::lifetime(answer, None, token)),
            renewable: true,
            who: format!("az{signed_in}{place}"),
            dated: None,
        })
    }
}

/// What a command prints. With whoever waits for it goes all that it started: `az` is often a script, whose real work is
/// done by a process of its own.
async fn output(mut command: Command) -> io::Result<Output> {
    #[cfg(unix)]
    command.process_group(0);
    let child = command.spawn()?;
    #[cfg(unix)]
    let mut group = Group(child.id().and_then(|leader| rustix::process::Pid::from_raw(leader.try_into().ok()?)));
    let output = child.wait_with_output().await;
    // It ended by itself; its number may soon be another's.
    #[cfg(unix)]
    {
        group.0 = None;
    }
    output
}

/// A group of processes that ends when this is dropped.
#[cfg(unix)]
struct Group(Option<rustix::process::Pid>);

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

/// The command, in the first folder that has it. Relative folders do not count: what lies in the current one is not
/// what its user installed.
fn find(folders: &[PathBuf]) -> Option<PathBuf> {
    let names: &[&str] = if cfg!(windows) { &["az.cmd", "az.exe"] } else { &["az"] };
    let absolute = folders.iter().filter(|folder| folder.is_absolute());
    absolute.flat_map(|folder| names.iter().map(|name| folder.join(name))).find(|program| is_program(program))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// What the command's complaint means.
fn refused(output: &Output, tenant: Option<&str>) -> Trouble {
    let errors = String::from_utf8_lossy(&output.stderr);
    let sign_in = tenant.map_or_else(|| "az login".to_owned(), |tenant| format!("az login --tenant {tenant}"));
    let complaint = errors.lines().find_map(|line| line.trim().strip_prefix("ERROR:"));
    let said = complaint.or_else(|| errors.lines().find(|line| !line.trim().is_empty())).unwrap_or("it said no more");
    let said = super::refusal::shortened(said);
    let has = |words: &[&str]| words.iter().any(|word| errors.contains(word));
    if has(&["az login", "az account set", "No subscription found"]) && !has(&["AADSTS"]) {
        return Trouble::Absent(format!("nobody is signed in: run `{sign_in}`"));
    }
    if has(&["AADSTS700082", "AADSTS70043", "AADSTS50173", "AADSTS70008", "AADSTS50076", "AADSTS50079", "AADSTS50078"])
    {
        return Trouble::Absent(format!("the sign-in is over or needs a second factor: run `{sign_in}` ({said})"));
    }
    Trouble::Absent(format!("`az` failed: {}", excerpt(&said)))
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::Arc;

    use sluicegate_config::{Entra, TokenSource};

    use super::*;
    use crate::client::{Clients, Options};

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("az");
        let pipe = folder.path().join("az.pipe");
        // Another process writes it: a file that this one has open for writing cannot be run.
        let write = "mkfifo \"$0.pipe\" && printf '#!/bin/sh\\nsleep 600 > \"%s.pipe\"\\necho done\\n' \"$0\" > \"$0\" && chmod +x \"$0\"";
        assert!(std::process::Command::new("sh").args(["-c", write]).arg(&program).status().unwrap().success());
        // Reads to the end, which comes when nobody is left who could write.
        let (send, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(std::fs::read(pipe).map_err(|error| error.to_string())));
        let entra = Entra {
            scope: "https://cognitiveservices.azure.com/.default".to_owned(),
            authority: String::new(),
            sources: vec![TokenSource::Az],
            tenant_id: None,
            client_id: None,
            client_secret: None,
            token: None,
            federated_token_file: None,
            github_url: None,
            github_token: None,
            identity_endpoint: None,
            identity_header: None,
            imds: String::new(),
            path: vec![folder.path().to_owned()],
        };
        let clients = Arc::new(Clients::new(Options::default()));
        let sources = Sources { az_limit: Duration::from_secs(2), ..Sources::new(entra, clients) };
        let trouble = sources.az().await.err();
        let message = "`az` gave no answer within 2 s".to_owned();
        assert_eq!(trouble, Some(Trouble::Failed { message, transient: true }));
        assert_eq!(
            ended.recv_timeout(Duration::from_secs(60)).unwrap(),
            Ok(Vec::new()),
            "what it started is still there"
        );
    }

    #[test]
    fn the_command_is_found_in_absolute_folders_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let found = || find(&[".".into(), "bin".into(), folder.path().join("none"), folder.path().to_owned()]);
        assert_eq!(found(), None);
        let program = folder.path().join("az");
        std::fs::write(&program, "").unwrap();
        assert_eq!(found(), None, "it cannot be run");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(found(), Some(program));
    }
}
