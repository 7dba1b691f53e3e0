//! Loopback ports that no two testbeds share.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::Path,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range from which Linux takes the ports of outgoing connections (`net.ipv4.ip_local_port_range`, from
/// 32768), so that none of these can sit on the port of a server that a test has stopped and will start again.
const RANGE: Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that belongs to this process while the value lives, also while nothing listens on it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Locked against other test processes of this user; the lock ends with the file.
    _lock: File,
}

impl Port {
    /// Reserves a port, by a lock file in `folder`, on which nothing listens.
    pub(crate) fn reserve(folder: &Path) -> io::Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        fs::create_dir_all(folder)?;
        let size = RANGE.end - RANGE.start;
        // Processes begin at different places, so that they rarely meet
        let start = u16::try_from(process::id().wrapping_mul(61) % u32::from(size)).unwrap_or(0);
        for _ in 0..size {
            let offset = NEXT.fetch_add(1, Ordering::Relaxed) % size;
            let number = RANGE.start + (start + offset) % size;
            if let Some(port) = Self::try_reserve(folder, number)? {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn try_reserve(folder: &Path, number: u16) -> io::Result<Option<Self>> {
        let lock = File::create(folder.join(number.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        Ok(free.then_some(Self {
            number,
            _lock: lock,
        }))
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn a_reserved_port_is_not_given_twice_and_is_free_again_after_drop() {
        let folder = tempfile::tempdir().expect("a folder");
        let ports: Vec<Port> = (0..20)
            .map(|_| Port::reserve(folder.path()).expect("a port"))
            .collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
        let number = ports[0].number();
        let again = || Port::try_reserve(folder.path(), number).expect("a lock file");
        assert!(again().is_none(), "still held");
        drop(ports);
        // A process that another test is starting holds the lock, too, until it has become another program
        let deadline = Instant::now() + Duration::from_secs(10);
        while again().is_none() {
            assert!(Instant::now() < deadline, "free again");
            thread::yield_now();
        }
    }
}
