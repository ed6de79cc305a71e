//! A grammar of statements. A line without indentation begins a rule: `name:`, or for statements
//! `name weight:`, or `name always:` for what nearly every schema has. The lines below it are its alternatives.
//! `<name>` refers to a rule, `{a|b}` is one of several texts, and `#` begins a comment.

use std::collections::HashMap;
use std::sync::OnceLock;

const TEXTS: [&str; 4] =
    [include_str!("names.txt"), include_str!("tables.txt"), include_str!("code.txt"), include_str!("about.txt")];

pub(super) struct Grammar {
    rules: HashMap<&'static str, Vec<&'static str>>,
    /// The rules that are statements, in order, with how often each is drawn unless that is always.
    sections: Vec<(&'static str, Option<usize>)>,
}

/// Expands the alternatives that were picked.
struct GrammarExpansion<'a> {
    picks: &'a [u8],
    used: usize,
}

impl GrammarExpansion<'_> {
    fn pick<'b>(&mut self, all: &[&'b str]) -> &'b str {
        let pick = self.picks.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        all[usize::from(pick) % all.len()]
    }
}

impl Grammar {
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Grammar> = OnceLock::new();
        SHARED.get_or_init(|| {
            let mut grammar = Self { rules: HashMap::new(), sections: Vec::new() };
            TEXTS.iter().for_each(|text| grammar.read(text));
            grammar
        })
    }

    fn read(&mut self, text: &'static str) {
        let mut rule = "";
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            if let Some(alternative) = line.strip_prefix("  ") {
                self.rules.entry(rule).or_default().push(alternative);
                continue;
            }
            let head = line.strip_suffix(':').unwrap_or_else(|| panic!("{line}"));
            rule = match head.split_once(' ') {
                Some((name, weight)) => {
                    self.sections.push((name, (weight != "always").then(|| weight.parse().unwrap())));
                    name
                }
                None => head,
            };
            assert!(!self.rules.contains_key(rule), "{rule} stands twice");
        }
    }

    /// The weight of all sections together.
    pub(super) fn weight(&self) -> usize {
        self.sections.iter().filter_map(|(_, weight)| *weight).sum()
    }

    /// The section at a position on the scale of the weights.
    pub(super) fn section(&self, mut at: usize) -> usize {
        let mut is_here = |weight: usize| at.checked_sub(weight).map(|rest| at = rest).is_none();
        self.sections.iter().position(|(_, weight)| weight.is_some_and(&mut is_here)).unwrap()
    }

    /// The sections that are always drawn.
    pub(super) fn always(&self) -> impl Iterator<Item = usize> {
        self.sections.iter().enumerate().filter(|(_, (_, weight))| weight.is_none()).map(|(at, _)| at)
    }

    pub(super) fn statement(&self, section: usize, picks: &[u8]) -> String {
        self.walk(section, picks).0
    }

    /// How many picks a statement uses.
    pub(super) fn used(&self, section: usize, picks: &[u8]) -> usize {
        self.walk(section, picks).1
    }

    fn walk(&self, section: usize, picks: &[u8]) -> (String, usize) {
        let (mut walk, mut text) = (GrammarExpansion { picks, used: 0 }, String::new());
        self.rule(self.sections[section].0, &mut walk, &mut text);
        (text, walk.used)
    }

    fn rule(&self, name: &str, walk: &mut GrammarExpansion<'_>, text: &mut String) {
        let alternatives = self.rules.get(name).unwrap_or_else(|| panic!("there is no rule {name}"));
        let alternative = if alternatives.len() == 1 { alternatives[0] } else { walk.pick(alternatives) };
        self.expand(alternative, walk, text);
    }

    fn expand(&self, mut rest: &str, walk: &mut GrammarExpansion<'_>, text: &mut String) {
        while let Some(at) = rest.find(['<', '{']) {
            text.push_str(&rest[..at]);
            let (open, after) = rest[at..].split_at(1);
            if open == "{" {
                let end = after.find('}').unwrap();
                let options: Vec<&str> = after[..end].split('|').collect();
                self.expand(walk.pick(&options), walk, text);
                rest = &after[end + 1..];
                continue;
            }
            match after.split_once('>').filter(|(name, _)| self.rules.contains_key(name)) {
                Some((name, after)) => {
                    self.rule(name, walk, text);
                    rest = after;
                }
                None => {
                    text.push('<');
                    rest = after;
                }
            }
        }
        text.push_str(rest);
    }
}
