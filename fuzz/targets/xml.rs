//! [`priem_fuzz::xml`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::xml(bytes);
});
