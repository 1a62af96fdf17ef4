//! The binaries that the followed processes have mapped, opened once each.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rs_schema::event::MappingId;
use rs_symbol::Image;
use rustc_hash::FxHashMap;

/// What tells two binaries apart before they are opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    device: (u32, u32),
    inode: u64,
    path: String,
}

/// A binary of the stream.
#[derive(Clone)]
pub(crate) struct Binary {
    /// Its number in the stream.
    pub(crate) mapping: MappingId,
    /// Its path as the process sees it.
    pub(crate) path: String,
    /// Its contents, unless they could not be read.
    pub(crate) image: Option<Arc<Image>>,
}

/// All binaries of the stream.
#[derive(Default)]
pub(crate) struct Images {
    by_key: FxHashMap<Key, Binary>,
    /// The same file may be mapped under several paths: then the build id tells.
    by_build_id: FxHashMap<String, Binary>,
    by_image: FxHashMap<u64, MappingId>,
    count: MappingId,
}

/// Where a binary was mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) proc_pid: i32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    pub(crate) path: &'a str,
}

impl Images {
    /// The binary that lies at `place`, opened if it is new.
    pub(crate) fn at(&mut self, place: &Place<'_>) -> Binary {
        let key = Key { device: place.device, inode: place.inode, path: place.path.to_string() };
        if let Some(known) = self.by_key.get(&key) {
            return known.clone();
        }
        let image = if place.path == VDSO { vdso() } else { open(place) }.map(Arc::new);
        let build_id = image.as_ref().and_then(|image| image.build_id()).map(str::to_string);
        if let Some(known) = build_id.as_ref().and_then(|id| self.by_build_id.get(id)) {
            let known = known.clone();
            self.by_key.insert(key, known.clone());
            return known;
        }
        self.count += 1;
        let binary = Binary { mapping: self.count, path: place.path.to_string(), image };
        if let Some(image) = &binary.image {
            self.by_image.insert(image.id(), binary.mapping);
        }
        if let Some(id) = build_id {
            self.by_build_id.insert(id, binary.clone());
        }
        self.by_key.insert(key, binary.clone());
        binary
    }

    /// The stream's number of an image that [`at`](Self::at) gave out.
    pub(crate) fn mapping_of(&self, image: &Image) -> Option<MappingId> {
        self.by_image.get(&image.id()).copied()
    }
}

/// Name of the code that the kernel maps into every process.
pub(crate) const VDSO: &str = "[vdso]";

/// Opens the file behind a mapping, be it in another mount namespace or deleted since.
fn open(place: &Place<'_>) -> Option<Image> {
    let path = Path::new(place.path);
    let deleted = place.path.strip_suffix(" (deleted)");
    let mut candidates: Vec<PathBuf> =
        // Needs CAP_CHECKPOINT_RESTORE, but is exactly the mapped file, whatever became of its name.
        vec![format!("/proc/{}/map_files/{:x}-{:x}", place.proc_pid, place.start, place.end).into()];
    if deleted.is_none() {
        candidates.push(format!("/proc/{}/root{}", place.proc_pid, place.path).into());
        // The process may be gone already.
        candidates.push(path.to_path_buf());
    }
    for candidate in candidates {
        if let Ok(file) = File::open(&candidate)
            && file.metadata().is_ok_and(|metadata| metadata.is_file())
            && let Ok(image) = Image::open(file, path)
        {
            return Some(image);
        }
    }
    // A deleted program can still be read through its process.
    let exe = format!("/proc/{}/exe", place.proc_pid);
    if std::fs::read_link(&exe).ok()?.as_os_str() == place.path {
        return Image::open(File::open(exe).ok()?, Path::new(deleted.unwrap_or(place.path))).ok();
    }
    None
}

/// The vdso: the kernel gives every process of one word size the same, so ours will do.
fn vdso() -> Option<Image> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(VDSO))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    // SAFETY: the kernel maps these pages readable for the whole life of the process and never changes them.
    let bytes = unsafe { std::slice::from_raw_parts(start as *const u8, end - start) };
    Image::from_bytes(bytes.to_vec(), VDSO).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vdso_is_an_image() {
        assert!(
            vdso().is_some_and(|image| image.eh_frame_function_start(image.entry_svma()).is_some()
                || image.build_id().is_some())
        );
    }
}
