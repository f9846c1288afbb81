//! RTSP over HTTP as QuickTime has it: a GET whose answer never ends, a POST whose body never does.

use super::check::{Stop, fail, not_supported, skip};
use super::client::Client;
use super::lab::Lab;
use super::link::Link;
use std::io::Write as _;
use std::net::{IpAddr, TcpStream};

/// Opens a tunnel.
///
/// # Errors
/// The server has no tunnels, or answers GET with what is none.
pub(super) fn open(lab: &Lab<'_>, source: Option<IpAddr>) -> Result<Client, Stop> {
    let cookie = new_cookie(lab);
    let mut client = open_half(lab, source, &cookie, "HTTP/1.0")?;
    let post = post(lab, source, &cookie, 32767)?;
    if let Link::Tunnel { post: half, .. } = &mut client.link {
        *half = Some(post);
    }
    Ok(client)
}

/// A cookie that no other tunnel has.
pub(super) fn new_cookie(lab: &Lab<'_>) -> String {
    format!("{:08x}{:08x}", lab.random(), lab.random())
}

/// The GET half, once the server has answered it.
pub(super) fn open_half(
    lab: &Lab<'_>,
    source: Option<IpAddr>,
    cookie: &str,
    version: &str,
) -> Result<Client, Stop> {
    if !lab.options.kinds.contains(&super::Kind::Http) {
        return skip("not over HTTP");
    }
    let get = lab.connect(lab.server(), source)?;
    let mut client = Client::new(lab, Link::Tunnel { get, post: None });
    let request = get_request(lab, cookie, version);
    lab.transcript.sent(lab.now(), request.as_bytes());
    if let Link::Tunnel { get, .. } = &mut client.link {
        get.write_all(request.as_bytes())?;
    }
    let Some(reply) = client.reply_or_close()? else {
        return not_supported("RTSP over HTTP: GET was answered with a closed connection");
    };
    if !reply.protocol.starts_with("HTTP/") || reply.status != 200 {
        return not_supported(format!(
            "RTSP over HTTP: GET was answered {} {}",
            reply.protocol,
            reply.line()
        ));
    }
    let content_type = reply.header("Content-Type").unwrap_or_default();
    if content_type != "application/x-rtsp-tunnelled" {
        return fail(format!("GET was answered with Content-Type {content_type:?}"));
    }
    Ok(client)
}

/// What opens the half that replies come by.
pub(super) fn get_request(lab: &Lab<'_>, cookie: &str, version: &str) -> String {
    format!(
        "GET {} {version}\r\nHost: {}\r\nUser-Agent: reelring-conform\r\n\
         x-sessioncookie: {cookie}\r\nAccept: application/x-rtsp-tunnelled\r\n\
         Pragma: no-cache\r\nCache-Control: no-cache\r\n\r\n",
        path(lab),
        lab.target.authority
    )
}

/// The half that requests go by.
pub(super) fn post(
    lab: &Lab<'_>,
    source: Option<IpAddr>,
    cookie: &str,
    length: u32,
) -> Result<TcpStream, Stop> {
    let mut stream = lab.connect(lab.server(), source)?;
    let request = format!(
        "POST {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: reelring-conform\r\n\
         x-sessioncookie: {cookie}\r\nContent-Type: application/x-rtsp-tunnelled\r\n\
         Pragma: no-cache\r\nCache-Control: no-cache\r\nContent-Length: {length}\r\n\
         Expires: Sun, 9 Jan 1972 00:00:00 GMT\r\n\r\n",
        path(lab),
        lab.target.authority
    );
    lab.transcript.sent(lab.now(), request.as_bytes());
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn path<'a>(lab: &Lab<'a>) -> &'a str {
    if lab.target.path.is_empty() { "/" } else { &lab.target.path }
}
