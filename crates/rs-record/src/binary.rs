//! What is known of the target's binary, for the header.

use std::fs;
use std::path::{Path, PathBuf};

use rs_schema::event::Build;
use rs_symbol::Image;

/// The facts of the program at `exe`, which may be `/proc/PID/exe`. The commit is the caller's to add.
pub(crate) fn build_of(exe: &Path, image: Option<&Image>) -> Build {
    let path = real_path(exe);
    let facts = image.map(Image::facts);
    Build {
        exe: Some(path.to_string_lossy().into_owned()),
        build_id: image.and_then(Image::build_id).map(str::to_owned),
        rustc: facts.and_then(|facts| facts.rustc.clone()),
        profile: cargo_profile(&path),
        debuginfo: facts.and_then(|facts| facts.debuginfo).map(str::to_owned),
        ..Build::default()
    }
}

/// Where the program lies. The path of a process is taken as the process sees it: it need not exist here.
fn real_path(exe: &Path) -> PathBuf {
    let found = if exe.starts_with("/proc") { fs::read_link(exe) } else { fs::canonicalize(exe) };
    let path = found.unwrap_or_else(|_| exe.to_owned());
    match path.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(was) => PathBuf::from(was),
        None => path,
    }
}

/// The profile, when the program lies where cargo puts it: `target/[TRIPLE/]PROFILE/[deps/|examples/]NAME`.
fn cargo_profile(exe: &Path) -> Option<String> {
    let mut directory = exe.parent()?;
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory = directory.parent()?;
    }
    directory.ancestors().skip(1).take(2).find(|above| is_cargo_target(above))?;
    let name = directory.file_name()?.to_str()?;
    Some(if name == "debug" { "dev" } else { name }.to_owned())
}

/// Whether cargo made this directory; others tag their caches too, so the tag alone does not tell.
fn is_cargo_target(directory: &Path) -> bool {
    directory.join(".rustc_info.json").is_file()
        || fs::read_to_string(directory.join("CACHEDIR.TAG")).is_ok_and(|tag| tag.contains("cargo"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn the_profile_is_known_only_where_cargo_built() {
        let temporary = tempfile::tempdir().unwrap();
        let target = temporary.path().join("target");
        for directory in ["release/deps", "x86_64-unknown-linux-musl/dist", "debug/examples"] {
            fs::create_dir_all(target.join(directory)).unwrap();
        }
        let profile = |path: &str| cargo_profile(&target.join(path));
        assert_eq!(profile("release/app"), None, "nothing says that it is cargo's");
        fs::write(target.join("CACHEDIR.TAG"), "# created by a backup program").unwrap();
        assert_eq!(profile("release/app"), None);
        fs::write(target.join("CACHEDIR.TAG"), "# This file is a cache directory tag created by cargo.")
            .unwrap();
        assert_eq!(profile("release/app").as_deref(), Some("release"));
        assert_eq!(profile("release/deps/bench-0123456789abcdef").as_deref(), Some("release"));
        assert_eq!(profile("x86_64-unknown-linux-musl/dist/app").as_deref(), Some("dist"));
        assert_eq!(profile("debug/examples/demo").as_deref(), Some("dev"));
        assert_eq!(profile("release/build/app-1/build-script-build"), None);
        assert_eq!(cargo_profile(Path::new("/usr/bin/true")), None);
    }

    #[test]
    fn this_program() {
        let exe = Path::new("/proc/self/exe");
        let image = Image::open(File::open(exe).unwrap(), exe).unwrap();
        let build = build_of(exe, Some(&image));
        assert_eq!(build.exe, std::env::current_exe().unwrap().to_str().map(str::to_owned));
        assert!(build.rustc.is_some(), "{build:?}");
        assert_eq!(build.git_commit, None);
    }

    #[test]
    fn a_file_that_is_not_there_is_still_named() {
        let build = build_of(Path::new("/nowhere/app"), None);
        assert_eq!(build, Build { exe: Some("/nowhere/app".to_owned()), ..Build::default() });
    }
}
