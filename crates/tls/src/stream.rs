//! A TCP connection to a server, or to the proxy that forwards what is sent to it.

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

/// The TCP connection below TLS, for connectors of `hyper-util`. Clients for HTTP share it because hyper's code is generic over
/// it, and is compiled for each type.
#[derive(Debug)]
pub struct Stream {
    tcp: TokioIo<TcpStream>,
    forwards: bool,
}

impl Stream {
    /// A connection to the server itself, or a tunnel to it.
    pub fn to_server(tcp: TokioIo<TcpStream>) -> Self {
        let forwards = false;
        Self { tcp, forwards }
    }

    /// A connection to a proxy that forwards requests, which name the server that they are for.
    pub fn to_proxy(tcp: TokioIo<TcpStream>) -> Self {
        let forwards = true;
        Self { tcp, forwards }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.forwards)
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
