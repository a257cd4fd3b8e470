//! Containers written by hand, as no program would write them.

use std::io::Write as _;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// A container written by hand: parts may be packed beyond reason and their sizes may lie.
#[derive(Default)]
pub struct Container {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    parts: u16,
}

impl Container {
    /// Adds a part: `before`, then `times` × `repeated`, then `after`. Only one copy is ever in memory or packed.
    pub fn part(mut self, name: &str, before: &str, repeated: &str, times: usize, after: &str) -> Self {
        let mut packer = Compress::new(Compression::best(), false);
        let mut packed = Vec::new();
        // A full flush makes the piece independent of what stands before it, so its packed bytes can be repeated.
        let mut pack = |text: &str, flush| {
            let mut out = Vec::with_capacity(text.len() + 1024);
            packer.compress_vec(text.as_bytes(), &mut out, flush).expect("packed");
            out
        };
        packed.extend(pack(before, FlushCompress::Full));
        let one = pack(repeated, FlushCompress::Full);
        let mut sum = Crc::new();
        sum.update(before.as_bytes());
        for _ in 0..times {
            packed.extend_from_slice(&one);
        }
        packed.extend(pack(after, FlushCompress::Finish));
        if times < 8 {
            (0..times).for_each(|_| sum.update(repeated.as_bytes()));
        }
        sum.update(after.as_bytes());
        let size = before.len() + repeated.len() * times + after.len();
        self.entry(name, &packed, u32::try_from(size).unwrap_or(u32::MAX - 1), sum.sum());
        self
    }

    pub fn text(self, name: &str, text: &str) -> Self {
        self.part(name, text, "", 0, "")
    }

    pub fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        let mut packed = Vec::with_capacity(bytes.len() + 1024);
        let mut packer = Compress::new(Compression::best(), false);
        packer
            .compress_vec(bytes, &mut packed, FlushCompress::Finish)
            .expect("packed");
        let mut sum = Crc::new();
        sum.update(bytes);
        self.entry(name, &packed, u32::try_from(bytes.len()).expect("small"), sum.sum());
        self
    }

    pub fn entry(&mut self, name: &str, packed: &[u8], size: u32, sum: u32) {
        let start = u32::try_from(self.bytes.len()).expect("small");
        let length = u32::try_from(packed.len()).expect("small");
        let mut head = Vec::new();
        for field in [20_u16, 0, 8, 0, 0] {
            head.extend_from_slice(&field.to_le_bytes());
        }
        for field in [sum, length, size] {
            head.extend_from_slice(&field.to_le_bytes());
        }
        head.extend_from_slice(&u16::try_from(name.len()).expect("short").to_le_bytes());
        head.extend_from_slice(&0_u16.to_le_bytes());
        self.bytes.extend_from_slice(b"PK\x03\x04");
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(packed);
        self.directory.extend_from_slice(b"PK\x01\x02\x14\0");
        self.directory.extend_from_slice(&head);
        self.directory.extend_from_slice(&[0; 10]);
        self.directory.extend_from_slice(&start.to_le_bytes());
        self.directory.extend_from_slice(name.as_bytes());
        self.parts = self.parts.wrapping_add(1);
    }

    pub fn finish(mut self) -> Vec<u8> {
        let (start, size) = (self.bytes.len(), self.directory.len());
        self.bytes.write_all(&self.directory).expect("memory");
        self.bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        self.bytes.extend_from_slice(&self.parts.to_le_bytes());
        self.bytes.extend_from_slice(&self.parts.to_le_bytes());
        self.bytes
            .extend_from_slice(&u32::try_from(size).expect("small").to_le_bytes());
        self.bytes
            .extend_from_slice(&u32::try_from(start).expect("small").to_le_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes
    }
}
