-- Who made a version and why, levels that those below cannot override, and versions that stay
-- when their container goes.

ALTER TABLE container
    ADD COLUMN profile_locked boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT container_profile_locked_check
        CHECK (NOT profile_locked OR name !~ '/(projects|devices)/');

-- Versions of before have no author that anybody knew.
ALTER TABLE profile_version
    ADD COLUMN author text NOT NULL DEFAULT '',
    ADD COLUMN note text NOT NULL DEFAULT '',
    -- Receipts name versions, also those of containers that are gone.
    DROP CONSTRAINT profile_version_container_id_fkey;

-- Names of containers that are gone, of which versions are left.
CREATE TABLE deleted_container (
    id bigint CONSTRAINT deleted_container_pkey PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    delete_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deleted_container_name_idx ON deleted_container (name);

CREATE OR REPLACE FUNCTION refuse_profile_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A profile version is never changed, nor deleted.'
        USING ERRCODE = 'integrity_constraint_violation',
              CONSTRAINT = 'profile_version_immutable';
END
$$;

DROP TRIGGER profile_version_update ON profile_version;
DROP TRIGGER profile_version_delete ON profile_version;
DROP FUNCTION refuse_profile_version_delete;

CREATE TRIGGER profile_version_update
    BEFORE UPDATE OF container_id, version, source, create_time, author, note OR DELETE
    ON profile_version
    FOR EACH ROW EXECUTE FUNCTION refuse_profile_version_change();
