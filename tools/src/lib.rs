//! The RTSP client and verifier that the tools share.
