//! Patience with single records: a source may be unable to serve one of them for ever, and the others must not wait for
//! it for ever. Outages of the whole source are not counted here.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Attempts for one record.
const MOST_ATTEMPTS: u32 = 5;
/// Records remembered.
const MOST_RECORDS: usize = 10_000;

/// Counts failed attempts by record. Forgotten at a restart.
#[derive(Debug, Default)]
pub struct Patience(Mutex<HashMap<String, u32>>);

impl Patience {
    /// One more attempt failed.
    pub fn failed(&self, id: &str) {
        let mut attempts = self.0.lock();
        if attempts.len() >= MOST_RECORDS {
            attempts.clear();
        }
        *attempts.entry(id.to_owned()).or_default() += 1;
    }

    /// It worked.
    pub fn served(&self, id: &str) {
        self.0.lock().remove(id);
    }

    /// Whether enough was tried.
    pub fn is_over(&self, id: &str) -> bool {
        self.0.lock().get(id).is_some_and(|attempts| *attempts >= MOST_ATTEMPTS)
    }
}
