-- Who made a workflow: the id tells them from everybody else for ever, the name is as it was then.
-- Both are NULL for workflows from before.
ALTER TABLE workflows ADD COLUMN owner_id TEXT;
ALTER TABLE workflows ADD COLUMN owner TEXT;
