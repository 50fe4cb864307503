//! Links → pages, politely, stored as WARC.
//!
//! The rules: robots.txt (RFC 9309) before anything else of an origin; one request at a time to a host, with a pause
//! between them that robots.txt, `Retry-After` and slow answers lengthen; a share of requests for each registrable
//! domain and each address; no address that is not public, whether named by a URL, by DNS or by a redirect; limits on
//! size, time, rate and redirects; a User-Agent with an address to write to. Every link ends with exactly one
//! [`records::Outcome`].
//!
//! - [`Frontier`] holds the list on disk, by host; [`plan`] estimates what a list will take before anything is sent.
//! - [`Fetcher`] runs workers over it; [`Monitor`] lets others watch, [`Budget`] ends it early.
//! - What has been done is journalled in groups: after a kill, fetching goes on with the links of the last group.
//!
//! Left out: pages that Common Crawl has already (the crate `common-crawl`), cookies, HTTP/3, `/.well-known/tdmrep.json`, retries on another day.

mod address;
mod aimd;
mod backlog;
mod crawl;
mod error;
mod exchange;
mod frontier;
mod hosts;
mod journal;
mod monitor;
mod network;
mod page_records;
mod page_writer;
mod place;
mod plan;
mod request;
mod robots;
mod settings;
mod shared;
mod signals;
mod worker;

pub use address::is_public;
pub use crawl::{Ended, Fetcher, outcomes, outcomes_so_far};
pub use error::FetchError;
pub use frontier::Frontier;
pub use monitor::{Monitor, Snapshot};
pub use place::Place;
pub use plan::{Plan, plan};
pub use settings::Settings;
pub use shared::Budget;
pub use signals::{Honour, Signal};
