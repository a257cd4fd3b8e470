//! [`priem_fuzz::jq`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::jq(bytes);
});
