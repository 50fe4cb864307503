//! Lists around a block, and the numbers of their items.

use crate::html::{NodeId, Tree, attribute, tag};

/// How a numbered list writes its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberStyle {
    /// `1`.
    Decimal,
    /// `a`.
    Lower,
    /// `A`.
    Upper,
    /// `i`.
    LowerRoman,
    /// `I`.
    UpperRoman,
}

/// An item of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The item around it, its index in [`super::Blocks::items`]; [`super::NO_ITEM`] for none.
    pub parent: u32,
    /// Place in a numbered list, `None` in others.
    pub number: Option<i32>,
    /// How the number is written.
    pub style: NumberStyle,
    /// Block quotes around it.
    pub quotes: u8,
    /// Whether the page chose the number, so that a text may refer to it.
    pub is_chosen: bool,
}

impl Item {
    /// An item outside all lists.
    pub(super) fn of_no_list(parent: u32, quotes: u8) -> Item {
        Item { parent, number: None, quotes, style: NumberStyle::Decimal, is_chosen: false }
    }

    /// The number as the page shows it, without a point.
    pub fn shown_number(&self) -> Option<String> {
        let number = self.number?;
        let Some(positive) = u32::try_from(number).ok().filter(|&number| number > 0) else {
            return Some(number.to_string());
        };
        Some(match self.style {
            NumberStyle::Decimal => number.to_string(),
            NumberStyle::Lower => letters(positive),
            NumberStyle::Upper => letters(positive).to_uppercase(),
            NumberStyle::LowerRoman => roman(positive),
            NumberStyle::UpperRoman => roman(positive).to_uppercase(),
        })
    }
}

/// `a` to `z`, `aa`, `ab`, …
fn letters(mut number: u32) -> String {
    let mut letters = Vec::new();
    while number > 0 {
        number -= 1;
        letters.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    letters.iter().rev().collect()
}

fn roman(mut number: u32) -> String {
    // Larger ones are written in digits, as in browsers.
    if number > 3999 {
        return number.to_string();
    }
    const SIGNS: [(u32, &str); 13] = [
        (1000, "m"),
        (900, "cm"),
        (500, "d"),
        (400, "cd"),
        (100, "c"),
        (90, "xc"),
        (50, "l"),
        (40, "xl"),
        (10, "x"),
        (9, "ix"),
        (5, "v"),
        (4, "iv"),
        (1, "i"),
    ];
    let mut roman = String::new();
    for (value, sign) in SIGNS {
        while number >= value {
            roman.push_str(sign);
            number -= value;
        }
    }
    roman
}

/// A list around the current node.
pub(super) struct List {
    is_numbered: bool,
    next: i32,
    step: i32,
    style: NumberStyle,
    is_chosen: bool,
}

impl List {
    pub(super) fn new(tree: &Tree, id: NodeId) -> List {
        let is_numbered = tree.name(id) == tag::OL;
        let mut list = List { is_numbered, next: 1, step: 1, style: NumberStyle::Decimal, is_chosen: false };
        if !is_numbered {
            return list;
        }
        if tree.raw_attribute(id, attribute::REVERSED).is_some() {
            let items = tree.children(id).filter(|&child| tree.name(child) == tag::LI).count();
            (list.next, list.step, list.is_chosen) = (i32::try_from(items).unwrap_or(i32::MAX), -1, true);
        }
        if let Some(start) = integer(tree.raw_attribute(id, attribute::START)) {
            list.is_chosen |= start != 1;
            list.next = start;
        }
        let style = match tree.raw_attribute(id, attribute::TYPE).map(str::trim) {
            Some("a") => NumberStyle::Lower,
            Some("A") => NumberStyle::Upper,
            Some("i") => NumberStyle::LowerRoman,
            Some("I") => NumberStyle::UpperRoman,
            _ => NumberStyle::Decimal,
        };
        list.is_chosen |= style != NumberStyle::Decimal;
        list.style = style;
        list
    }

    /// The next item of the list.
    pub(super) fn item(&mut self, tree: &Tree, id: NodeId, parent: u32, quotes: u8) -> Item {
        if let Some(value) = integer(tree.raw_attribute(id, attribute::VALUE)).filter(|_| self.is_numbered) {
            self.is_chosen |= value != self.next;
            self.next = value;
        }
        let number = self.is_numbered.then_some(self.next);
        self.next = self.next.saturating_add(self.step);
        Item { parent, number, quotes, style: self.style, is_chosen: self.is_chosen }
    }
}

fn integer(value: Option<&str>) -> Option<i32> {
    value?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_they_are_shown() {
        let check = |number, style, expected: &str| {
            let item = Item { parent: super::super::NO_ITEM, quotes: 0, number: Some(number), style, is_chosen: true };
            assert_eq!(item.shown_number().as_deref(), Some(expected));
        };
        check(28, NumberStyle::Lower, "ab");
        check(26, NumberStyle::Upper, "Z");
        check(1994, NumberStyle::UpperRoman, "MCMXCIV");
        check(4, NumberStyle::LowerRoman, "iv");
        check(-2, NumberStyle::Lower, "-2");
        check(0, NumberStyle::Decimal, "0");
    }
}
