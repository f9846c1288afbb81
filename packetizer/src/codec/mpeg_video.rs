//! MPEG-1 and MPEG-2 video: start codes and picture headers (ISO 11172-2 §2.4, 13818-2 §6.2).
