//! `sendmmsg`, with nothing between it and the memory that it sends.
#![allow(unsafe_code, reason = "the one module of this program that may; blocks say why")]

use server::uring::Control;
use socket2::SockAddr;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Memory of message headers, empty between batches.
#[derive(Default)]
pub(crate) struct Buffers {
    pieces: Vec<libc::iovec>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
}

impl Buffers {
    /// An empty batch of messages whose bytes and addresses live as long as `'a`.
    pub(crate) fn batch<'a>(&mut self) -> Batch<'_, 'a> {
        self.pieces.clear();
        self.controls.clear();
        self.headers.clear();
        Batch { buffers: self, lent: PhantomData }
    }
}

/// Messages that are sent together.
pub(crate) struct Batch<'buffers, 'a> {
    buffers: &'buffers mut Buffers,
    lent: PhantomData<&'a [u8]>,
}

impl<'a> Batch<'_, 'a> {
    /// Appends bytes to the message that [`Self::end_message`] ends.
    pub(crate) fn push(&mut self, bytes: &'a [u8]) {
        let iov_base = bytes.as_ptr().cast_mut().cast();
        self.buffers.pieces.push(libc::iovec { iov_base, iov_len: bytes.len() });
    }

    /// Ends a message of `piece_count` pieces; without address on a stream.
    pub(crate) fn end_message(
        &mut self,
        piece_count: usize,
        to: Option<&'a SockAddr>,
        control: Control,
    ) {
        // SAFETY: numbers and pointers alone, for which zeroes are valid.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        if let Some(to) = to {
            header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = to.len();
        }
        header.msg_hdr.msg_iovlen = piece_count;
        self.buffers.headers.push(header);
        self.buffers.controls.push(control);
    }

    /// Points the headers to what will not move any more.
    pub(crate) fn seal(&mut self) {
        let Buffers { pieces, controls, headers } = &mut *self.buffers;
        let mut first = 0;
        for (header, control) in headers.iter_mut().zip(controls) {
            header.msg_hdr.msg_iov = pieces[first..].as_mut_ptr();
            first += header.msg_hdr.msg_iovlen;
            if !control.bytes().is_empty() {
                header.msg_hdr.msg_control = control.bytes().as_ptr().cast_mut().cast();
                header.msg_hdr.msg_controllen = control.bytes().len() as _;
            }
        }
    }

    /// Messages in the batch.
    pub(crate) fn len(&self) -> usize {
        self.buffers.headers.len()
    }

    /// Sends the messages from `first` on, without blocking, and tells how many were taken. To be
    /// called on a sealed batch, or an error is the answer.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        let headers = &mut self.buffers.headers[first..];
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the headers point into `pieces` and `controls`, which nothing changes between
        // `seal` and this call (or to nothing, before `seal`), and these at bytes that live as long
        // as `'a`, so longer than this batch. The kernel writes into the headers alone.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Bytes that the kernel took of a message that was sent.
    pub(crate) fn sent_bytes(&self, message: usize) -> usize {
        self.buffers.headers[message].msg_len as usize
    }
}
