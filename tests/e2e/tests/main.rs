//! End to end: a real host process, real HTTP, real plugins, `kill -9`.

mod agents;
mod architecture;
mod audit;
mod bad_input;
mod budgets;
mod cli;
mod clock;
mod crash;
mod durable;
mod events;
mod flood;
mod grants;
mod load;
mod locked;
mod nesting;
mod people;
mod research;
mod sample;
mod saves;
mod schedules;
mod secrets;
mod stop;
mod webhooks;
mod workflows;
