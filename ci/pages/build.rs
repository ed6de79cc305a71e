//! Embeds the reference set, for the blocks with `embedded!`.

fn main() {
    migrate_embed::folder("../../migrations");
}
