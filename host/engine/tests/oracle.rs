//! A second opinion: a recursive interpreter of definitions, which knows nothing of events, scopes or the graph, must
//! agree with the engine about the fate of every visit of every step, whatever the order and however often the host
//! dies in between.

mod interpreter;
mod values;

use weir_engine::{event::Event, execution::Input, id::CallId};

use crate::{
    simulation::{report_seed, seeds},
    support::{
        dice::Dice,
        generator::{Sample, Style, sample},
        plan::{Plan, normal},
        setup::try_graph,
        tracker::Fate,
        world::{World, reassign, success},
    },
};
use interpreter::{Ending, predict};

/// Runs a workflow as planned, in a random order, with crashes and news that is none.
fn run(dice: &mut Dice, world: &mut World) {
    for _ in 0..50_000 {
        if world.live.has_ended() {
            return;
        }
        match dice.below(20) {
            0 => world.crash(dice.below(4)),
            1 => _ = world.feed(Input::TimeReached),
            2 => stale_news(dice, world),
            _ => planned_news(dice, world),
        }
    }
    panic!("it does not end");
}

fn stale_news(dice: &mut Dice, world: &mut World) {
    let Some((call, attempt)) = dice.pick(&world.past).copied() else { return };
    if !world.tracker.running().contains(&(call, attempt)) {
        world.feed(success(call, attempt, "late".into()));
    }
}

fn planned_news(dice: &mut Dice, world: &mut World) {
    let calls = world.answerable();
    let people: Vec<(CallId, Input)> =
        world.tracker.questions().into_iter().filter_map(|call| Some((call, world.next_vote(call)?))).collect();
    let choice = dice.below(calls.len() + people.len());
    if let Some((call, attempt)) = calls.get(choice).copied() {
        let input = world.outcome(call, attempt);
        world.feed(input);
    } else if let Some((call, vote)) = people.get(choice - calls.len()).cloned() {
        if dice.chance(10) {
            world.feed(reassign(call));
        }
        world.feed(vote);
    } else if world.has_more() {
        world.feed(Input::Continue);
    } else {
        assert!(world.pass_time(), "it waits for nothing");
    }
}

/// How the engine says that it ended.
fn ending(world: &World) -> Ending {
    match world.tracker.end.as_ref().unwrap() {
        Event::ExecutionCompleted { output, .. } => Ending::Completed(normal(output.value())),
        Event::ExecutionFailed { failure } => {
            Ending::Failed { code: failure.code.as_str().to_owned(), path: failure.path.as_deref().map(str::to_owned) }
        }
        other => panic!("it ended with {other:?}"),
    }
}

fn sorted(mut fates: Vec<Fate>) -> Vec<Fate> {
    fates.sort_by(|a, b| a.0.cmp(&b.0));
    fates
}

/// Whether the seed makes a workflow that can be compared, and it was.
fn agrees(seed: u64) -> bool {
    let mut dice = Dice::new(seed);
    let style = if dice.chance(50) { Style::Sequential } else { Style::Confluent };
    let Sample { definition, input } = sample(&mut dice, style);
    let Ok(graph) = try_graph(&definition) else { return false };
    let plan = Plan { seed, failing_percent: dice.between(0, 35) };
    let predicted = predict(&definition, &input, plan);
    if style == Style::Confluent && predicted.met_limit {
        return false;
    }
    let _report = report_seed(seed, &definition);
    let mut world = World::of(graph, input, plan);
    run(&mut dice, &mut world);
    let fates = std::mem::take(&mut world.tracker.fates);
    pretty_assertions(&sorted(fates), &sorted(predicted.fates));
    assert_eq!(ending(&world), predicted.ending);
    true
}

fn pretty_assertions(engine: &[Fate], oracle: &[Fate]) {
    let differ = engine.iter().zip(oracle).find(|(a, b)| a != b);
    assert!(differ.is_none(), "engine and oracle differ: {differ:#?}");
    let longer = if engine.len() > oracle.len() { engine } else { oracle };
    let rest = &longer[engine.len().min(oracle.len())..];
    assert!(rest.is_empty(), "engine has {}, oracle has {} fates: {rest:#?}", engine.len(), oracle.len());
}

#[test]
fn the_engine_and_a_recursive_interpreter_agree_on_the_fate_of_every_step() {
    let (mut compared, wanted) = (0, seeds(20_000));
    let mut seed = 0;
    while compared < wanted {
        compared += u64::from(agrees(seed));
        seed += 1;
        assert!(seed < wanted * 3 + 100, "too few of the workflows can be compared: {compared} of {seed}");
    }
}
