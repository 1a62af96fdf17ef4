//! Tells a recorder what the program is doing, through the FIFO that `RUSTSCOPE_MARKS` names.
//!
//! Nobody may be reading it, or read slowly, or go away: a mark that cannot be written at once is not written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

pub(crate) struct Marks(Option<File>);

impl Marks {
    pub(crate) fn open() -> Marks {
        let open = |path| {
            let fifo = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
            fifo.metadata().ok()?.file_type().is_fifo().then_some(fifo)
        };
        Marks(std::env::var_os("RUSTSCOPE_MARKS").and_then(open))
    }

    pub(crate) fn phase(&mut self, name: &str) {
        self.write(format!("phase {name}\n"));
    }

    pub(crate) fn work(&mut self, count: u64, unit: &str) {
        self.write(format!("work {count} {unit}\n"));
    }

    fn write(&mut self, line: String) {
        if let Some(fifo) = &mut self.0 {
            // One write a line, shorter than PIPE_BUF: it goes whole or not at all.
            let _ = fifo.write(line.as_bytes());
        }
    }
}
