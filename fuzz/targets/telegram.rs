//! [`priem_fuzz::telegram`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::telegram(bytes);
});
