//! [`priem_fuzz::ok`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::ok(bytes);
});
