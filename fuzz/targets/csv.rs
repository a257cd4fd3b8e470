//! [`priem_fuzz::csv`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::csv(bytes);
});
