//! What is promised, tested from outside: see `tests/`.
