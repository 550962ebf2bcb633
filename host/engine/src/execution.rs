//! The state of one execution, and the five things that can be done with it: start, replay, step, apply, commands.
