//! Values as Russian systems write them: dates, telephone numbers, addresses' codes.
//!
//! Total functions: what can't be read gives `None`, never an error and never a guess.

pub(super) mod contact;
pub(super) mod moment;
pub(super) mod place;
