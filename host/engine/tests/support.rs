//! What the engine's tests share: seeded chance, random workflows, and a world that runs them.

pub(crate) mod books;
pub(crate) mod dice;
pub(crate) mod generator;
pub(crate) mod plan;
pub(crate) mod setup;
pub(crate) mod tracker;
pub(crate) mod world;
