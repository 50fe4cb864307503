//! What texts made at random have in common, in the golden tests of `dedup` and `filter`: each crate has words of its own.
//!
//! Golden files hold what peers said of these texts, so each number is drawn in the order in which it is drawn here.

/// A linear congruential generator: enough for texts.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// One of a list.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// The text with these signs in it, before or in place of a tenth of its characters.
pub fn mangled(random: &mut Random, text: &str, signs: &[char]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..chars.len() / 10 {
        let at = random.below(chars.len());
        let sign = random.of(signs);
        if random.below(2) == 0 { chars.insert(at, sign) } else { chars[at] = sign }
    }
    chars.into_iter().collect()
}

/// Fewer than `max_chars` characters from the beginning of Unicode, one of some beginnings; `sign` may put another in the
/// place of each.
pub fn random_unicode(random: &mut Random, max_chars: usize, sign: impl Fn(&mut Random) -> Option<char>) -> String {
    let highest = random.of(&[0x80, 0x100, 0x600, 0x3000, 0x1_0000, 0x11_0000]);
    let any = |random: &mut Random| char::from_u32(random.below(highest) as u32).unwrap_or('\u{fffd}');
    (0..random.below(max_chars)).map(|_| sign(random).unwrap_or_else(|| any(random))).collect()
}

/// Writes the texts, for the scripts beside the golden files, to the file that `WEBTEXT_WRITE_TEXTS` names, if it does.
pub fn write<'t>(texts: impl Iterator<Item = &'t String>) {
    let Some(path) = std::env::var_os("WEBTEXT_WRITE_TEXTS") else { return };
    let rows: Vec<String> = texts.map(|text| serde_json::json!({ "text": text }).to_string()).collect();
    std::fs::write(path, rows.join("\n")).expect("the file of WEBTEXT_WRITE_TEXTS can be written");
}
