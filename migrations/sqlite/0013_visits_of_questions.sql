-- The visit of the step that waits for the answer: `call` itself for a human step, the agent's for a tool of an agent.
ALTER TABLE approvals ADD COLUMN visit INTEGER NOT NULL DEFAULT 0;
UPDATE approvals SET visit = call;
CREATE INDEX approvals_open_of_visit ON approvals (execution_id, visit) WHERE status = 'pending';
