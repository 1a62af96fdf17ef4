//! A file written beside its target and then renamed onto it, so that nobody ever reads half of one.

use std::{
    fs::{self, Metadata, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, access};
use tempfile::NamedTempFile;

use crate::signal::{self, Doomed};

/// As many symbolic links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// A temporary file and the name it will get. Dropped without [`commit`](Self::commit), it is removed.
///
/// What a rename changes: other hard links keep the old content, and a file bind-mounted alone (into a
/// container, say) cannot be replaced; `> file` writes into such ones.
#[derive(Debug)]
pub(super) struct Replacement {
    temporary: NamedTempFile,
    target: PathBuf,
    doomed: Doomed,
}

impl Replacement {
    /// Starts a replacement of `path`, which is `old` if it exists.
    pub(super) fn create(path: &Path, old: Option<&Metadata>) -> Result<Self> {
        let target = follow_links(path)?;
        if old.is_some() {
            // A rename asks only the directory; but who wrote-protected a file means the content.
            access(&target, AccessFlags::W_OK).map_err(io::Error::from)?;
        }
        let temporary = create_beside(&target)?;
        let doomed = signal::remove_on_death(temporary.path());
        if let Some(old) = old {
            let file = temporary.as_file();
            // Only root may give files away, and root is who would otherwise take the file from its owner.
            let _ = fchown(file, Some(old.uid()), Some(old.gid()));
            file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        }
        Ok(Self { temporary, target, doomed })
    }

    /// Puts the file in its place. Not synced: after a power cut the old or an empty file may be there, as
    /// with any `>`.
    pub(super) fn commit(self) -> io::Result<()> {
        let Self { temporary, target, doomed } = self;
        let result = temporary.persist(target);
        drop(doomed);
        result.map(drop).map_err(|error| error.error)
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Creates the temporary in the target's directory, since a rename works only within a file system.
fn create_beside(target: &Path) -> Result<NamedTempFile> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.exists() {
        bail!("the directory {} does not exist", directory.display());
    }
    tempfile::Builder::new()
        .prefix(".rustscope-")
        .suffix(".tmp")
        // Less the umask, as any program creates a file; tempfile's own choice is 0600.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(|error| io::Error::from(error.kind()))
        .with_context(|| format!("cannot create a file in {}", directory.display()))
}

/// The file a symbolic link means in the end, there or not: a rename onto the link would replace the link.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            // A relative link starts from where it lies; an absolute one replaces the whole by `join`.
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, OutputKind};
    use std::os::unix::fs::symlink;

    fn write(path: &Path, text: &str) {
        let mut output = Output::create(Some(path), OutputKind::Data, &[]).unwrap();
        output.write_all(text.as_bytes()).unwrap();
        output.finish().unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(directory).unwrap().map(name).collect()
    }

    #[test]
    fn appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        fs::write(&path, "old").unwrap();
        let mut output = Output::create(Some(&path), OutputKind::Data, &[]).unwrap();
        output.write_all(b"new").unwrap();
        output.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old", "untouched until finished");
        drop(output);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(dir.path()), ["s.json"], "the temporary is gone");
        write(&path, "new");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(dir.path()), ["s.json"]);
    }

    #[test]
    fn keeps_the_mode_of_an_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o646)).unwrap();
        write(&path, "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o646);
    }

    #[test]
    fn follows_links_even_to_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        symlink("target", &link).unwrap();
        write(&link, "first");
        write(&link, "second");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "second");

        let circle = dir.path().join("circle");
        symlink("circle", &circle).unwrap();
        let error = Output::create(Some(&circle), OutputKind::Data, &[]).unwrap_err();
        assert!(format!("{error:#}").contains("symbolic links"), "{error:#}");
    }

    #[test]
    fn a_missing_directory_is_named_before_work() {
        let error = Output::create(Some(Path::new("/no/such/s.json")), OutputKind::Data, &[]).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot write /no/such/s.json: the directory /no/such does not exist"
        );
        let error = Output::create(Some(Path::new("/")), OutputKind::Data, &[]).unwrap_err();
        assert_eq!(format!("{error:#}"), "cannot write /: it is a directory");
    }

    #[test]
    fn a_write_protected_file_is_respected() {
        if nix::unistd::Uid::effective().is_root() {
            return; // Root may write it.
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        let error = Output::create(Some(&path), OutputKind::Data, &[]).unwrap_err();
        assert!(format!("{error:#}").contains("Permission denied"), "{error:#}");
    }

    #[test]
    fn a_device_is_written_into() {
        write(Path::new("/dev/null"), "gone");
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
