//! The API of Loki: pushes and questions, the real one beside ours, and `logcli` on ours.

mod comparison;
mod logcli;
mod pushing;
mod tail;
mod world;
