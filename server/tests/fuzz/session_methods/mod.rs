//! Any sequence of requests, answers of shards and catalog, connects, disconnects and delays
//! through control: each request is answered once and with its CSeq, work and memory stay bounded,
//! and when everything has ended nothing is left.
//!
//! Input: steps of a kind (1 byte) and what the kind needs.

mod requests;
mod shards;
mod titles;
mod world;

use super::input::Input;
use server::mailbox::{EndReason, SetUpRefused};
use std::time::Duration;
use world::World;

/// Steps of one input, so that its cost is bounded.
const STEPS_MAX: usize = 300;

pub(crate) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        step(&mut world, &mut input);
        world.run();
        world.check_bounds();
    }
    world.end();
}

fn step(world: &mut World, input: &mut Input<'_>) {
    match input.byte() % 16 {
        0..=4 => {
            let client = input.byte();
            let request = requests::read(input, &world.sessions_seen);
            world.send(client, &request);
        }
        5 => {
            let (client, length) = (input.byte(), input.byte());
            let bytes = input.piece(length.into());
            world.send(client, bytes);
        }
        6 => world.connect(input.byte()),
        7 => world.disconnect(input.byte()),
        8 => world.hold(input.byte()),
        9 => world.pass(Duration::from_millis(u64::from(input.byte()).pow(2))),
        10 => {
            let reasons = [
                EndReason::TimedOut,
                EndReason::SourceFailed(None),
                EndReason::SourceFailed(Some(5)),
                EndReason::MediaInvalid,
            ];
            let nth = input.byte();
            world.end_session(nth, input.choose(&reasons));
        }
        11 => world.finish_session(input.byte()),
        12 => {
            let refusals = [
                SetUpRefused::NoPairLeft,
                SetUpRefused::ChannelTaken,
                SetUpRefused::NoSlotLeft,
                SetUpRefused::Gone,
            ];
            world.shards.refusals.push_back(input.choose(&refusals));
        }
        13 => world.titles_fail = input.byte() % 8,
        14 => world.lose_connection(input.byte()),
        _ => match input.byte() {
            0x0d => world.drain(),
            0x0e => world.retire(),
            _ => world.snapshot(),
        },
    }
}
