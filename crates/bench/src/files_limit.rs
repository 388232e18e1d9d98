//! How many files, and so connections, this process may have open.

/// Raises the soft limit to the hard one: ten thousand calls in flight are as many connections. What cannot be raised stays.
#[cfg(unix)]
pub(crate) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// Nothing limits them here.
#[cfg(not(unix))]
pub(crate) fn raise() {}
