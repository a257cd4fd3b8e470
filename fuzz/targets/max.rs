//! [`priem_fuzz::max`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::max(bytes);
});
