//! A TCP connection to a server or a forward proxy.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::net::TcpStream;

/// The TCP connection below TLS, for connectors of `hyper-util`. All HTTP clients share it, because hyper's code is generic over
/// it and would be compiled for each type.
#[derive(Debug)]
pub struct Stream {
    tcp: TokioIo<TcpStream>,
    is_proxy: bool,
}

impl Stream {
    /// A connection to the server itself, or a tunnel to it.
    pub fn to_server(tcp: TokioIo<TcpStream>) -> Self {
        Self {
            tcp,
            is_proxy: false,
        }
    }

    /// A connection to a forward proxy, to which requests are sent with absolute URLs.
    pub fn to_proxy(tcp: TokioIo<TcpStream>) -> Self {
        Self {
            tcp,
            is_proxy: true,
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.is_proxy)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
