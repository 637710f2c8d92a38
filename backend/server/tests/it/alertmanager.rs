//! The API of Alertmanager: the real one beside ours, and `amtool` on ours.

mod amtool;
mod comparison;
mod world;
