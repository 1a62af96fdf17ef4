//! What the surroundings tell: tags of a CI run, the commit, and the variables the user asked to keep.
//! Nothing else of the environment gets into the stream.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Answering takes git a few milliseconds; a hung network file system must not keep the target from starting.
const GIT_PATIENCE: Duration = Duration::from_secs(1);

/// A commit, and who told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GitCommit {
    /// Its hash, or what the user called it.
    pub(crate) commit: String,
    /// `tag`, `ci` or `working_directory`.
    pub(crate) source: &'static str,
}

/// One CI service: how to tell that it runs us, and the names of its variables, the better one first.
struct Service {
    name: &'static str,
    marker: &'static str,
    branch: &'static [&'static str],
    commit: &'static str,
    run: &'static str,
    repository: &'static str,
}

/// Drone and Woodpecker come before GitLab, some of whose names they share. Forgejo and Gitea call themselves
/// GitHub.
const SERVICES: &[Service] = &[
    Service {
        name: "github",
        marker: "GITHUB_ACTIONS",
        branch: &["GITHUB_HEAD_REF", "GITHUB_REF_NAME"],
        commit: "GITHUB_SHA",
        run: "GITHUB_RUN_ID",
        repository: "GITHUB_REPOSITORY",
    },
    Service {
        name: "drone",
        marker: "DRONE",
        branch: &["DRONE_SOURCE_BRANCH", "DRONE_BRANCH"],
        commit: "DRONE_COMMIT_SHA",
        run: "DRONE_BUILD_NUMBER",
        repository: "DRONE_REPO",
    },
    Service {
        name: "woodpecker",
        marker: "CI_WORKFLOW_NAME",
        branch: &["CI_COMMIT_SOURCE_BRANCH", "CI_COMMIT_BRANCH"],
        commit: "CI_COMMIT_SHA",
        run: "CI_PIPELINE_NUMBER",
        repository: "CI_REPO",
    },
    Service {
        name: "gitlab",
        marker: "GITLAB_CI",
        branch: &["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"],
        commit: "CI_COMMIT_SHA",
        run: "CI_PIPELINE_ID",
        repository: "CI_PROJECT_PATH",
    },
    Service {
        name: "buildkite",
        marker: "BUILDKITE",
        branch: &["BUILDKITE_BRANCH"],
        commit: "BUILDKITE_COMMIT",
        run: "BUILDKITE_BUILD_NUMBER",
        repository: "BUILDKITE_REPO",
    },
    Service {
        name: "circleci",
        marker: "CIRCLECI",
        branch: &["CIRCLE_BRANCH"],
        commit: "CIRCLE_SHA1",
        run: "CIRCLE_BUILD_NUM",
        repository: "CIRCLE_REPOSITORY_URL",
    },
    Service {
        name: "azure",
        marker: "TF_BUILD",
        branch: &["SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"],
        commit: "BUILD_SOURCEVERSION",
        run: "BUILD_BUILDID",
        repository: "BUILD_REPOSITORY_NAME",
    },
    Service {
        name: "bitbucket",
        marker: "BITBUCKET_BUILD_NUMBER",
        branch: &["BITBUCKET_BRANCH"],
        commit: "BITBUCKET_COMMIT",
        run: "BITBUCKET_BUILD_NUMBER",
        repository: "BITBUCKET_REPO_FULL_NAME",
    },
    Service {
        name: "travis",
        marker: "TRAVIS",
        branch: &["TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"],
        commit: "TRAVIS_COMMIT",
        run: "TRAVIS_BUILD_ID",
        repository: "TRAVIS_REPO_SLUG",
    },
    Service {
        name: "jenkins",
        marker: "JENKINS_URL",
        branch: &["CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"],
        commit: "GIT_COMMIT",
        run: "BUILD_NUMBER",
        repository: "GIT_URL",
    },
];

/// The user's tags, and beside them what CI tells: `ci`, `ci_run`, `branch`, `repo`.
pub(crate) fn tags(given: BTreeMap<String, String>) -> BTreeMap<String, String> {
    tags_from(given, &variable)
}

