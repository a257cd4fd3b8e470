//! [`priem_fuzz::markup`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::markup(bytes);
});
