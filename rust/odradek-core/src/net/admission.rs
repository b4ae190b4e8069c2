//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

#[derive(Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// The counts. Thread-safe; one per broker.
pub struct Admission {
    max: usize,
    max_per_ip: usize,
    counts: Mutex<Counts>,
}

/// A place for one connection; freed when dropped.
pub struct Admitted {
    admission: Arc<Admission>,
    ip: IpAddr,
}

impl Admission {
    /// Limits in all and per address.
    #[must_use]
    pub fn new(max: usize, max_per_ip: usize) -> Self {
        Self { max, max_per_ip, counts: Mutex::default() }
    }

    /// A place for a connection from `ip`, if there is one.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Admitted> {
        let mut counts = self.counts.lock();
        let from_ip = counts.by_ip.get(&ip).copied().unwrap_or(0);
        if counts.all >= self.max || from_ip >= self.max_per_ip {
            return None;
        }
        counts.all += 1;
        counts.by_ip.insert(ip, from_ip + 1);
        Some(Admitted { admission: Arc::clone(self), ip })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        counts.all -= 1;
        match counts.by_ip.get_mut(&self.ip) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_per_address_and_in_all_and_come_back() {
        let admission = Arc::new(Admission::new(3, 2));
        let (a, b, c) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]), IpAddr::from([10, 0, 0, 3]));
        let first = admission.admit(a);
        let second = admission.admit(a);
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(a).is_none(), "two from one address");
        let third = admission.admit(b);
        assert!(third.is_some());
        assert!(admission.admit(c).is_none(), "three in all");
        drop(first);
        assert!(admission.admit(c).is_some());
        drop((second, third));
        assert!(admission.counts.lock().by_ip.is_empty());
    }
}
