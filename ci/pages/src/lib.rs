//! The Rust blocks of the pages are compiled as documentation tests. A new block needs no entry.

#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../CONTRIBUTING.md")]
    mod contributing {}
    #[doc = include_str!("../../../docs/GUIDE.md")]
    mod guide {}
}
