//! TLS for clients that insist on it: an authority made at first start, a certificate signed by it, and a server with both.
//!
//! The authority's certificate is what clients trust (`ca.pem`). Only loopback names are certified.

mod authority;
mod server;

pub use authority::{Authority, AuthorityError, CA_FILE};
pub use server::serve;
