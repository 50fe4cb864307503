#![doc = include_str!("../README.md")]

use psl::{Info, Psl};

pub use psl::Type as Section;

/// The public suffix of a host with the label before it; `None` for a host that is a suffix itself, as `co.uk`.
///
/// Hosts are in lower case, in Unicode or Punycode; a final dot is left out. A last label that is not on the list is a suffix.
pub fn registrable_domain(host: &str) -> Option<&str> {
    let domain = CompiledOnce.domain(host.as_bytes())?.trim();
    std::str::from_utf8(domain.as_bytes()).ok()
}

/// The public suffix among the labels of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Its length in bytes, dots included.
    pub bytes: usize,
    /// The section of the list that has it; `None` for a last label that is not on the list.
    pub section: Option<Section>,
}

/// The longest public suffix of a host whose labels are given last label first.
pub fn suffix_of<T: AsRef<str>>(reversed_labels: &[T]) -> Suffix {
    let Info { len, typ } = find(&mut reversed_labels.iter().map(|label| label.as_ref().as_bytes()));
    Suffix { bytes: len, section: typ }
}

/// The list for callers with any iterator.
struct CompiledOnce;

impl Psl for CompiledOnce {
    fn find<'a, T: Iterator<Item = &'a [u8]>>(&self, mut labels: T) -> Info {
        find(&mut labels)
    }
}

/// `psl::List` is code that is generic over the iterator of labels: this is the only one that it is compiled for.
fn find(labels: &mut dyn Iterator<Item = &[u8]>) -> Info {
    psl::List.find(labels)
}
