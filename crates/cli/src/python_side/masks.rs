//! What is hidden: secrets that were known at the beginning, and those that became known since.

use std::sync::{Arc, PoisonError, RwLock};

use sluicegate_config::Redactor;
use sluicegate_executor::Redact;

use crate::terminal::{Printer, harmless};

/// What is hidden. Clones hide the same.
#[derive(Clone)]
pub(crate) struct Masks {
    redactor: Arc<RwLock<Arc<Redactor>>>,
    printer: Printer,
}

impl Masks {
    /// Hides what `redactor` knows, on the terminal too.
    pub(crate) fn new(redactor: Redactor, printer: &Printer) -> Self {
        let redactor = Arc::new(redactor);
        printer.hide(redactor.clone());
        Self { redactor: Arc::new(RwLock::new(redactor)), printer: printer.clone() }
    }

    /// Hides these too, from now on.
    pub(crate) fn hide<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) {
        let secrets: Vec<S> = secrets.into_iter().collect();
        // What is hidden already comes out changed.
        if secrets.iter().all(|secret| self.current().redact(secret.as_ref()).is_some()) {
            return;
        }
        let mut redactor = self.redactor.write().unwrap_or_else(PoisonError::into_inner);
        *redactor = Arc::new(redactor.with(secrets));
        self.printer.hide(redactor.clone());
    }

    /// Says what code says, without what is hidden.
    pub(crate) fn say_part(&self, text: &str) {
        self.printer.say_part(&harmless(text));
    }

    /// The same, as the executor asks for it.
    pub(crate) fn redact(&self) -> Redact {
        let (masks, seams) = (self.clone(), self.clone());
        Redact {
            rewrite: Arc::new(move |text: &str| masks.current().redact(text)),
            begun: Arc::new(move |text: &str| seams.current().begun(text)),
        }
    }

    fn current(&self) -> Arc<Redactor> {
        self.redactor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
