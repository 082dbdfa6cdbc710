//! Where a callback may go.

use std::net::IpAddr;

use reqwest::Url;

use super::public::is_public;

/// Where callbacks may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Targets {
    /// Only out into the internet.
    #[default]
    Public,
    /// Anywhere, into our own network too.
    Any,
}

/// A URL that callbacks may be sent to, as far as can be told without asking for its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
}

/// Why a URL is no target, ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read as a web address.
    #[error("must be an http or https URL")]
    NoWebAddress,
    /// It names a user.
    #[error("must not hold a user name or password")]
    Login,
    /// It leads into our own network.
    #[error(
        "{0} is a private or special address, which this server's configuration does not allow"
    )]
    Private(String),
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// It can never be sent to. A name is not looked up: its addresses are checked when it is.
    pub fn read(text: &str, targets: Targets) -> Result<Self, Refusal> {
        // A browser's reading mends more than we promise: `http:host`, blanks, backslashes.
        let written = text.split_once("://").is_some_and(|(scheme, rest)| {
            let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
            is_web && !rest.contains(|c: char| c.is_control() || c == ' ' || c == '\\')
        });
        if !written {
            return Err(Refusal::NoWebAddress);
        }
        let url = Url::parse(text).map_err(|_| Refusal::NoWebAddress)?;
        if url.port() == Some(0) {
            return Err(Refusal::NoWebAddress);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Refusal::NoWebAddress)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Login);
        }
        if targets == Targets::Public && leads_inside(host) {
            return Err(Refusal::Private(host.to_owned()));
        }
        Ok(Self { url })
    }

    /// The receiver, as `host:port`.
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.url.port_or_known_default().unwrap_or_default())
    }

    pub(super) fn into_url(self) -> Url {
        self.url
    }
}

/// Whether a host is written as an address that is not public, or as a name that is this machine's.
///
/// A URL's parser has brought addresses into their usual form: `0x7f.1` is `127.0.0.1` by now.
fn leads_inside(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => !is_public(address),
        Err(_) => {
            let name = host.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_reached_or_never_be_allowed_is_refused() {
        for (url, refusal) in [
            ("", Refusal::NoWebAddress),
            ("hook", Refusal::NoWebAddress),
            ("ftp://example.com/", Refusal::NoWebAddress),
            ("file:///etc/passwd", Refusal::NoWebAddress),
            ("http://", Refusal::NoWebAddress),
            ("http:example.com", Refusal::NoWebAddress),
            (" http://example.com/", Refusal::NoWebAddress),
            ("http://example.com/a b", Refusal::NoWebAddress),
            ("http:\\\\example.com/", Refusal::NoWebAddress),
            ("http://example.com\\@10.0.0.1/", Refusal::NoWebAddress),
            ("gopher://example.com/", Refusal::NoWebAddress),
            ("http://example.com:0/", Refusal::NoWebAddress),
            ("https://user:secret@example.com/", Refusal::Login),
            ("https://user@example.com/", Refusal::Login),
            ("http://127.0.0.1/", private("127.0.0.1")),
            ("http://127.1/", private("127.0.0.1")),
            ("http://0x7f000001/", private("127.0.0.1")),
            ("http://2130706433/", private("127.0.0.1")),
            ("http://0/", private("0.0.0.0")),
            ("http://169.254.169.254/latest/meta-data", private("169.254.169.254")),
            ("http://[::1]:9000/", private("[::1]")),
            ("http://[::ffff:127.0.0.1]/", private("[::ffff:7f00:1]")),
            ("http://LOCALHOST/", private("localhost")),
            ("http://a.localhost./", private("a.localhost.")),
            ("http://\u{ff11}27.0.0.1/", private("127.0.0.1")),
        ] {
            assert_eq!(Target::read(url, Targets::Public), Err(refusal), "{url}");
        }
    }

    #[test]
    fn inside_is_a_target_where_it_is_allowed_and_a_user_never_is() {
        assert!(Target::read("http://127.0.0.1:9000/hook", Targets::Any).is_ok());
        assert_eq!(Target::read("http://a:b@127.0.0.1/", Targets::Any), Err(Refusal::Login));
    }

    #[test]
    fn receivers_are_told_apart_by_host_and_port() {
        let host = |url| Target::read(url, Targets::Public).unwrap().host();

        assert_eq!(host("https://EXAMPLE.com/a?b"), "example.com:443");
        assert_eq!(host("http://example.com/c"), "example.com:80");
        assert_eq!(host("http://[2606:4700::1111]:8080/"), "[2606:4700::1111]:8080");
    }

    fn private(host: &str) -> Refusal {
        Refusal::Private(host.to_owned())
    }
}
