//! The `catchment` program.

fn main() {}
