//! [`priem_fuzz::vk`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::vk(bytes);
});
