//! The insertion modes, in the order of the standard (section "The rules for parsing tokens in HTML content").
//!
//! A handler of tags returns `true` when it is done, `false` when the tag is to be processed again in the mode that is
//! now current. Text is handled separately, since in most modes only its white space matters.

use super::builder::{Builder, Formatting, HEADINGS, Isolated, Mode, Open, Scope, is_special};
use super::doctype;
use super::names::{Name, NameSet, attribute, tag, tags};
use super::token::{Tag, TextState};
use super::tree::{NodeId, ROOT, Span, Tree};

const IN_HEAD: NameSet = tags![BASE BASEFONT BGSOUND LINK META NOFRAMES SCRIPT STYLE TEMPLATE TITLE];

/// Start tags that close a paragraph and open a block, end tags that close that block.
const BLOCKS: NameSet = tags![
    ADDRESS ARTICLE ASIDE BLOCKQUOTE CENTER DETAILS DIALOG DIR DIV DL FIELDSET FIGCAPTION FIGURE FOOTER HEADER
    HGROUP MAIN MENU NAV OL SEARCH SECTION SUMMARY UL
];

const FORMATTING: NameSet = tags![A B BIG CODE EM FONT I NOBR S SMALL STRIKE STRONG TT U];

const TABLE_PARTS: NameSet = tags![CAPTION COL COLGROUP TBODY TD TFOOT TH THEAD TR];

const TABLE_CONTEXT: NameSet = tags![TABLE TEMPLATE HTML];
const TABLE_BODIES: NameSet = tags![TBODY TFOOT THEAD];
const TABLE_BODY_CONTEXT: NameSet = tags![TBODY TFOOT THEAD TEMPLATE HTML];
const ROW_CONTEXT: NameSet = tags![TR TEMPLATE HTML];
const CELLS: NameSet = tags![TD TH];
/// Elements in which text belongs to the table and is looked at as a whole.
const TABLE_TEXT: NameSet = tags![TABLE TBODY TEMPLATE TFOOT THEAD TR];

pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(is_blank_byte)
}

fn is_blank_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

impl<'s> Builder<'s> {
    // -- tokens

    /// Processes a start tag; returns how the text after it is tokenized, if it has no markup.
    pub(super) fn start_tag(&mut self, tag: Tag) -> Option<TextState> {
        self.between_texts();
        if !self.foreign_start_tag(tag) {
            self.html_start_tag(tag);
        }
        self.text_state.take()
    }

    pub(super) fn html_start_tag(&mut self, tag: Tag) {
        while !self.start_tag_by_mode(tag) {}
    }

    fn start_tag_by_mode(&mut self, tag: Tag) -> bool {
        match self.mode {
            Mode::Initial => self.leave_early_mode(),
            Mode::BeforeHtml if tag.name == tag::HTML => self.begin_html(tag),
            Mode::BeforeHead if tag.name == tag::HEAD => self.begin_head(tag),
            Mode::BeforeHead if tag.name == tag::HTML => self.start_in_body(tag),
            Mode::BeforeHtml | Mode::BeforeHead => self.leave_early_mode(),
            Mode::InHead => self.start_in_head(tag),
            Mode::AfterHead => self.start_after_head(tag),
            Mode::InBody | Mode::Text => self.start_in_body(tag),
            Mode::InTable => self.start_in_table(tag),
            Mode::InCaption => self.start_in_caption(tag),
            Mode::InColumnGroup => self.start_in_column_group(tag),
            Mode::InTableBody => self.start_in_table_body(tag),
            Mode::InRow => self.start_in_row(tag),
            Mode::InCell => self.start_in_cell(tag),
            Mode::InTemplate => self.start_in_template(tag),
            Mode::AfterBody | Mode::AfterAfterBody if tag.name == tag::HTML => self.start_in_body(tag),
            Mode::AfterBody | Mode::AfterAfterBody => self.again_in(Mode::InBody),
            Mode::InFrameset | Mode::AfterFrameset | Mode::AfterAfterFrameset => self.start_in_frameset(tag),
        }
    }

    pub(super) fn end_tag(&mut self, name: Name) {
        self.between_texts();
        if self.foreign_end_tag(name) {
            return;
        }
        self.html_end_tag(name);
    }

    pub(super) fn html_end_tag(&mut self, name: Name) {
        while !self.end_tag_by_mode(name) {}
    }

