//! HTTP/2 in frames written by hand, as a server that breaks it would.
//!
//! Header blocks are not decoded: the host is the one TLS was asked for, and its first request is the one
//! for robots.txt, which is answered with 404.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::http::Connection;
use super::{Request, Shared};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;

const BODY: &[u8] = b"<!doctype html><title>Page</title><p>The ferry leaves at noon and comes back before dark.</p>";

/// What every request for a page meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum H2 {
    /// A page.
    Good,
    /// A page, then GOAWAY and the end of the connection.
    GoAwayAfterPage,
    /// GOAWAY that says the request was not looked at.
    GoAwayBeforePage,
    /// Half a page, then GOAWAY and the end of the connection.
    GoAwayInPage,
    /// RST_STREAM in place of a response.
    Reset,
    /// RST_STREAM that says the request was not looked at.
    Refused,
    /// Half a page, then RST_STREAM.
    ResetInPage,
    /// A header block that never ends.
    EndlessHeaders,
    /// PING after PING.
    EndlessPings,
    /// A frame longer than anybody allowed.
    GiantFrame,
    /// Bytes that are no frames.
    Garbage,
}

pub(super) async fn answer(
    shared: &Shared,
    mut stream: impl Connection,
    to: SocketAddr,
    host: &str,
    fault: H2,
) -> std::io::Result<()> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if preface != PREFACE {
        return Ok(());
    }
    frame(&mut stream, SETTINGS, 0, 0, &[]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let number = u32::from_be_bytes([s0, s1, s2, s3]);
        let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => frame(&mut stream, SETTINGS, ACK, 0, &[]).await?,
            PING if flags & ACK == 0 => frame(&mut stream, PING, ACK, 0, &payload).await?,
            HEADERS => {
                let is_first = !shared.log.lock().unwrap().visits.iter().any(|visit| visit.request.host == host);
                let path = if is_first { "/robots.txt" } else { "/page" };
                let request =
                    Request { host: host.to_owned(), path: path.into(), visit: 0, to, is_tls: true, head: Vec::new() };
                let (_, place) = shared.arrived(request);
                let goes_on = if is_first {
                    // `:status 404` is entry 13 of HPACK's static table.
                    frame(&mut stream, HEADERS, END_STREAM | END_HEADERS, number, &[0x80 | 13]).await.map(|()| true)
                } else {
                    respond(&mut stream, number, fault).await
                };
                shared.ended(place);
                if !goes_on? {
                    let _ = stream.shutdown().await;
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

/// Answers the request of a stream; whether the connection goes on.
async fn respond(stream: &mut impl Connection, number: u32, fault: H2) -> std::io::Result<bool> {
    // `:status 200` is entry 8; then `content-type: text/html`, its name entry 31 in a prefix of 4 bits.
    let mut ok = vec![0x80 | 8, 0x0f, 31 - 15, 9];
    ok.extend(b"text/html");
    let goaway = |last: u32| [last.to_be_bytes(), [0; 4]].concat();
    match fault {
        H2::Good => {
            frame(stream, HEADERS, END_HEADERS, number, &ok).await?;
            frame(stream, DATA, END_STREAM, number, BODY).await?;
            Ok(true)
        }
        H2::GoAwayAfterPage => {
            frame(stream, HEADERS, END_HEADERS, number, &ok).await?;
            frame(stream, DATA, END_STREAM, number, BODY).await?;
            frame(stream, GOAWAY, 0, 0, &goaway(number)).await?;
            Ok(false)
        }
        H2::GoAwayBeforePage => {
            frame(stream, GOAWAY, 0, 0, &goaway(0)).await?;
            Ok(false)
        }
        H2::GoAwayInPage => {
            frame(stream, HEADERS, END_HEADERS, number, &ok).await?;
            frame(stream, DATA, 0, number, BODY).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            frame(stream, GOAWAY, 0, 0, &goaway(number)).await?;
            Ok(false)
        }
        H2::Reset => {
            frame(stream, RST_STREAM, 0, number, &INTERNAL_ERROR.to_be_bytes()).await?;
            Ok(true)
        }
        H2::Refused => {
            frame(stream, RST_STREAM, 0, number, &REFUSED_STREAM.to_be_bytes()).await?;
            Ok(true)
        }
        H2::ResetInPage => {
            frame(stream, HEADERS, END_HEADERS, number, &ok).await?;
            frame(stream, DATA, 0, number, BODY).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            frame(stream, RST_STREAM, 0, number, &INTERNAL_ERROR.to_be_bytes()).await?;
            Ok(true)
        }
        H2::EndlessHeaders => {
            frame(stream, HEADERS, 0, number, &ok).await?;
            // A field `x: yyy…` without an index, in every frame.
            let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
            loop {
                frame(stream, CONTINUATION, 0, number, &field).await?;
                tokio::task::yield_now().await;
            }
        }
        H2::EndlessPings => loop {
            frame(stream, PING, 0, 0, &[7; 8]).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        },
        H2::GiantFrame => {
            frame(stream, HEADERS, END_HEADERS, number, &ok).await?;
            frame(stream, DATA, END_STREAM, number, &vec![b'x'; (1 << 24) - 1]).await?;
            Ok(true)
        }
        H2::Garbage => {
            stream.write_all(&[0xff; 4096]).await?;
            Ok(false)
        }
    }
}

async fn frame(stream: &mut impl Connection, kind: u8, flags: u8, number: u32, payload: &[u8]) -> std::io::Result<()> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(payload);
    stream.write_all(&bytes).await?;
    stream.flush().await
}
