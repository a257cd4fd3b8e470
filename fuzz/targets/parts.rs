//! [`priem_fuzz::parts`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::parts(bytes);
});
