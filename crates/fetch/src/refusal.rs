//! Why a link has no page, and whose fault it is: the host's, the network's or this machine's.

use std::error::Error;
use std::io;
use std::net::IpAddr;

use dns_lookup::{LookupError, LookupErrorKind};
use records::Reason;
use reqwest::StatusCode;
use rustix::io::Errno;

/// Why there is no page.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    pub(crate) status: Option<u16>,
    /// Whether a retry may succeed.
    pub(crate) is_transient: bool,
    /// What this machine has run out of; then the host has no part in it.
    pub(crate) local_fault: Option<Errno>,
    /// Whether nothing answered at all: the fault may be the host's or the network's.
    pub(crate) is_silence: bool,
    /// Whether there was an answer that the HTTP library could not read: its head, or the first chunk of its body.
    pub(crate) is_unreadable: bool,
}

impl Refusal {
    /// A refusal that is transient if its reason is.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        let is_transient = matches!(reason, Reason::ConnectFailed | Reason::TimedOut | Reason::HttpFault);
        Refusal {
            reason,
            detail: detail.into(),
            status: None,
            is_transient,
            local_fault: None,
            is_silence: false,
            is_unreadable: false,
        }
    }

    /// A refusal that no retry changes.
    pub(crate) fn permanent(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal { is_transient: false, ..Refusal::new(reason, detail) }
    }

    /// An answer that the HTTP library cannot read.
    pub(crate) fn unreadable(detail: &str) -> Refusal {
        Refusal { is_unreadable: true, ..Refusal::new(Reason::HttpFault, detail) }
    }

    /// A DNS lookup that failed. That a name or its address does not exist is an answer; all else is silence.
    pub(crate) fn of_dns(error: LookupError) -> Refusal {
        let is_answer = matches!(error.kind(), LookupErrorKind::NoName | LookupErrorKind::NoData);
        let error = io::Error::from(error);
        Refusal {
            local_fault: local_fault(&error),
            is_silence: !is_answer,
            ..Refusal::new(Reason::ConnectFailed, format!("DNS: {error}"))
        }
    }

    /// A request that the HTTP library could not complete.
    pub(crate) fn of_client(error: &reqwest::Error) -> Refusal {
        let reason = match () {
            () if error.is_timeout() => Reason::TimedOut,
            () if error.is_connect() => Reason::ConnectFailed,
            () => Reason::HttpFault,
        };
        let refusal = Refusal::of_chain(reason, error);
        Refusal { is_silence: refusal.is_silence || error.is_timeout(), ..refusal }
    }

    /// A connection that could not be made.
    pub(crate) fn of_connection(error: &io::Error) -> Refusal {
        Refusal::of_chain(Reason::ConnectFailed, error)
    }

    /// A connection that broke, or an answer that could not be read.
    pub(crate) fn of_answer(error: &io::Error) -> Refusal {
        Refusal::of_chain(Reason::HttpFault, error)
    }

    /// A refusal by an error and its causes. The operating system's error, somewhere in the chain, decides whose fault it
    /// is.
    fn of_chain(reason: Reason, error: &(dyn Error + 'static)) -> Refusal {
        let (mut local, mut is_silence, mut is_tls, mut is_unreadable) = (None, false, false, false);
        let mut detail = String::new();
        for error in chain(error) {
            detail += &format!("{}{error}", if detail.is_empty() { "" } else { ": " });
            let io_error = error.downcast_ref::<io::Error>();
            local = local.or(io_error.and_then(local_fault));
            is_silence |= io_error.is_some_and(is_silent);
            is_tls |= error.is::<rustls::Error>() || io_error.is_some_and(is_tls_fault);
            is_unreadable |= error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
            // Of hyper, a chunk that it cannot read.
            is_unreadable |= io_error.is_some_and(|error| error.kind() == io::ErrorKind::InvalidInput);
        }
        if is_tls && reason == Reason::ConnectFailed {
            return Refusal::new(Reason::TlsFault, detail);
        }
        Refusal { local_fault: local, is_silence, is_unreadable, ..Refusal::new(reason, detail) }
    }

    /// The refusal of a request to one of these addresses. `EADDRNOTAVAIL` means that all local ports are taken, unless
    /// only IPv6 was tried: a machine without IPv6 has no local address for it, and never will.
    pub(crate) fn at(self, addresses: &[IpAddr]) -> Refusal {
        let lacks_family = self.local_fault == Some(Errno::ADDRNOTAVAIL) && addresses.iter().all(IpAddr::is_ipv6);
        Refusal { local_fault: self.local_fault.filter(|_| !lacks_family), ..self }
    }

    pub(crate) fn silence(self) -> Refusal {
        Refusal { is_silence: true, ..self }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Refusal {
        Refusal { status: Some(status.as_u16()), ..self }
    }
}

/// An error and its causes.
pub(crate) fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The error code, if it says that this machine has run out of file descriptors, local ports or socket memory.
fn local_fault(error: &io::Error) -> Option<Errno> {
    let local = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).filter(|errno| local.contains(errno))
}

/// Whether an I/O error wraps a TLS error. The HTTP libraries wrap it more than once, and `io::Error::source` skips the
/// error that it wraps.
fn is_tls_fault(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>() || inner.downcast_ref::<io::Error>().is_some_and(is_tls_fault))
}

/// Whether nothing came back: there was no route, or no answer.
fn is_silent(error: &io::Error) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    matches!(error.kind(), HostUnreachable | NetworkDown | NetworkUnreachable | TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_faults_are_found_in_their_wraps() {
        let fault = || rustls::Error::General("an unknown issuer".into());
        assert!(is_tls_fault(&io::Error::other(fault())));
        assert!(is_tls_fault(&io::Error::other(io::Error::new(io::ErrorKind::InvalidData, fault()))));
        assert!(!is_tls_fault(&io::Error::other("another fault")));
        assert!(!is_tls_fault(&Errno::CONNRESET.into()));
    }

    #[test]
    fn local_faults() {
        let check = |errno: Errno, addresses: &[&str], expected: bool| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let refusal = Refusal::of_dns(io::Error::from(errno).into()).at(&addresses);
            assert_eq!(refusal.local_fault.is_some(), expected, "{errno} {addresses:?}");
        };
        check(Errno::MFILE, &["2606:2800:220::1"], true);
        check(Errno::ADDRNOTAVAIL, &["93.184.216.34"], true);
        check(Errno::ADDRNOTAVAIL, &["2606:2800:220::1", "93.184.216.34"], true);
        check(Errno::ADDRNOTAVAIL, &["2606:2800:220::1"], false);
        check(Errno::CONNREFUSED, &["93.184.216.34"], false);
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_answer() {
        let silent = Refusal::of_dns(io::Error::from(io::ErrorKind::Other).into());
        assert!(silent.is_silence && silent.detail.starts_with("DNS: "), "{silent:?}");
        let no_name = LookupError::new(EAI_NONAME);
        assert!(!Refusal::of_dns(no_name).is_silence);
    }

    /// `EAI_NONAME` of glibc and musl.
    const EAI_NONAME: i32 = -2;
}
