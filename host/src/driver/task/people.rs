//! What people tell an execution: answers, cancels, and who is to be asked instead.

use tokio::sync::oneshot;
use weir_engine::{
    approvers::Approvers,
    event::{Event, Record},
    execution::{Input, Status},
};

use super::Task;
use crate::{
    driver::{
        SignalError,
        answer::{self, Answer, Answered, DecideError, Reassign},
    },
    store::{self, Companion, StoreError},
};

impl Task {
    pub(super) fn on_cancel(
        &mut self,
        cancel: Input,
        companions: Vec<Companion>,
        reply: oneshot::Sender<Result<(), SignalError>>,
    ) {
        let too_late = self.execution.has_ended();
        self.feed_with(cancel, companions, |event| matches!(event, Event::ExecutionCancelled { .. }));
        let status = self.execution.status();
        let is_done = status == Status::Cancelled && !too_late;
        self.answer_when_stored(reply, if is_done { Ok(()) } else { Err(SignalError::Ended(status)) });
    }

    /// A refusal waits for the commit, too: what it is refused for may be an answer that is not on disk yet.
    pub(super) fn on_answer(&mut self, answer: Answer, reply: oneshot::Sender<Result<Answered, DecideError>>) {
        let ceilings = &self.inner.config.ceilings;
        let answered = answer::input(&self.execution, &answer, ceilings, store::now()).and_then(|(answered, input)| {
            let took = self.feed_with(input, answer.companions, |event| {
                matches!(
                    event,
                    Event::Voted { .. }
                        | Event::Decided { .. }
                        | Event::Resumed { .. }
                        | Event::ExecutionCancelled { .. }
                )
            });
            // The time of the question may have been up just now.
            if took {
                Ok(answered)
            } else {
                Err(answered.approval_id.map_or(DecideError::NothingAsked, DecideError::NotOpen))
            }
        });
        self.answer_when_stored(reply, answered);
    }

    pub(super) fn on_reassign(&mut self, reassign: Reassign, reply: oneshot::Sender<Result<Approvers, DecideError>>) {
        let reassigned = answer::reassign_input(&self.execution, &reassign).and_then(|(approvers, input)| {
            self.feed_with(input, reassign.companions, |event| matches!(event, Event::Reassigned { .. }));
            let open = self.execution.question(reassign.approval_id).is_some();
            if open { Ok(approvers) } else { Err(DecideError::NotOpen(reassign.approval_id)) }
        });
        self.answer_when_stored(reply, reassigned);
    }

    /// Sends `answer` once everything before it is on disk. Where the store refuses, that is the answer; but where the log
    /// has moved on, there is none, and who asks tries again with what is there.
    fn answer_when_stored<T, E>(&mut self, reply: oneshot::Sender<Result<T, E>>, answer: Result<T, E>)
    where
        T: Send + 'static,
        E: From<SignalError> + Send + 'static,
    {
        self.reply_when_stored(move |stored| {
            let answer = match stored {
                Ok(()) => answer,
                Err(StoreError::Conflict { .. }) => return,
                Err(error) => Err(SignalError::Store(error).into()),
            };
            let _ = reply.send(answer);
        });
    }

    /// Feeds, and tells whether what was wanted followed; then `companions` are written with it.
    fn feed_with(&mut self, input: Input, companions: Vec<Companion>, is_wanted: impl Fn(&Event) -> bool) -> bool {
        let records: Vec<Record> = self.draws.step(&mut self.execution, input, store::now());
        let took = records.iter().any(|record| is_wanted(&record.event));
        self.take(records);
        if took {
            self.companions.extend(companions);
        }
        took
    }
}
