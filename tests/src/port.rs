//! A port that is nobody else's. To bind port 0, read the number, close and pass it on leaves a gap in which another
//! process may take the port. Here the socket stays bound (and does not listen) while the server, which shares the port
//! by `SO_REUSEPORT`, uses it: the kernel gives such a port to no other user and picks it for no other "any port".

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// A reserved port on loopback; free again when dropped.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _socket: OwnedFd,
}

impl ReservedPort {
    /// Reserves a free port on 127.0.0.1.
    pub fn reserve() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddrV4::try_from(getsockname(&socket)?)?;
        Ok(Self {
            number: address.port(),
            _socket: socket,
        })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_reserved_port_is_given_to_nobody_else() {
        let reserved = ReservedPort::reserve().unwrap();
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, reserved.number())).is_err());
        let others: Vec<_> = (0..200).map(|_| ReservedPort::reserve().unwrap()).collect();
        let numbers: HashSet<u16> = others.iter().map(ReservedPort::number).collect();
        assert_eq!(numbers.len(), others.len());
        assert!(!numbers.contains(&reserved.number()));
    }

    #[test]
    fn a_server_that_shares_ports_can_listen_on_it() {
        let reserved = ReservedPort::reserve().unwrap();
        let server = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        sockopt::set_socket_reuseport(&server, true).unwrap();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, reserved.number());
        bind(&server, &address).unwrap();
        rustix::net::listen(&server, 1).unwrap();
        let listener = TcpListener::from(server);
        let client = std::net::TcpStream::connect(address).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}
