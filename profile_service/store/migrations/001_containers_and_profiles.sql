-- The hierarchy, and the profile versions attached to it.

CREATE TABLE container (
    -- A name that is deleted and made again is another container: its etags, and
    -- decisions about its versions, are not those of the old one.
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT container_pkey PRIMARY KEY,
    -- The resource name. Its order is that of its bytes, whatever the database's.
    name text COLLATE "C" NOT NULL CONSTRAINT container_name_key UNIQUE,
    -- NULL for a site.
    parent_id bigint CONSTRAINT container_parent_id_fkey REFERENCES container (id)
        ON DELETE RESTRICT,
    display_name text NOT NULL,
    -- Whether de-identification is on. Sites have it, and nothing else.
    enforced boolean,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    -- Counts changes of the container, for its etag.
    revision bigint NOT NULL DEFAULT 1,
    -- The version that is attached now; NULL when none is.
    current_version bigint,
    -- The version that was made last; 0 when none was.
    latest_version bigint NOT NULL DEFAULT 0,
    -- Counts changes of what is attached, for the etag of the profile.
    profile_revision bigint NOT NULL DEFAULT 0,
    CONSTRAINT container_enforced_check CHECK ((parent_id IS NULL) = (enforced IS NOT NULL))
);

-- The children of a container in the order of their names, and whether it has any.
CREATE INDEX container_parent_id_name_idx ON container (parent_id, name);
CREATE INDEX container_site_name_idx ON container (name) WHERE parent_id IS NULL;

CREATE TABLE profile_version (
    container_id bigint NOT NULL CONSTRAINT profile_version_container_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    version bigint NOT NULL CONSTRAINT profile_version_version_check CHECK (version > 0),
    -- The text as UTF-8. Bytes, because a text that is stored although it is
    -- invalid may hold characters that a PostgreSQL text cannot.
    source bytea NOT NULL
        CONSTRAINT profile_version_source_check CHECK (octet_length(source) <= 1048576),
    sha256 bytea NOT NULL GENERATED ALWAYS AS (sha256(source)) STORED,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- What a validator said of the text. This alone can change: a newer validator
    -- decides again.
    validator_version text NOT NULL,
    valid boolean NOT NULL,
    blank boolean NOT NULL,
    -- Lists of objects; NULL for none. json keeps what jsonb refuses: a quoted U+0000.
    violations json,
    warnings json,
    CONSTRAINT profile_version_pkey PRIMARY KEY (container_id, version),
    CONSTRAINT profile_version_valid_check CHECK (valid = (violations IS NULL))
);

ALTER TABLE container
    ADD CONSTRAINT container_current_version_fkey
    FOREIGN KEY (id, current_version) REFERENCES profile_version (container_id, version),
    ADD CONSTRAINT container_current_version_check CHECK (current_version <= latest_version);

CREATE FUNCTION refuse_profile_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A profile version is never changed; it goes with its container.'
        USING ERRCODE = 'integrity_constraint_violation',
              CONSTRAINT = 'profile_version_immutable';
END
$$;

CREATE TRIGGER profile_version_update
    BEFORE UPDATE OF container_id, version, source, create_time ON profile_version
    FOR EACH ROW EXECUTE FUNCTION refuse_profile_version_change();

CREATE TRIGGER profile_version_truncate
    BEFORE TRUNCATE ON profile_version
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_profile_version_change();

-- Within the deletion of a container, the container is already gone.
CREATE FUNCTION refuse_profile_version_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM container WHERE id = OLD.container_id) THEN
        RAISE EXCEPTION 'A profile version is never deleted; it goes with its container.'
            USING ERRCODE = 'integrity_constraint_violation',
                  CONSTRAINT = 'profile_version_immutable';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER profile_version_delete
    BEFORE DELETE ON profile_version
    FOR EACH ROW EXECUTE FUNCTION refuse_profile_version_delete();
