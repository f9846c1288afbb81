//! Status codes and their reason phrases (RFC 2326 §7.1.1).

use crate::framing::FramingErrorKind;
use std::fmt;

/// A status code. Displays as it stands in a status line: `200 OK`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

macro_rules! status_codes {
    ($($code:literal $name:ident $reason:literal)*) => {
        impl StatusCode {
            $(
                #[doc = concat!($reason, ", ", stringify!($code), ".")]
                pub const $name: Self = Self($code);
            )*

            /// Every code of RFC 2326.
            pub const ALL: &[Self] = &[$(Self($code)),*];

            /// The phrase that goes with the code; for a code not in RFC 2326 the name of its
            /// class. Never empty: ExoPlayer takes no status line without.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    100..200 => "Informational",
                    200..300 => "Success",
                    300..400 => "Redirection",
                    400..500 => "Client Error",
                    _ => "Server Error",
                }
            }
        }
    };
}

status_codes! {
    100 CONTINUE "Continue"
    200 OK "OK"
    201 CREATED "Created"
    250 LOW_ON_STORAGE_SPACE "Low on Storage Space"
    300 MULTIPLE_CHOICES "Multiple Choices"
    301 MOVED_PERMANENTLY "Moved Permanently"
    302 MOVED_TEMPORARILY "Moved Temporarily"
    303 SEE_OTHER "See Other"
    304 NOT_MODIFIED "Not Modified"
    305 USE_PROXY "Use Proxy"
    400 BAD_REQUEST "Bad Request"
    401 UNAUTHORIZED "Unauthorized"
    402 PAYMENT_REQUIRED "Payment Required"
    403 FORBIDDEN "Forbidden"
    404 NOT_FOUND "Not Found"
    405 METHOD_NOT_ALLOWED "Method Not Allowed"
    406 NOT_ACCEPTABLE "Not Acceptable"
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required"
    408 REQUEST_TIMEOUT "Request Time-out"
    410 GONE "Gone"
    411 LENGTH_REQUIRED "Length Required"
    412 PRECONDITION_FAILED "Precondition Failed"
    413 REQUEST_ENTITY_TOO_LARGE "Request Entity Too Large"
    414 REQUEST_URI_TOO_LARGE "Request-URI Too Large"
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type"
    416 BLOCKSIZE_NOT_VALID "Blocksize Not Valid"
    451 PARAMETER_NOT_UNDERSTOOD "Parameter Not Understood"
    452 CONFERENCE_NOT_FOUND "Conference Not Found"
    453 NOT_ENOUGH_BANDWIDTH "Not Enough Bandwidth"
    454 SESSION_NOT_FOUND "Session Not Found"
    455 METHOD_NOT_VALID_IN_THIS_STATE "Method Not Valid in This State"
    456 HEADER_FIELD_NOT_VALID_FOR_RESOURCE "Header Field Not Valid for Resource"
    457 INVALID_RANGE "Invalid Range"
    458 PARAMETER_IS_READ_ONLY "Parameter Is Read-Only"
    459 AGGREGATE_OPERATION_NOT_ALLOWED "Aggregate Operation Not Allowed"
    460 ONLY_AGGREGATE_OPERATION_ALLOWED "Only Aggregate Operation Allowed"
    461 UNSUPPORTED_TRANSPORT "Unsupported Transport"
    462 DESTINATION_UNREACHABLE "Destination Unreachable"
    500 INTERNAL_SERVER_ERROR "Internal Server Error"
    501 NOT_IMPLEMENTED "Not Implemented"
    502 BAD_GATEWAY "Bad Gateway"
    503 SERVICE_UNAVAILABLE "Service Unavailable"
    504 GATEWAY_TIMEOUT "Gateway Time-out"
    505 RTSP_VERSION_NOT_SUPPORTED "RTSP Version Not Supported"
    551 OPTION_NOT_SUPPORTED "Option Not Supported"
}

impl StatusCode {
    /// A code as received; `None` outside 100 to 999.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code < 1000 { Some(Self(code)) } else { None }
    }

    /// The three digits.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether the request was understood and done (2xx).
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 / 100 == 2
    }

    /// What a connection whose stream cannot be cut is told before it is closed.
    #[must_use]
    pub const fn of_framing_error(kind: FramingErrorKind) -> Self {
        match kind {
            FramingErrorKind::NotRtsp
            | FramingErrorKind::HeadTooLarge
            | FramingErrorKind::TooManyHeaders
            | FramingErrorKind::BadContentLength
            | FramingErrorKind::NotBase64 => Self::BAD_REQUEST,
            FramingErrorKind::RequestLineTooLarge => Self::REQUEST_URI_TOO_LARGE,
            FramingErrorKind::BodyTooLarge => Self::REQUEST_ENTITY_TOO_LARGE,
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_agrees_with_rtsp_types() {
        for status in StatusCode::ALL {
            let theirs = rtsp_types::StatusCode::from(status.code());
            assert!(
                !matches!(theirs, rtsp_types::StatusCode::Extension(_))
                    || is_dropped_by_rfc_7826(*status),
                "{status}"
            );
        }
    }

    /// Codes of RFC 2326 that its successor, which rtsp-types follows, no longer has.
    fn is_dropped_by_rfc_7826(status: StatusCode) -> bool {
        matches!(status.code(), 201 | 250 | 300 | 303 | 411 | 416 | 452)
    }

    #[test]
    fn exoplayer_gets_a_reason_with_any_code() {
        for code in 100..1000 {
            assert!(!StatusCode::new(code).unwrap().reason().is_empty());
        }
        assert_eq!(StatusCode::new(99), None);
        assert_eq!(StatusCode::new(1000), None);
    }
}
