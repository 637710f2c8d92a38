//! The API of Alertmanager: the real one beside ours, with sense and with garbage, and `amtool` on ours.

mod amtool;
mod comparison;
mod garbage;
mod world;
