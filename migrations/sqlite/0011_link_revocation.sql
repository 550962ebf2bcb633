-- Links can be taken back before they expire.
ALTER TABLE approval_links ADD COLUMN revoked_at INTEGER;
