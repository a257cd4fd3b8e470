//! [`priem_fuzz::workbook`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    priem_fuzz::workbook(bytes);
});
