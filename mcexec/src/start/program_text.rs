// SPDX-License-Identifier: GPL-2.0
//! Words and strings of the program's memory, read a page at a time.

use std::ffi::CString;

use ihk_ikc::layout::PAGE_BYTES;
use nix::errno::Errno;

use crate::image::page_down;
use crate::window;

const PAGE: usize = 4096;
const _: () = assert!(PAGE as u64 == PAGE_BYTES);

/// A reader that remembers the last page.
pub(crate) struct Text {
    /// Address of the page in `bytes`.
    page: Option<u64>,
    bytes: Box<[u8; PAGE]>,
}

impl Text {
    /// Makes a reader that has read nothing yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            page: None,
            bytes: Box::new([0; PAGE]),
        }
    }

    /// Returns the bytes from `address` to the end of its page.
    fn rest_of_page(&mut self, address: u64) -> Result<&[u8], Errno> {
        let page = page_down(address);
        if self.page != Some(page) {
            self.page = None;
            if window::read(page, &mut self.bytes[..])? != PAGE {
                return Err(Errno::EFAULT);
            }
            self.page = Some(page);
        }
        let offset = usize::try_from(address - page).map_err(|_| Errno::EFAULT)?;
        self.bytes.get(offset..).ok_or(Errno::EFAULT)
    }

    /// Returns the 8-byte word at `address`.
    ///
    /// # Errors
    ///
    /// `EFAULT` if there is no such memory.
    pub(crate) fn word(&mut self, address: u64) -> Result<u64, Errno> {
        let mut word = [0; 8];
        for (byte, at) in word.iter_mut().zip(address..) {
            *byte = *self.rest_of_page(at)?.first().ok_or(Errno::EFAULT)?;
        }
        Ok(u64::from_le_bytes(word))
    }

    /// Returns the string at `address`.
    ///
    /// # Errors
    ///
    /// `EFAULT` if there is no such memory; `ENAMETOOLONG` if the string has not ended after `most`
    /// bytes.
    pub(crate) fn string(&mut self, address: u64, most: usize) -> Result<CString, Errno> {
        let mut string = Vec::new();
        let mut at = address;
        while string.len() < most {
            let rest = self.rest_of_page(at)?;
            let end = rest.iter().position(|byte| *byte == 0);
            string.extend_from_slice(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default());
            if end.is_some() && string.len() < most {
                return CString::new(string).map_err(|_| Errno::EFAULT);
            }
            at = page_down(at).checked_add(PAGE_BYTES).ok_or(Errno::EFAULT)?;
        }
        Err(Errno::ENAMETOOLONG)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;
    use nix::errno::Errno;

    #[test]
    fn strings_end_or_are_too_long() {
        let long = vec![b'x'; 10_000];
        let text = [&long[..], b"\0"].concat();
        let address = text.as_ptr().addr() as u64;
        assert_eq!(
            Text::new().string(address, 10_001).unwrap().to_bytes(),
            long
        );
        assert_eq!(
            Text::new().string(address, 10_000),
            Err(Errno::ENAMETOOLONG)
        );
        assert_eq!(Text::new().string(16, 100), Err(Errno::EFAULT));
        assert_eq!(Text::new().word(16), Err(Errno::EFAULT));
        let words = [1_u64, 2];
        assert_eq!(Text::new().word(words.as_ptr().addr() as u64 + 8), Ok(2));
    }
}
