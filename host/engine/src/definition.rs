//! What authors write.
