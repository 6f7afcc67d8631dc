//! A topology written out with every default filled.