    fn end_tag_by_mode(&mut self, name: Name) -> bool {
        let restarts = matches!(name, tag::HEAD | tag::BODY | tag::HTML | tag::BR);
        match self.mode {
            Mode::Initial => self.leave_early_mode(),
            Mode::BeforeHtml | Mode::BeforeHead if restarts => self.leave_early_mode(),
            Mode::BeforeHead if name == tag::TEMPLATE => self.end_template(),
            Mode::BeforeHtml | Mode::BeforeHead => true,
            Mode::InHead => match name {
                tag::TEMPLATE => self.end_template(),
                tag::HEAD => !self.leave_early_mode(),
                _ => !restarts || self.leave_early_mode(),
            },
            Mode::AfterHead => match name {
                tag::TEMPLATE => self.end_template(),
                tag::HEAD => true,
                _ => !restarts || self.leave_early_mode(),
            },
            Mode::InBody => self.end_in_body(name),
            Mode::Text => {
                self.pop();
                self.mode = self.original_mode;
                true
            }
            Mode::InTable => self.end_in_table(name),
            Mode::InCaption => self.end_in_caption(name),
            Mode::InColumnGroup => self.end_in_column_group(name),
            Mode::InTableBody => self.end_in_table_body(name),
            Mode::InRow => self.end_in_row(name),
            Mode::InCell => self.end_in_cell(name),
            Mode::InTemplate => name != tag::TEMPLATE || self.end_template(),
            Mode::AfterBody if name == tag::HTML => {
                self.mode = Mode::AfterAfterBody;
                true
            }
            Mode::AfterBody | Mode::AfterAfterBody => self.again_in(Mode::InBody),
            Mode::InFrameset => self.end_in_frameset(name),
            Mode::AfterFrameset => {
                if name == tag::HTML {
                    self.mode = Mode::AfterAfterFrameset;
                }
                true
            }
            Mode::AfterAfterFrameset => true,
        }
    }

    /// The end of isolated contents, and of their element.
    pub(super) fn end_contents(&mut self, contents: Isolated) {
        self.between_texts();
        self.end_isolated(contents);
        self.reset_mode();
    }

    pub(super) fn comment(&mut self, span: Span) {
        self.between_texts();
        match self.mode {
            Mode::Initial | Mode::BeforeHtml | Mode::AfterAfterBody | Mode::AfterAfterFrameset => {
                self.insert_comment_in(span, ROOT);
            }
            Mode::AfterBody => self.insert_comment_in(span, self.open[0].id),
            _ => self.insert_comment(span),
        }
    }

    pub(super) fn doctype(&mut self, span: Span, closed: bool) {
        self.between_texts();
        if self.mode == Mode::Initial {
            self.insert_doctype(span);
            self.quirks = doctype::is_quirky(self.slice(span), closed);
            self.mode = Mode::BeforeHtml;
        }
    }

