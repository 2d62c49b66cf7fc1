//! What is wrong with a configuration, and whether `tbot` would start with it.

/// What is wrong, one sentence each, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

#[derive(Debug)]
struct Fault {
    /// Whether `tbot` does not start with it. Else it takes the value, or may.
    is_refused: bool,
    why: String,
}

impl Faults {
    /// Adds something that `tbot` refuses.
    pub fn refuse(&mut self, why: impl Into<String>) {
        self.0.push(Fault { is_refused: true, why: why.into() });
    }

    /// Whether `tbot` refuses something.
    pub fn has_refusal(&self) -> bool {
        self.0.iter().any(|fault| fault.is_refused)
    }

    /// Adds something that `tbot` takes, or may take, and that nobody should write.
    pub fn doubt(&mut self, why: impl Into<String>) {
        self.0.push(Fault { is_refused: false, why: why.into() });
    }

    /// For values that a request gives: the first fault is an error.
    pub fn none(self) -> Result<(), String> {
        self.0.into_iter().next().map_or(Ok(()), |fault| Err(fault.why))
    }

    /// For values that stand in a file already: what `tbot` refuses is an error; the rest stays, with what is wrong with it.
    pub fn tolerated(self) -> Result<Vec<String>, String> {
        let take = |fault: Fault| if fault.is_refused { Err(fault.why) } else { Ok(fault.why) };
        self.0.into_iter().map(take).collect()
    }
}
