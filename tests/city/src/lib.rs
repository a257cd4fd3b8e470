//! A city in a box.
