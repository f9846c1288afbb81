//! Payload formats: access unit → packets, one file a payload format.