    pub(super) fn finish(mut self) -> Tree<'s> {
        self.between_texts();
        if self.mode == Mode::Text {
            self.pop();
            self.mode = self.original_mode;
        }
        while self.is_open(tag::TEMPLATE) {
            self.end_template();
        }
        self.leave_early_modes();
        self.tree
    }

    /// Called before every token other than text.
    fn between_texts(&mut self) {
        self.skips_line_feed = false;
        if !self.table_text.is_empty() {
            self.flush_table_text();
        }
    }

    fn again_in(&mut self, mode: Mode) -> bool {
        self.mode = mode;
        false
    }

    // -- text

    pub(super) fn text(&mut self, span: Span, has_nul: bool) {
        if !has_nul || !self.slice(span).contains('\0') {
            return self.plain_text(span);
        }
        let lengths: Vec<usize> = self.slice(span).split('\0').map(str::len).collect();
        let mut start = span.start;
        for (number, len) in lengths.into_iter().enumerate() {
            if number > 0 {
                self.nul();
            }
            self.plain_text(Span { start, len: len as u32 });
            start += len as u32 + 1;
        }
    }

    /// Text of an element without markup.
    pub(super) fn raw_text(&mut self, span: Span, has_nul: bool) {
        let mut span = span;
        if std::mem::take(&mut self.skips_line_feed) && self.slice(span).starts_with('\n') {
            span = Span { start: span.start + 1, len: span.len - 1 };
        }
        if has_nul && self.slice(span).contains('\0') {
            let replaced = self.slice(span).replace('\0', "\u{fffd}");
            let origin = self.tree.origin(span);
            span = self.own(&replaced, origin);
        }
        self.insert_text(span);
    }

    fn nul(&mut self) {
        if self.is_foreign_text() {
            let replacement = self.own("\u{fffd}", 0);
            self.insert_text(replacement);
            return;
        }
        self.leave_early_modes();
    }

    fn plain_text(&mut self, span: Span) {
        let mut span = span;
        if std::mem::take(&mut self.skips_line_feed) && self.slice(span).starts_with('\n') {
            span = Span { start: span.start + 1, len: span.len - 1 };
        }
        if self.is_foreign_text() {
            self.insert_text(span);
            self.frameset_ok &= is_blank(self.slice(span));
            return;
        }
        while span.len > 0 {
            if matches!(self.mode, Mode::InBody | Mode::InCaption | Mode::InCell | Mode::InTemplate) {
                return self.text_in_body(span);
            }
            let blank_len = self.slice(span).bytes().take_while(|&b| is_blank_byte(b)).count() as u32;
            let blank = Span { start: span.start, len: blank_len };
            let rest = Span { start: span.start + blank_len, len: span.len - blank_len };
            match self.mode {
                Mode::Initial | Mode::BeforeHtml | Mode::BeforeHead => {}
                Mode::InHead | Mode::AfterHead | Mode::InColumnGroup => self.insert_text(blank),
                Mode::AfterBody | Mode::AfterAfterBody | Mode::AfterAfterFrameset if blank.len > 0 => {
                    self.text_in_body(blank);
                }
                Mode::AfterBody | Mode::AfterAfterBody | Mode::AfterAfterFrameset => {}
                Mode::InTable | Mode::InTableBody | Mode::InRow => return self.text_in_table(span),
                Mode::InFrameset | Mode::AfterFrameset => return self.blanks_of(span),
                Mode::Text => return self.insert_text(span),
                Mode::InBody | Mode::InCaption | Mode::InCell | Mode::InTemplate => {}
            }
            span = rest;
            if span.len == 0 {
                return;
            }
            match self.mode {
                Mode::AfterBody | Mode::AfterAfterBody => self.mode = Mode::InBody,
                Mode::AfterAfterFrameset => return self.blanks_of(span),
                Mode::InColumnGroup if self.current_name() != tag::COLGROUP => return,
                Mode::InColumnGroup => {
                    self.pop();
                    self.mode = Mode::InTable;
                }
                _ => {
                    self.leave_early_mode();
                }
            }
        }
    }

    fn text_in_body(&mut self, span: Span) {
        self.reconstruct_formatting();
        self.insert_text(span);
        if self.frameset_ok {
            self.frameset_ok = is_blank(self.slice(span));
        }
    }

    fn text_in_table(&mut self, span: Span) {
        if TABLE_TEXT.has(self.current_name()) {
            self.table_text.push(span);
        } else {
            self.fostering(|builder| builder.text_in_body(span));
        }
    }

    /// Text in a table stays there if it is white space; otherwise it is all put before the table.
    fn flush_table_text(&mut self) {
        let texts = std::mem::take(&mut self.table_text);
        let blank = texts.iter().all(|&span| is_blank(self.slice(span)));
        for &span in &texts {
            if blank {
                self.insert_text(span);
            } else {
                self.fostering(|builder| builder.text_in_body(span));
            }
        }
    }

    fn fostering<T>(&mut self, insert: impl FnOnce(&mut Self) -> T) -> T {
        self.foster_parenting = true;
        let result = insert(self);
        self.foster_parenting = false;
        result
    }

    fn blanks_of(&mut self, span: Span) {
        let blanks: String = self.slice(span).chars().filter(|&c| is_blank_byte(c as u8) && c.is_ascii()).collect();
        let origin = self.tree.origin(span);
        let span = self.own(&blanks, origin);
        self.insert_text(span);
    }

    // -- before the body

    fn leave_early_modes(&mut self) {
        const EARLY: [Mode; 5] = [Mode::Initial, Mode::BeforeHtml, Mode::BeforeHead, Mode::InHead, Mode::AfterHead];
        while EARLY.contains(&self.mode) {
            self.leave_early_mode();
        }
    }

    /// "Anything else" of the modes before the body: inserts the omitted tag.
    fn leave_early_mode(&mut self) -> bool {
        match self.mode {
            Mode::Initial => {
                self.quirks = true;
                self.mode = Mode::BeforeHtml;
            }
            Mode::BeforeHtml => {
                self.begin_html(Tag::bare(tag::HTML));
            }
            Mode::BeforeHead => {
                self.begin_head(Tag::bare(tag::HEAD));
            }
            Mode::InHead => {
                self.pop();
                self.mode = Mode::AfterHead;
            }
            Mode::AfterHead => {
                self.insert(Tag::bare(tag::BODY));
                self.mode = Mode::InBody;
            }
            _ => unreachable!("only modes before the body are left like this"),
        }
        false
    }

    fn begin_html(&mut self, tag: Tag) -> bool {
        self.insert(tag);
        self.mode = Mode::BeforeHead;
        true
    }

    fn begin_head(&mut self, tag: Tag) -> bool {
        self.head = Some(self.insert(tag));
        self.mode = Mode::InHead;
        true
    }

    fn start_in_head(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::HTML => return self.start_in_body(tag),
            tag::BASE | tag::BASEFONT | tag::BGSOUND | tag::LINK | tag::META => {
                self.insert_void(tag);
            }
            tag::TITLE => self.insert_with_text(tag, TextState::Rcdata),
            tag::NOSCRIPT | tag::NOFRAMES | tag::STYLE => self.insert_with_text(tag, TextState::RawText),
            tag::SCRIPT => self.insert_with_text(tag, TextState::ScriptData),
            tag::TEMPLATE => {
                self.insert(tag);
                self.formatting.push(Formatting::Marker);
                self.frameset_ok = false;
                self.mode = Mode::InTemplate;
                self.template_modes.push(Mode::InTemplate);
            }
            tag::HEAD => {}
            _ => return self.leave_early_mode(),
        }
        true
    }

    fn insert_with_text(&mut self, tag: Tag, state: TextState) {
        self.insert(tag);
        self.text_state = Some(state);
        self.original_mode = self.mode;
        self.mode = Mode::Text;
    }

    fn start_after_head(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::HTML => return self.start_in_body(tag),
            tag::BODY => {
                self.insert(tag);
                self.frameset_ok = false;
                self.mode = Mode::InBody;
            }
            tag::FRAMESET => {
                self.insert(tag);
                self.mode = Mode::InFrameset;
            }
            tag::HEAD => {}
            name if IN_HEAD.has(name) => {
                let head = self.head.expect("the head came before");
                self.push(Open { id: head, name: tag::HEAD });
                self.start_in_head(tag);
                if let Some(place) = self.position(head) {
                    self.remove_at(place);
                }
            }
            _ => return self.leave_early_mode(),
        }
        true
    }

    fn end_template(&mut self) -> bool {
        if self.is_open(tag::TEMPLATE) {
            self.generate_implied_end_tags_thoroughly();
            self.pop_until(tag::TEMPLATE);
            self.clear_formatting_to_marker();
            self.template_modes.pop();
            self.reset_mode();
        }
        true
    }

    /// "Reset the insertion mode appropriately".
    fn reset_mode(&mut self) {
        for (place, open) in self.open.iter().enumerate().rev() {
            self.mode = match open.name {
                tag::TD | tag::TH if place > 0 => Mode::InCell,
                tag::TR => Mode::InRow,
                tag::TBODY | tag::THEAD | tag::TFOOT => Mode::InTableBody,
                tag::CAPTION => Mode::InCaption,
                tag::COLGROUP => Mode::InColumnGroup,
                tag::TABLE => Mode::InTable,
                tag::TEMPLATE => *self.template_modes.last().expect("an open template has a mode"),
                _ if self.isolated_at == Some(place) => Mode::InBody,
                tag::HEAD => Mode::InHead,
                tag::BODY => Mode::InBody,
                tag::FRAMESET => Mode::InFrameset,
                tag::HTML if self.head.is_none() => Mode::BeforeHead,
                tag::HTML => Mode::AfterHead,
                _ => continue,
            };
            return;
        }
    }

    // -- in body

    fn start_in_body(&mut self, tag: Tag) -> bool {
        let name = tag.name;
        if BLOCKS.has(name) || name == tag::P {
            self.close_p_in_button_scope();
            self.insert(tag);
        } else if FORMATTING.has(name) {
            self.start_formatting(tag);
        } else if HEADINGS.has(name) {
            self.close_p_in_button_scope();
            if HEADINGS.has(self.current_name()) {
                self.pop();
            }
            self.insert(tag);
        } else if IN_HEAD.has(name) {
            return self.start_in_head(tag);
        } else if !TABLE_PARTS.has(name) {
            self.start_other_in_body(tag);
        }
        true
    }

    fn start_other_in_body(&mut self, tag: Tag) {
        match tag.name {
            tag::LI => self.start_item(tag, tags![LI]),
            tag::DD | tag::DT => self.start_item(tag, tags![DD DT]),
            tag::AREA | tag::BR | tag::EMBED | tag::IMG | tag::KEYGEN | tag::WBR => {
                self.reconstruct_formatting();
                self.insert_void(tag);
                self.frameset_ok = false;
            }
            tag::IMAGE => self.start_other_in_body(Tag { name: tag::IMG, ..tag }),
            tag::HTML => {
                if !self.is_open(tag::TEMPLATE) {
                    self.add_attributes(self.open[0].id, tag);
                }
            }
            tag::BODY => {
                if self.has_body() && !self.is_open(tag::TEMPLATE) {
                    self.frameset_ok = false;
                    self.add_attributes(self.open[1].id, tag);
                }
            }
            tag::FRAMESET => self.start_frameset_in_body(tag),
            tag::PRE | tag::LISTING => {
                self.close_p_in_button_scope();
                self.insert(tag);
                self.skips_line_feed = true;
                self.frameset_ok = false;
            }
            tag::FORM => self.start_form(tag),
            tag::PLAINTEXT => {
                self.close_p_in_button_scope();
                self.insert(tag);
                self.text_state = Some(TextState::PlainText);
            }
            tag::BUTTON => {
                if self.in_scope(tag::BUTTON, &Scope::DEFAULT) {
                    self.generate_implied_end_tags(Name::DOCUMENT);
                    self.pop_until(tag::BUTTON);
                }
                self.reconstruct_formatting();
                self.insert(tag);
                self.frameset_ok = false;
            }
            tag::APPLET | tag::MARQUEE | tag::OBJECT => {
                self.reconstruct_formatting();
                self.insert(tag);
                self.formatting.push(Formatting::Marker);
                self.frameset_ok = false;
            }
            tag::TABLE => {
                if !self.quirks {
                    self.close_p_in_button_scope();
                }
                self.insert(tag);
                self.frameset_ok = false;
                self.mode = Mode::InTable;
            }
            tag::PARAM | tag::SOURCE | tag::TRACK => {
                self.insert_void(tag);
            }
            tag::INPUT => self.start_input(tag),
            tag::HR => {
                self.close_p_in_button_scope();
                if self.in_scope(tag::SELECT, &Scope::DEFAULT) {
                    self.generate_implied_end_tags(Name::DOCUMENT);
                }
                self.insert_void(tag);
                self.frameset_ok = false;
            }
            tag::TEXTAREA => {
                self.insert_with_text(tag, TextState::Rcdata);
                self.skips_line_feed = true;
                self.frameset_ok = false;
            }
            tag::XMP => {
                self.close_p_in_button_scope();
                self.reconstruct_formatting();
                self.frameset_ok = false;
                self.insert_with_text(tag, TextState::RawText);
            }
            tag::IFRAME => {
                self.frameset_ok = false;
                self.insert_with_text(tag, TextState::RawText);
            }
            tag::NOEMBED => self.insert_with_text(tag, TextState::RawText),
            tag::NOSCRIPT if self.options.scripting => self.insert_with_text(tag, TextState::RawText),
            tag::SELECT => self.start_select(tag),
            tag::OPTION => self.start_option(tag, tag::OPTGROUP),
            tag::OPTGROUP => self.start_option(tag, Name::DOCUMENT),
            tag::RB | tag::RTC => self.start_ruby(tag, Name::DOCUMENT),
            tag::RP | tag::RT => self.start_ruby(tag, tag::RTC),
            tag::MATH | tag::SVG => {
                self.reconstruct_formatting();
                self.insert_foreign(tag);
            }
            tag::FRAME | tag::HEAD => {}
            _ => {
                self.reconstruct_formatting();
                self.insert(tag);
            }
        }
    }

    fn has_body(&self) -> bool {
        self.open.get(1).is_some_and(|open| open.name == tag::BODY)
    }

    fn start_frameset_in_body(&mut self, tag: Tag) {
        if !self.has_body() || !self.frameset_ok {
            return;
        }
        self.unlink(self.open[1].id);
        while self.open.len() > 1 {
            self.pop();
        }
        self.insert(tag);
        self.mode = Mode::InFrameset;
    }

    fn start_form(&mut self, tag: Tag) {
        let in_template = self.is_open(tag::TEMPLATE);
        if self.form.is_some() && !in_template {
            return;
        }
        self.close_p_in_button_scope();
        let id = self.insert(tag);
        if !in_template {
            self.form = Some(id);
        }
    }

    /// An item closes the item before it, unless a special element is between them.
    fn start_item(&mut self, tag: Tag, alike: NameSet) {
        self.frameset_ok = false;
        for at in (0..self.open.len()).rev() {
            let name = self.open[at].name;
            if alike.has(name) {
                self.generate_implied_end_tags(name);
                self.pop_until(name);
                break;
            }
            if is_special(name) && !matches!(name, tag::ADDRESS | tag::DIV | tag::P) {
                break;
            }
        }
        self.close_p_in_button_scope();
        self.insert(tag);
    }

    fn start_formatting(&mut self, tag: Tag) {
        if tag.name == tag::A
            && let Some((_, open)) = self.formatting_named(tag::A)
        {
            self.adopt(tag::A);
            self.remove_formatting(open.id);
            if let Some(place) = self.position(open.id) {
                self.remove_at(place);
            }
        }
        self.reconstruct_formatting();
        if tag.name == tag::NOBR && self.in_scope(tag::NOBR, &Scope::DEFAULT) {
            if !self.adopt(tag::NOBR) {
                self.end_any_other(tag::NOBR);
            }
            self.reconstruct_formatting();
        }
        let id = self.insert(tag);
        self.push_formatting(id, tag.name);
    }

    fn start_input(&mut self, tag: Tag) {
        if self.in_scope(tag::SELECT, &Scope::DEFAULT) {
            self.pop_until(tag::SELECT);
        }
        self.reconstruct_formatting();
        let id = self.insert_void(tag);
        if !self.is_hidden_input(id) {
            self.frameset_ok = false;
        }
    }

    fn is_hidden_input(&self, id: NodeId) -> bool {
        self.tree.attribute(id, attribute::TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case("hidden"))
    }

    fn start_select(&mut self, tag: Tag) {
        if self.in_scope(tag::SELECT, &Scope::DEFAULT) {
            self.pop_until(tag::SELECT);
            return;
        }
        self.reconstruct_formatting();
        self.insert(tag);
        self.frameset_ok = false;
    }

    fn start_option(&mut self, tag: Tag, kept_open: Name) {
        if self.in_scope(tag::SELECT, &Scope::DEFAULT) {
            self.generate_implied_end_tags(kept_open);
        } else if self.current_name() == tag::OPTION {
            self.pop();
        }
        self.reconstruct_formatting();
        self.insert(tag);
    }

    fn start_ruby(&mut self, tag: Tag, except: Name) {
        if self.in_scope(tag::RUBY, &Scope::DEFAULT) {
            self.generate_implied_end_tags(except);
        }
        self.insert(tag);
    }

    fn end_in_body(&mut self, name: Name) -> bool {
        const CLOSED_IN_SCOPE: NameSet = tags![BUTTON LISTING PRE SELECT];
        if BLOCKS.has(name) || CLOSED_IN_SCOPE.has(name) {
            self.end_block(name, Name::DOCUMENT, &Scope::DEFAULT);
        } else if FORMATTING.has(name) {
            if !self.adopt(name) {
                self.end_any_other(name);
            }
        } else if HEADINGS.has(name) {
            if self.any_in_scope(|open| HEADINGS.has(open.name), &Scope::DEFAULT) {
                self.generate_implied_end_tags(Name::DOCUMENT);
                self.pop_until_any(HEADINGS);
            }
        } else {
            return self.end_other_in_body(name);
        }
        true
    }

    fn end_block(&mut self, name: Name, except: Name, scope: &Scope) -> bool {
        let is_open = self.in_scope(name, scope);
        if is_open {
            self.generate_implied_end_tags(except);
            self.pop_until(name);
        }
        is_open
    }

    fn end_other_in_body(&mut self, name: Name) -> bool {
        match name {
            tag::P => {
                if !self.in_scope(tag::P, &Scope::BUTTON) {
                    self.insert(Tag::bare(tag::P));
                }
                self.close_p();
            }
            tag::LI => {
                self.end_block(tag::LI, tag::LI, &Scope::LIST_ITEM);
            }
            tag::DD | tag::DT => {
                self.end_block(name, name, &Scope::DEFAULT);
            }
            tag::BODY | tag::HTML => {
                if self.in_scope(tag::BODY, &Scope::DEFAULT) {
                    self.mode = Mode::AfterBody;
                    return name == tag::BODY;
                }
            }
            tag::TEMPLATE => return self.end_template(),
            tag::FORM => self.end_form(),
            tag::APPLET | tag::MARQUEE | tag::OBJECT => {
                if self.end_block(name, Name::DOCUMENT, &Scope::DEFAULT) {
                    self.clear_formatting_to_marker();
                }
            }
            tag::BR => {
                self.reconstruct_formatting();
                self.insert_void(Tag::bare(tag::BR));
                self.frameset_ok = false;
            }
            _ => self.end_any_other(name),
        }
        true
    }

    fn end_form(&mut self) {
        if self.is_open(tag::TEMPLATE) {
            self.end_block(tag::FORM, Name::DOCUMENT, &Scope::DEFAULT);
            return;
        }
        let Some(form) = self.form.take() else { return };
        if self.any_in_scope(|open| open.id == form, &Scope::DEFAULT) {
            self.generate_implied_end_tags(Name::DOCUMENT);
            if let Some(place) = self.position(form) {
                self.remove_at(place);
            }
        }
    }

    fn end_any_other(&mut self, name: Name) {
        if name.known().is_some() && !self.is_open(name) {
            return;
        }
        for place in (0..self.open.len()).rev() {
            let open = self.open[place];
            if open.name == name {
                self.generate_implied_end_tags(name);
                while self.open.len() > place {
                    self.pop();
                }
                return;
            }
            if is_special(open.name) {
                return;
            }
        }
    }

    // -- tables

    fn start_in_table(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::CAPTION => {
                self.clear_back_to(TABLE_CONTEXT);
                self.formatting.push(Formatting::Marker);
                self.insert(tag);
                self.mode = Mode::InCaption;
            }
            tag::COLGROUP => {
                self.clear_back_to(TABLE_CONTEXT);
                self.insert(tag);
                self.mode = Mode::InColumnGroup;
            }
            tag::COL => {
                self.clear_back_to(TABLE_CONTEXT);
                self.insert(Tag::bare(tag::COLGROUP));
                return self.again_in(Mode::InColumnGroup);
            }
            tag::TBODY | tag::TFOOT | tag::THEAD => {
                self.clear_back_to(TABLE_CONTEXT);
                self.insert(tag);
                self.mode = Mode::InTableBody;
            }
            tag::TD | tag::TH | tag::TR => {
                self.clear_back_to(TABLE_CONTEXT);
                self.insert(Tag::bare(tag::TBODY));
                return self.again_in(Mode::InTableBody);
            }
            tag::TABLE => {
                if self.in_scope(tag::TABLE, &Scope::TABLE) {
                    self.pop_until(tag::TABLE);
                    self.reset_mode();
                    return false;
                }
            }
            tag::STYLE | tag::SCRIPT | tag::TEMPLATE => return self.start_in_head(tag),
            tag::INPUT if self.is_hidden_tag(tag) => {
                self.insert_void(tag);
            }
            tag::FORM => {
                if !self.is_open(tag::TEMPLATE) && self.form.is_none() {
                    self.form = Some(self.insert_void(tag));
                }
            }
            _ => return self.fostering(|builder| builder.start_in_body(tag)),
        }
        true
    }

    fn is_hidden_tag(&self, tag: Tag) -> bool {
        let range = tag.attributes.start as usize..(tag.attributes.start + tag.attributes.len) as usize;
        let kind = self.tree.attributes[range].iter().find(|a| a.known == attribute::TYPE);
        kind.is_some_and(|a| self.slice(a.value).eq_ignore_ascii_case("hidden"))
    }

    fn end_in_table(&mut self, name: Name) -> bool {
        match name {
            tag::TABLE => {
                if self.in_scope(tag::TABLE, &Scope::TABLE) {
                    self.pop_until(tag::TABLE);
                    self.reset_mode();
                }
                true
            }
            tag::BODY | tag::HTML => true,
            name if TABLE_PARTS.has(name) => true,
            tag::TEMPLATE => self.end_template(),
            _ => self.fostering(|builder| builder.end_in_body(name)),
        }
    }

    fn start_in_caption(&mut self, tag: Tag) -> bool {
        if TABLE_PARTS.has(tag.name) { !self.close_caption() } else { self.start_in_body(tag) }
    }

    fn end_in_caption(&mut self, name: Name) -> bool {
        match name {
            tag::CAPTION => {
                self.close_caption();
                true
            }
            tag::TABLE => !self.close_caption(),
            tag::BODY | tag::HTML => true,
            name if TABLE_PARTS.has(name) => true,
            _ => self.end_in_body(name),
        }
    }

    fn close_caption(&mut self) -> bool {
        let is_open = self.end_block(tag::CAPTION, Name::DOCUMENT, &Scope::TABLE);
        if is_open {
            self.clear_formatting_to_marker();
            self.mode = Mode::InTable;
        }
        is_open
    }

    fn start_in_column_group(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::HTML => return self.start_in_body(tag),
            tag::COL => {
                self.insert_void(tag);
            }
            tag::TEMPLATE => return self.start_in_head(tag),
            _ => return !self.close_column_group(),
        }
        true
    }

    fn end_in_column_group(&mut self, name: Name) -> bool {
        match name {
            tag::COLGROUP => {
                self.close_column_group();
                true
            }
            tag::COL => true,
            tag::TEMPLATE => self.end_template(),
            _ => !self.close_column_group(),
        }
    }

    fn close_column_group(&mut self) -> bool {
        let is_open = self.current_name() == tag::COLGROUP;
        if is_open {
            self.pop();
            self.mode = Mode::InTable;
        }
        is_open
    }

    fn start_in_table_body(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::TR => {
                self.clear_back_to(TABLE_BODY_CONTEXT);
                self.insert(tag);
                self.mode = Mode::InRow;
                true
            }
            tag::TD | tag::TH => {
                self.clear_back_to(TABLE_BODY_CONTEXT);
                self.insert(Tag::bare(tag::TR));
                self.again_in(Mode::InRow)
            }
            name if TABLE_PARTS.has(name) => !self.close_table_body(),
            _ => self.start_in_table(tag),
        }
    }

    fn end_in_table_body(&mut self, name: Name) -> bool {
        match name {
            tag::TBODY | tag::TFOOT | tag::THEAD => {
                if self.in_scope(name, &Scope::TABLE) {
                    self.close_table_body();
                }
                true
            }
            tag::TABLE => !self.close_table_body(),
            tag::BODY | tag::HTML => true,
            name if TABLE_PARTS.has(name) => true,
            _ => self.end_in_table(name),
        }
    }

    fn close_table_body(&mut self) -> bool {
        let is_open = self.any_in_scope(|open| TABLE_BODIES.has(open.name), &Scope::TABLE);
        if is_open {
            self.clear_back_to(TABLE_BODY_CONTEXT);
            self.pop();
            self.mode = Mode::InTable;
        }
        is_open
    }

    fn start_in_row(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::TD | tag::TH => {
                self.clear_back_to(ROW_CONTEXT);
                self.insert(tag);
                self.mode = Mode::InCell;
                self.formatting.push(Formatting::Marker);
                true
            }
            name if TABLE_PARTS.has(name) => !self.close_row(),
            _ => self.start_in_table(tag),
        }
    }

    fn end_in_row(&mut self, name: Name) -> bool {
        match name {
            tag::TR => {
                self.close_row();
                true
            }
            tag::TABLE => !self.close_row(),
            tag::TBODY | tag::TFOOT | tag::THEAD => !(self.in_scope(name, &Scope::TABLE) && self.close_row()),
            tag::BODY | tag::HTML => true,
            name if TABLE_PARTS.has(name) => true,
            _ => self.end_in_table(name),
        }
    }

    fn close_row(&mut self) -> bool {
        let is_open = self.in_scope(tag::TR, &Scope::TABLE);
        if is_open {
            self.clear_back_to(ROW_CONTEXT);
            self.pop();
            self.mode = Mode::InTableBody;
        }
        is_open
    }

    fn start_in_cell(&mut self, tag: Tag) -> bool {
        if !TABLE_PARTS.has(tag.name) {
            return self.start_in_body(tag);
        }
        !self.close_cell()
    }

    fn end_in_cell(&mut self, name: Name) -> bool {
        match name {
            tag::TD | tag::TH => {
                if self.end_block(name, Name::DOCUMENT, &Scope::TABLE) {
                    self.clear_formatting_to_marker();
                    self.mode = Mode::InRow;
                }
                true
            }
            tag::BODY | tag::HTML | tag::CAPTION | tag::COL | tag::COLGROUP => true,
            tag::TABLE | tag::TBODY | tag::TFOOT | tag::THEAD | tag::TR => {
                !(self.in_scope(name, &Scope::TABLE) && self.close_cell())
            }
            _ => self.end_in_body(name),
        }
    }

    fn close_cell(&mut self) -> bool {
        let is_open = self.any_in_scope(|open| CELLS.has(open.name), &Scope::TABLE);
        if is_open {
            self.generate_implied_end_tags(Name::DOCUMENT);
            self.pop_until_any(CELLS);
            self.clear_formatting_to_marker();
            self.mode = Mode::InRow;
        }
        is_open
    }

    // -- templates and frames

    fn start_in_template(&mut self, tag: Tag) -> bool {
        if IN_HEAD.has(tag.name) {
            return self.start_in_head(tag);
        }
        let mode = match tag.name {
            tag::CAPTION | tag::COLGROUP | tag::TBODY | tag::TFOOT | tag::THEAD => Mode::InTable,
            tag::COL => Mode::InColumnGroup,
            tag::TR => Mode::InTableBody,
            tag::TD | tag::TH => Mode::InRow,
            _ => Mode::InBody,
        };
        self.template_modes.pop();
        self.template_modes.push(mode);
        self.again_in(mode)
    }

    fn start_in_frameset(&mut self, tag: Tag) -> bool {
        match tag.name {
            tag::HTML => return self.start_in_body(tag),
            tag::NOFRAMES => return self.start_in_head(tag),
            tag::FRAMESET if self.mode == Mode::InFrameset => {
                self.insert(tag);
            }
            tag::FRAME if self.mode == Mode::InFrameset => {
                self.insert_void(tag);
            }
            _ => {}
        }
        true
    }

    fn end_in_frameset(&mut self, name: Name) -> bool {
        if name == tag::FRAMESET && self.current_name() != tag::HTML {
            self.pop();
            if self.current_name() != tag::FRAMESET {
                self.mode = Mode::AfterFrameset;
            }
        }
        true
    }
}
