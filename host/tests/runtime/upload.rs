//! What is taken as a plugin, and what is not.
