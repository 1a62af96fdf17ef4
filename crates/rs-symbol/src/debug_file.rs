//! Symbols that were split off into a file of their own, by build id or by debug link.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::image::Image;

const DEBUG_DIRECTORY: &str = "/usr/lib/debug";

/// The debug file of an image, if it is there and belongs to it.
pub(crate) fn find(image: &Image) -> Option<Image> {
    candidates(image).into_iter().find_map(|path| {
        let file = Image::open(File::open(&path).ok()?, &path).ok()?;
        // Two files without build id have nothing that says they belong together but a checksum over the
        // whole file; names are not worth reading all of it.
        (file.build_id().is_some() && file.build_id() == image.build_id()).then_some(file)
    })
}

fn candidates(image: &Image) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some((first, rest)) = image.build_id().and_then(|id| id.split_at_checked(2)) {
        paths.push(Path::new(DEBUG_DIRECTORY).join(format!(".build-id/{first}/{rest}.debug")));
    }
    if let (Some(link), Some(directory)) = (debug_link(image), image.path().parent()) {
        paths.push(directory.join(&link));
        paths.push(directory.join(".debug").join(&link));
        if let Ok(relative) = directory.strip_prefix("/") {
            paths.push(Path::new(DEBUG_DIRECTORY).join(relative).join(&link));
        }
    }
    paths.retain(|path| path != image.path());
    paths
}

fn debug_link(image: &Image) -> Option<PathBuf> {
    let bytes = image.section_bytes(".gnu_debuglink")?;
    let name = std::str::from_utf8(&bytes[..memchr::memchr(0, bytes)?]).ok()?;
    // A name only; a path would lead anywhere.
    Path::new(name).file_name().map(PathBuf::from)
}

/// Whether the system came with this binary. The debug files of system libraries are compressed and
/// describe thousands of units; unpacking libc's costs more than a whole session, for lines in libc.
pub(crate) fn is_system_library(path: &Path) -> bool {
    ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].iter().any(|directory| path.starts_with(directory))
}
