//! Places for connections: so many in all, and so many for one address. Where there is none left, the connection gives
//! way that has been waiting longest for its client to ask something.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// The places of one listener. Clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    max: usize,
    per_address: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    taken: BTreeMap<u64, Arc<Taken>>,
    by_address: HashMap<IpAddr, usize>,
}

struct Taken {
    /// `None` where the address is not counted: it is a proxy's.
    address: Option<IpAddr>,
    /// Requests that are being answered.
    busy: AtomicUsize,
    leave: Notify,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The address has all of its places, and uses them.
    Address,
    /// All places are taken and used: wait for [`Places::freed`].
    All,
}

/// A place, free again when this is dropped.
pub(super) struct Place {
    places: Places,
    number: u64,
    taken: Arc<Taken>,
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Taken>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Places {
    pub(super) fn new(max: usize, per_address: usize) -> Self {
        Self(Arc::new(Inner { max, per_address, state: Mutex::default(), freed: Notify::new() }))
    }

    /// Takes a place; `None` as address is not counted.
    pub(super) fn enter(&self, address: Option<IpAddr>) -> Result<Place, NoPlace> {
        let mut state = self.lock();
        let own = address.and_then(|address| state.by_address.get(&address)).copied().unwrap_or(0);
        if own >= self.0.per_address && !state.dismiss(|taken| taken.address == address) {
            return Err(NoPlace::Address);
        }
        if state.taken.len() >= self.0.max && !state.dismiss(|_| true) {
            return Err(NoPlace::All);
        }
        let taken = Arc::new(Taken { address, busy: AtomicUsize::new(0), leave: Notify::new() });
        let number = state.next;
        state.next += 1;
        state.taken.insert(number, Arc::clone(&taken));
        if let Some(address) = address {
            *state.by_address.entry(address).or_default() += 1;
        }
        Ok(Place { places: self.clone(), number, taken })
    }

    /// Resolves once a place has become free since the last time.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Dismisses the oldest connection of those that `choose` picks and that answer nothing.
    fn dismiss(&mut self, choose: impl Fn(&Taken) -> bool) -> bool {
        let is_idle = |taken: &Taken| taken.busy.load(Ordering::Acquire) == 0;
        let found = self.taken.iter().find(|(_, taken)| choose(taken) && is_idle(taken));
        let Some((number, taken)) = found.map(|(number, taken)| (*number, Arc::clone(taken))) else { return false };
        self.remove(number);
        taken.leave.notify_one();
        true
    }

    fn remove(&mut self, number: u64) -> bool {
        let Some(taken) = self.taken.remove(&number) else { return false };
        if let Some(address) = taken.address
            && let Some(count) = self.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
        true
    }
}

impl Place {
    /// Keeps the place while a request is being answered.
    pub(super) fn busy(&self) -> Busy {
        self.taken.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(&self.taken))
    }

    /// Resolves when the place is needed by somebody else.
    pub(super) async fn dismissed(&self) {
        self.taken.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.places.lock().remove(self.number) {
            self.places.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    #[tokio::test]
    async fn a4_one_address_cannot_take_all_places() {
        let places = Places::new(4, 2);
        let (first, second) = (places.enter(address(1)).unwrap(), places.enter(address(1)).unwrap());
        let (_first_busy, second_busy) = (first.busy(), second.busy());
        assert_eq!(places.enter(address(1)).err(), Some(NoPlace::Address));
        let other = places.enter(address(2)).unwrap();
        drop(second_busy);
        let third = places.enter(address(1)).unwrap();
        second.dismissed().await;
        drop((first, second, third, other));
        assert!(places.lock().taken.is_empty() && places.lock().by_address.is_empty());
    }

    #[tokio::test]
    async fn a4_who_waits_longest_gives_way_and_who_is_answered_does_not() {
        let places = Places::new(3, 3);
        let taken: Vec<Place> = (1..=3).map(|n| places.enter(address(n)).unwrap()).collect();
        let busy = taken[0].busy();
        let fourth = places.enter(address(4)).unwrap();
        taken[1].dismissed().await;
        let _all_busy = [taken[2].busy(), fourth.busy()];
        assert_eq!(places.enter(address(5)).err(), Some(NoPlace::All));
        drop(busy);
        let _fifth = places.enter(address(5)).unwrap();
        taken[0].dismissed().await;
        drop(fourth);
        places.freed().await;
    }

    #[test]
    fn proxies_are_not_counted() {
        let places = Places::new(10, 1);
        let all: Vec<Place> = (0..10).map(|_| places.enter(None).unwrap()).collect();
        assert_eq!(all.len(), 10);
    }
}
