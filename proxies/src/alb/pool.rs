//! x
#[derive(Debug)]
pub(crate) struct Pool;
impl Pool {
    pub(crate) fn new() -> Self {
        Self
    }
}
