//! `enroll`: a fleet into its cluster. It reads bots and tokens by `tctl`, decides, applies, and reads again.

mod apply;
mod bot_change;
mod bot_file;
mod cluster;
mod combined;
mod decision;
mod former;
mod layout;
mod marks;
mod of_bot;
mod parameters;
mod report;

use std::thread;

use super::ekcert_ca::Found;
use super::{Action, instances};
use crate::error::{Error, Kind, Result};
use crate::protocol::{Answer, Request};
use of_bot::MOST_ATTEMPTS;
use parameters::{Asked, Parameters};
use report::Report;

/// The bots that hosts join as: the unnamed one first, then the instances.
pub(super) struct Enroll {
    bots: Vec<Named>,
}

/// What is asked for of one of them; the unnamed one has no name.
#[derive(Clone)]
struct Named {
    name: Option<String>,
    asked: Asked,
}

impl Action for Enroll {
    type Parameters = Parameters;

    fn checked(mut parameters: Parameters) -> Result<Self> {
        let instances = std::mem::take(&mut parameters.instances);
        instances::check(&instances)?;
        let mut bots = Vec::with_capacity(instances.len() + 1);
        for instance in &instances {
            let name = Some(instance.name.as_str().to_owned());
            let asked = parameters.of_instance(instance).map_err(|error| of(name.as_deref(), error))?;
            bots.push(Named { name, asked });
        }
        bots.insert(0, Named { name: None, asked: parameters.checked()? });
        tell_of_each_other(&mut bots)?;
        Ok(Self { bots })
    }

    fn run(self, request: &Request) -> Result<Answer> {
        let mut bots = self.bots;
        if bots[0].asked.read_only {
            for bot in &bots[1..] {
                let asked = Asked { all_tokens: false, ..bot.asked.clone() };
                asked.only_read().map_err(|error| of(bot.name.as_deref(), error))?;
            }
            return bots[0].asked.only_read();
        }
        let mut cas = if bots.len() > 1 { foresee(&bots, request)? } else { None };
        let mut reports: Vec<Report> = bots.iter_mut().map(|bot| Report::new(&mut bot.asked)).collect();
        let mut pending: Vec<usize> = (0..bots.len()).collect();
        // A cluster has no compare-and-swap for tokens: of two runs that change one at the same time, the second to apply undoes what
        // the first did. So each reads again after a while, and goes on until it sees what it wants.
        for attempt in 1..=MOST_ATTEMPTS + 1 {
            if attempt > 1 {
                thread::sleep(bots[0].asked.settle);
            }
            let mut again = Vec::new();
            for index in pending {
                let (Named { name, asked }, report) = (&mut bots[index], &mut reports[index]);
                report.cas = report.cas.take().or(cas.take());
                if asked.attempt(request, attempt, report).map_err(|error| of(name.as_deref(), error))? {
                    again.push(index);
                }
                cas.clone_from(&report.cas);
            }
            if again.is_empty() {
                return Ok(combined::answer(bots.into_iter().zip(reports), request));
            }
            pending = again;
        }
        let names: Vec<&str> = pending.iter().map(|index| bots[*index].asked.layout.name.as_str()).collect();
        Err(Error::new(
            Kind::Conflict,
            format!(
                "the token {} was applied {MOST_ATTEMPTS} times, and each time it said something else when it was read again",
                names.join(", ")
            ),
        )
        .hint("something else applies it too: stop that, then run this again"))
    }
}

/// Decides about all bots before anything is written or applied for one; the CAs that are found by it.
fn foresee(bots: &[Named], request: &Request) -> Result<Option<Found>> {
    let mut asking = request.clone();
    asking.controls.check_mode = true;
    let mut cas = None;
    for Named { name, asked } in bots {
        let mut asked = asked.clone();
        let mut report = Report::new(&mut asked);
        report.cas = cas;
        asked.attempt(&asking, 1, &mut report).map_err(|error| of(name.as_deref(), error))?;
        cas = report.cas.take();
    }
    Ok(cas)
}

/// Tells each of the others' tokens, and refuses what two of them cannot both have.
fn tell_of_each_other(bots: &mut [Named]) -> Result<()> {
    for index in 1..bots.len() {
        let (before, bot) = bots.split_at(index);
        let bot = &bot[0];
        for other in before {
            if let Some(what) = bot.asked.clash(&other.asked) {
                let of = |named: &Named| {
                    named
                        .name
                        .as_ref()
                        .map_or_else(|| "the unnamed bot".to_owned(), |name| format!("`{name}`"))
                };
                return Err(Error::invalid(format!(
                    "`instances`: {} and {} would both have {what}",
                    of(other),
                    of(bot)
                )));
            }
        }
    }
    let names: Vec<_> = bots.iter().map(|bot| bot.asked.layout.name.clone()).collect();
    for bot in bots {
        bot.asked.others = names.iter().filter(|name| **name != bot.asked.layout.name).cloned().collect();
    }
    Ok(())
}

/// The error of an instance names it.
fn of(name: Option<&str>, error: Error) -> Error {
    match name {
        Some(name) => Error { message: format!("instance {name}: {}", error.message), ..error },
        None => error,
    }
}
