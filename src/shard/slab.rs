//! A table whose places are used again: connections, exchanges, cached responses.

/// A table of values with stable places.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// How many values there are.
    pub fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many places there are, used or free.
    pub fn place_count(&self) -> usize {
        self.places.len()
    }

    /// Puts a value somewhere.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(value);
            return place;
        }
        let place = u32::try_from(self.places.len()).expect("fewer than 2^32 values");
        self.places.push(Some(value));
        place
    }

    /// Takes a value out; its place is used again.
    pub fn remove(&mut self, place: u32) -> T {
        let value = self.places[place as usize].take().expect("a place is freed once");
        self.free.push(place);
        value
    }

    /// The value at a place, if there is one.
    pub fn get(&self, place: u32) -> Option<&T> {
        self.places.get(place as usize).and_then(Option::as_ref)
    }

    /// The value at a place, if there is one.
    pub fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place as usize).and_then(Option::as_mut)
    }

    /// The places in use.
    pub fn used(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.places).filter(|(_, value)| value.is_some()).map(|(place, _)| place)
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, place: u32) -> &T {
        self.places[place as usize].as_ref().expect("the place is in use")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        self.places[place as usize].as_mut().expect("the place is in use")
    }
}
