//! Guests beside neighbours, and calls that are given up.
