//! Records of ARC, the format before WARC: a line with five or ten fields, then the block.

/// The line before an ARC record: `URL IP date type length`; version 2 has five more fields before the length.
pub(crate) struct ArcLine<'a> {
    pub(crate) target: &'a str,
    pub(crate) address: &'a str,
    pub(crate) date: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) len_bytes: u64,
}

impl ArcLine<'_> {
    /// Fields are counted from the line's end: some writers left spaces in URLs as they were.
    pub(crate) fn parse(line: &str) -> Option<ArcLine<'_>> {
        let (rest, len) = line.trim_end().rsplit_once(' ')?;
        let len_bytes = len.parse().ok()?;
        [5, 0].into_iter().find_map(|more| {
            let mut fields = rest.rsplitn(more + 4, ' ');
            let content_type = fields.nth(more)?;
            let (date, address, target) = (fields.next()?, fields.next()?, fields.next()?);
            let is_date = (8..=17).contains(&date.len()) && date.bytes().all(|b| b.is_ascii_digit());
            (is_date && target.contains(':')).then_some(ArcLine { target, address, date, content_type, len_bytes })
        })
    }
}
