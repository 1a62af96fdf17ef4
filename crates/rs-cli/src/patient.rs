//! A file that waits instead of failing when another program made it non-blocking.
//!
//! `O_NONBLOCK` belongs to the open file, not to the process: `ssh`, node and some terminals set it on a pipe
//! they share with us, and a plain read or write would then fail with "Resource temporarily unavailable".

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

#[derive(Debug)]
pub(crate) struct Patient(pub(crate) File);

impl Patient {
    fn wait(&self, for_what: PollFlags) -> io::Result<()> {
        match poll(&mut [PollFd::new(self.0.as_fd(), for_what)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::POLLIN)?,
                result => return result,
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT)?,
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use std::{thread, time::Duration};

    #[test]
    fn a_non_blocking_pipe_is_waited_for() {
        let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let (mut read, mut write) = (Patient(read.into()), Patient(write.into()));
        // More than a pipe holds, so that the writer waits as well as the reader.
        let sent = vec![7_u8; 300_000];
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            write.write_all(&sent).unwrap();
        });
        let mut received = Vec::new();
        read.read_to_end(&mut received).unwrap();
        writer.join().unwrap();
        assert_eq!(received.len(), 300_000);
    }
}
