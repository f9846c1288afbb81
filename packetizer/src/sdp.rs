//! Presentation descriptions (SDP, RFC 8866) as DESCRIBE answers them (RFC 2326 App. C).