/// The commit of the sources: as the user tags it, else as CI tells, else as git tells in the `directory`
/// that a program was launched in. For a process that was there before, pass no directory: it may be
/// anybody's.
pub(crate) fn git_commit(tags: &BTreeMap<String, String>, directory: Option<&Path>) -> Option<GitCommit> {
    told_commit(tags, &variable).or_else(|| {
        let commit = head_of(directory?, GIT_PATIENCE)?;
        Some(GitCommit { commit, source: "working_directory" })
    })
}

/// The variables that the user allowed, as far as they are set.
pub(crate) fn allowed(names: &[String]) -> BTreeMap<String, String> {
    let value = |name: &String| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    names.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn tags_from(
    mut tags: BTreeMap<String, String>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let get = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let mut add = |tag: &str, value: Option<String>| {
        if let Some(value) = value {
            tags.entry(tag.to_owned()).or_insert(value);
        }
    };
    match SERVICES.iter().find(|service| is_set(service.marker, variable)) {
        Some(service) => {
            add("ci", Some(service.name.to_owned()));
            add("ci_run", get(&service.run));
            add("branch", service.branch.iter().find_map(get).map(|name| branch_name(&name).to_owned()));
            add("repo", get(&service.repository).map(|url| without_credentials(&url)));
        }
        None if is_set("CI", variable) => add("ci", Some("unknown".to_owned())),
        None => {}
    }
    tags
}

/// The service that runs us knows best; the others' variables may have been passed into a container.
fn told_commit(
    tags: &BTreeMap<String, String>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<GitCommit> {
    if let Some(commit) = tags.get("git_commit") {
        return Some(GitCommit { commit: commit.clone(), source: "tag" });
    }
    let (running, others): (Vec<&Service>, Vec<&Service>) =
        SERVICES.iter().partition(|service| is_set(service.marker, variable));
    let commit = running
        .iter()
        .chain(&others)
        .find_map(|service| variable(service.commit).filter(|commit| is_commit(commit)))?;
    Some(GitCommit { commit, source: "ci" })
}

fn is_set(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    variable(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false" | "False"))
}

/// A whole or shortened hash; CI also has tags, branches and "HEAD" in its variables.
fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn branch_name(name: &str) -> &str {
    ["refs/heads/", "refs/tags/", "origin/"].iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name)
}

/// Some services put a token into the URL that they clone from.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// What git has checked out; `None` without git, without a repository, or if git distrusts its owner.
fn head_of(directory: &Path, patience: Duration) -> Option<String> {
    let mut git = Command::new("git")
        .args(["rev-parse", "--verify", "--quiet", "HEAD"])
        .current_dir(directory)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let answer = answer_within(&mut git, patience);
    if answer.is_none() {
        let _ = git.kill();
    }
    let succeeded = git.wait().is_ok_and(|status| status.success());
    answer.map(|text| text.trim().to_owned()).filter(|commit| succeeded && is_commit(commit))
}

/// All that a program prints until it closes its output, if it does so in time.
fn answer_within(child: &mut Child, patience: Duration) -> Option<String> {
    let mut output = child.stdout.take()?;
    let deadline = Instant::now() + patience;
    let mut answer = Vec::new();
    loop {
        let left = PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).ok()?;
        match poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
        }
        let mut part = [0; 256];
        match output.read(&mut part).ok()? {
            0 => return String::from_utf8(answer).ok(),
            count => answer.extend_from_slice(&part[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "1f5513f0e0c2b6d5a4938271605f4e3d2c1b0a99";

    fn variables<'a>(set: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_github_pull_request() {
        let set = [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_HEAD_REF", "faster"),
            ("GITHUB_REF_NAME", "12/merge"),
            ("GITHUB_RUN_ID", "99"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_SHA", COMMIT),
            ("GITHUB_TOKEN", "secret"),
        ];
        let tags = tags_from(map(&[("branch", "mine"), ("gpu", "no")]), &variables(&set));
        let expected =
            [("branch", "mine"), ("ci", "github"), ("ci_run", "99"), ("gpu", "no"), ("repo", "o/r")];
        assert_eq!(tags, map(&expected), "the user's tag stays, and only known variables are read");
        let commit = told_commit(&tags, &variables(&set)).unwrap();
        assert_eq!((commit.commit.as_str(), commit.source), (COMMIT, "ci"));
    }

    #[test]
    fn a_push_has_an_empty_head_ref() {
        let set = [("GITHUB_ACTIONS", "true"), ("GITHUB_HEAD_REF", ""), ("GITHUB_REF_NAME", "main")];
        assert_eq!(tags_from(map(&[]), &variables(&set)), map(&[("branch", "main"), ("ci", "github")]));
    }

    #[test]
    fn tokens_in_urls_are_left_out() {
        let set = [("BUILDKITE", "true"), ("BUILDKITE_REPO", "https://x:to@ken@host/o/r.git")];
        assert_eq!(tags_from(map(&[]), &variables(&set))["repo"], "https://host/o/r.git");
        assert_eq!(without_credentials("git@host:o/r.git"), "git@host:o/r.git");
        assert_eq!(without_credentials("https://host/o/a@b"), "https://host/o/a@b");
    }

    #[test]
    fn other_services() {
        let gitlab =
            [("CI", "1"), ("GITLAB_CI", "true"), ("CI_COMMIT_REF_NAME", "main"), ("CI_PIPELINE_ID", "7")];
        assert_eq!(
            tags_from(map(&[]), &variables(&gitlab)),
            map(&[("branch", "main"), ("ci", "gitlab"), ("ci_run", "7")])
        );
        let azure = [("TF_BUILD", "True"), ("BUILD_SOURCEBRANCH", "refs/heads/a/b")];
        assert_eq!(tags_from(map(&[]), &variables(&azure))["branch"], "a/b");
        assert_eq!(tags_from(map(&[]), &variables(&[("CI", "true")])), map(&[("ci", "unknown")]));
        assert_eq!(tags_from(map(&[]), &variables(&[("CI", "false")])), map(&[]));
    }

    #[test]
    fn the_commit_is_the_users_then_that_of_the_running_service() {
        let set = [("GITHUB_SHA", "aaaaaaa"), ("CI_COMMIT_SHA", "bbbbbbb"), ("GITLAB_CI", "true")];
        assert_eq!(told_commit(&map(&[]), &variables(&set)).unwrap().commit, "bbbbbbb");
        assert_eq!(told_commit(&map(&[]), &variables(&set[..1])).unwrap().commit, "aaaaaaa");
        assert_eq!(told_commit(&map(&[]), &variables(&[("BUILDKITE_COMMIT", "HEAD")])), None);
        let told = told_commit(&map(&[("git_commit", "v1.2")]), &variables(&set)).unwrap();
        assert_eq!((told.commit.as_str(), told.source), ("v1.2", "tag"));
    }

    #[test]
    fn git_tells_what_is_checked_out() {
        let temporary = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]);
            assert!(command.args(arguments).current_dir(temporary.path()).status().unwrap().success());
        };
        assert_eq!(head_of(temporary.path(), GIT_PATIENCE), None, "no repository");
        git(&["init", "--quiet"]);
        assert_eq!(head_of(temporary.path(), GIT_PATIENCE), None, "no commit");
        git(&["commit", "--quiet", "--allow-empty", "--message=x"]);
        assert_eq!(head_of(temporary.path(), GIT_PATIENCE).map(|commit| commit.len()), Some(40));
        assert_eq!(head_of(Path::new("/nowhere"), GIT_PATIENCE), None);
    }

    #[test]
    fn a_program_that_hangs_is_not_waited_for() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(answer_within(&mut child, Duration::from_millis(20)), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn only_what_was_asked_for_is_kept() {
        let kept = allowed(&["PATH".to_owned(), "RUSTSCOPE_NOT_SET".to_owned()]);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["PATH"]);
    }
}
