//! The RTSP client and verifier that the tools and the end-to-end tests share.
//!
//! Nothing here uses the server's own parsers or packet writers: a client that shared them would
//! share their misreadings. Presentation descriptions and RTCP are read by foreign crates.

pub mod client;
pub mod clock;
pub mod conform;
pub mod headers;
pub mod histogram;
pub mod inspect;
pub mod lenient;
pub mod load;
pub mod message;
pub mod packet;
pub mod presentation;
pub mod receive;
pub mod setups;
pub mod socket;
pub mod verify;
