//! Cuts a byte stream into RTSP messages and interleaved frames, without I/O.
