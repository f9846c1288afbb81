//! RTSP without I/O: request, response, typed headers.
