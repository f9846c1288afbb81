//! Connections, sessions, catalog, admission.
