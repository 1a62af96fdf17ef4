//! File work in pieces so small that the time goes into system calls.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

const RECORD: usize = 256;

#[inline(never)]
pub(crate) fn churn(time: Duration) {
    if let Err(error) = temporary().and_then(|file| churn_in(file, time)) {
        eprintln!("stress_demo: no file work: {error}");
    }
}

/// A file without a name: it is gone when the program is.
fn temporary() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("stress_demo.{}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[inline(never)]
fn churn_in(mut file: File, time: Duration) -> io::Result<()> {
    let begin = Instant::now();
    let mut record = [1; RECORD];
    let mut number = 0;
    while begin.elapsed() < time {
        let at = SeekFrom::Start(number % 1024 * RECORD as u64);
        file.seek(at)?;
        file.write_all(&record)?;
        file.seek(at)?;
        file.read_exact(&mut record)?;
        record[0] = checksum(&record);
        number += 1;
    }
    black_box(record);
    Ok(())
}

#[inline(never)]
fn checksum(record: &[u8]) -> u8 {
    let mut sum = 1u64;
    let mut i = 0;
    while i < record.len() {
        sum ^= record[i] as u64;
        sum ^= sum << 13;
        sum ^= sum >> 7;
        sum ^= sum << 17;
        i += 1;
    }
    sum as u8
}
