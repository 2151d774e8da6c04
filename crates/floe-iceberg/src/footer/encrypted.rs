//! Encrypted Parquet files (Parquet specification, "Parquet Modular Encryption").

use super::thrift::{STOP, Thrift, footer_of};

/// Why a file that ends with `end` cannot be read without its keys; `None` if it is not encrypted, as far as can be seen.
///
/// `end` is the end of the file, with the whole footer if it may be encrypted in part.
pub fn encrypted(end: &[u8]) -> Option<&'static str> {
    let (rest, magic) = end.split_last_chunk::<4>()?;
    if magic == b"PARE" {
        return Some("it is encrypted, its footer too (PARE), and floe has no keys");
    }
    (magic == b"PAR1" && has_algorithm(footer_of(rest)?)?)
        .then_some("columns of it are encrypted, and floe has no keys")
}

/// The field `encryption_algorithm` of `FileMetaData`.
const ALGORITHM: i16 = 8;
/// Whether a footer names an encryption algorithm. The crate steps over that field. `None` if it cannot be read.
fn has_algorithm(footer: &[u8]) -> Option<bool> {
    let mut thrift = Thrift::new(footer);
    let mut id = 0;
    loop {
        let (next, kind) = thrift.field(id)?;
        if kind == STOP {
            return Some(false);
        }
        if next == ALGORITHM {
            return Some(true);
        }
        id = next;
        thrift.skip(kind, 0)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a file with this footer.
    fn end(footer: &[u8]) -> Vec<u8> {
        let length = (footer.len() as u32).to_le_bytes();
        [footer, &length, b"PAR1"].concat()
    }

    #[test]
    fn encrypted_files_are_told_by_their_magic_or_their_footer() {
        assert!(encrypted(b"....PARE").unwrap().contains("PARE"));
        assert!(encrypted(b"xPAR1").is_none() && encrypted(b"").is_none());
        // version = 1, and nothing else.
        assert_eq!(encrypted(&end(&[0x15, 2, 0])), None);
        // version = 1, a list of two strings as field 2, field 8 a struct.
        let footer = [0x15, 2, 0x19, 0x28, 1, b'a', 0, 0x6c, 0, 0];
        assert!(encrypted(&end(&footer)).unwrap().contains("columns"));
    }
}
