-- The files of a function change one by one ("edit": what to change is in "source"), or all at once by the text files of
-- a zip ("text").
ALTER TABLE deployments
    DROP CONSTRAINT deployments_upload_kind_check,
    ADD CONSTRAINT deployments_upload_kind_check CHECK (upload_kind IN ('zip', 'source', 'text', 'edit'));

-- Who made a function, where that was a person.
ALTER TABLE functions ADD COLUMN made_by text COLLATE "C" REFERENCES users (id) ON DELETE SET NULL;
