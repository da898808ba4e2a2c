-- The schema as it is after all migrations: the hierarchy, the profile versions attached to
-- it, and what was done by whom. For people to read; databases are made by the migrations,
-- and a test proves that both give the same.

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
    CONSTRAINT container_enforced_check CHECK ((parent_id IS NULL) = (enforced IS NOT NULL)),
    -- What is attached to a site or a group, or is not, holds for all levels below.
    profile_locked boolean NOT NULL DEFAULT false,
    CONSTRAINT container_profile_locked_check
        CHECK (NOT profile_locked OR name !~ '/(projects|devices)/'),
    -- Whether what became of files is told in the audit. Of sites alone; NULL where it is, as
    -- far as it can be; 'required' where no file goes out that is not told of.
    file_audit text,
    CONSTRAINT container_file_audit_check
        CHECK (file_audit IS NULL OR parent_id IS NULL AND file_audit IN ('off', 'required')),
    -- Whether what is changed in a site must be approved by a second person.
    approval_required boolean NOT NULL DEFAULT false,
    CONSTRAINT container_approval_required_check
        CHECK (NOT approval_required OR parent_id IS NULL)
);

-- The children of a container in the order of their names, and whether it has any.
CREATE INDEX container_parent_id_name_idx ON container (parent_id, name);
CREATE INDEX container_site_name_idx ON container (name) WHERE parent_id IS NULL;

CREATE TABLE profile_version (
    -- Of a container, or of one that was deleted: receipts name versions.
    container_id bigint NOT NULL,
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
    -- Who set it, and why; the empty text where nobody knows.
    author text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    CONSTRAINT profile_version_pkey PRIMARY KEY (container_id, version),
    CONSTRAINT profile_version_valid_check CHECK (valid = (violations IS NULL))
);

-- What a valid text needs keys for: scope, generation (0: the one in use) and purposes, as
-- site/0/hash,uid; and what it looks up in tables, as site/0//trial:code,trial:days. NULL where
-- it needs none. Part of what the validator says.
ALTER TABLE profile_version ADD COLUMN key_use text;

-- The key of each site, from which the keys of its streams are derived.
CREATE TABLE site_key (
    site_id bigint NOT NULL CONSTRAINT site_key_site_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    -- From 1; the greatest is in use, unless a profile names another.
    generation integer NOT NULL CONSTRAINT site_key_generation_check CHECK (generation > 0),
    -- Which master key it is encrypted with: a digest, 8 bytes.
    master_key bytea NOT NULL,
    -- AES-256-GCM: a nonce of 12 bytes, the key, and a tag of 16 bytes.
    sealed bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT site_key_pkey PRIMARY KEY (site_id, generation)
);

-- The codes that patients were given.
CREATE TABLE code_series (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT code_series_pkey PRIMARY KEY,
    -- The site, group, project or device within which no code is given twice.
    scope_id bigint NOT NULL CONSTRAINT code_series_scope_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    -- What all its codes have in common, with {} for the number.
    name text COLLATE "C" NOT NULL,
    -- The greatest number that was given in order.
    last bigint NOT NULL DEFAULT 0,
    CONSTRAINT code_series_scope_id_name_key UNIQUE (scope_id, name)
);

CREATE TABLE subject_code (
    series_id bigint NOT NULL CONSTRAINT subject_code_series_id_fkey
        REFERENCES code_series (id) ON DELETE CASCADE,
    -- The patient, as an HMAC under a key of the site.
    digest bytea NOT NULL,
    number bigint NOT NULL CONSTRAINT subject_code_number_check CHECK (number > 0),
    code text COLLATE "C" NOT NULL,
    -- The patient, encrypted with a master key: which one, and the encrypted text.
    master_key bytea NOT NULL,
    sealed bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subject_code_pkey PRIMARY KEY (series_id, digest),
    CONSTRAINT subject_code_series_id_number_key UNIQUE (series_id, number)
);

-- Tables of patients.

CREATE TABLE patient_table (
    -- A table that is deleted and made again under the same name is another one.
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT patient_table_pkey PRIMARY KEY,
    container_id bigint NOT NULL CONSTRAINT patient_table_container_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL,
    -- Its secret, encrypted with a master key: which one, and the encrypted secret.
    master_key bytea NOT NULL,
    sealed bytea NOT NULL,
    -- The version that was made last; 0 while the first is on its way.
    latest_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT patient_table_container_id_name_key UNIQUE (container_id, name)
);

CREATE TABLE patient_table_version (
    table_id bigint NOT NULL CONSTRAINT patient_table_version_table_id_fkey
        REFERENCES patient_table (id) ON DELETE CASCADE,
    version bigint NOT NULL CONSTRAINT patient_table_version_version_check CHECK (version > 0),
    -- The version that replaced all before it: the rows are those since then.
    base bigint NOT NULL
        CONSTRAINT patient_table_version_base_check CHECK (base BETWEEN 1 AND version),
    -- How many columns say who a patient is, and the names of the others.
    originals integer NOT NULL,
    columns text[] NOT NULL,
    rows bigint NOT NULL,
    rows_added bigint NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- Who made it, and why; the empty text where nobody knows.
    author text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    CONSTRAINT patient_table_version_pkey PRIMARY KEY (table_id, version)
);

CREATE TABLE patient_row (
    -- Of a table, or of one that was deleted and whose secret is gone: see below.
    table_id bigint NOT NULL,
    -- The version that it came with, and the line that it had in the text.
    since bigint NOT NULL,
    line integer NOT NULL,
    -- The patient, as an HMAC under a key of the table.
    digest bytea NOT NULL,
    -- The code, as another one; NULL where there is none.
    code_digest bytea,
    -- AES-256-GCM under a key of the table: a nonce of 12 bytes, the row, and a tag of 16 bytes.
    sealed bytea NOT NULL
);

-- That no patient stands in a version twice is made sure of when it is made: who is told
-- the lines can mend them.
CREATE INDEX patient_row_table_id_digest_idx ON patient_row (table_id, digest);

-- Rows that nobody can read any more: of a table, those that came before a version. They
-- are removed some at a time, so that no change waits for a million of them.
CREATE TABLE patient_row_gone (
    table_id bigint NOT NULL,
    before bigint NOT NULL,
    CONSTRAINT patient_row_gone_pkey PRIMARY KEY (table_id, before)
);

CREATE FUNCTION patient_table_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO patient_row_gone (table_id, before) VALUES (OLD.id, 9223372036854775807);
    RETURN OLD;
END
$$;

CREATE TRIGGER patient_table_gone AFTER DELETE ON patient_table
    FOR EACH ROW EXECUTE FUNCTION patient_table_gone();

ALTER TABLE container
    ADD CONSTRAINT container_current_version_fkey
    FOREIGN KEY (id, current_version) REFERENCES profile_version (container_id, version),
    ADD CONSTRAINT container_current_version_check CHECK (current_version <= latest_version);

-- Names of containers that are gone, of which versions are left.
CREATE TABLE deleted_container (
    id bigint CONSTRAINT deleted_container_pkey PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    delete_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deleted_container_name_idx ON deleted_container (name);

CREATE FUNCTION refuse_profile_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A profile version is never changed, nor deleted.'
        USING ERRCODE = 'integrity_constraint_violation',
              CONSTRAINT = 'profile_version_immutable';
END
$$;

CREATE TRIGGER profile_version_update
    BEFORE UPDATE OF container_id, version, source, create_time, author, note OR DELETE
    ON profile_version
    FOR EACH ROW EXECUTE FUNCTION refuse_profile_version_change();

CREATE TRIGGER profile_version_truncate
    BEFORE TRUNCATE ON profile_version
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_profile_version_change();

-- Changes that a second person approves before they are in force.
CREATE TABLE change_proposal (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT change_proposal_pkey PRIMARY KEY,
    container_id bigint NOT NULL CONSTRAINT change_proposal_container_id_fkey
        REFERENCES container (id) ON DELETE CASCADE,
    -- The call that would make it, and its request as the contract writes it.
    method text NOT NULL,
    request bytea NOT NULL,
    note text NOT NULL,
    -- Who proposed it: for people, and so that it is told whether another one approves.
    author text NOT NULL,
    author_identity text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    -- NULL while nobody has decided.
    approved boolean,
    decided_by text NOT NULL DEFAULT '',
    decide_time timestamptz
);

CREATE INDEX change_proposal_container_id_idx ON change_proposal (container_id, id);

-- --- Audit: a chain of events for each site, to which is only ever added ---------------

CREATE TABLE audit_chain (
    -- The resource name of the site; the empty text for what is about no site. A chain stays
    -- when its site is deleted, and goes on when one of that name is made anew.
    site text COLLATE "C" NOT NULL CONSTRAINT audit_chain_pkey PRIMARY KEY,
    -- The event that was added last, and its hash.
    number bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    -- The event up to which what was kept for long enough is gone, and its hash.
    expired_number bigint NOT NULL DEFAULT 0,
    expired_hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
) WITH (fillfactor = 50);

CREATE TABLE audit_event (
    site text COLLATE "C" NOT NULL,
    -- From 1, without gaps.
    number bigint NOT NULL,
    time timestamptz NOT NULL,
    -- SHA-256 of the hash before, and of site, number, microseconds since 1970 and event, each
    -- but the first after a line end.
    hash bytea NOT NULL,
    -- One object, written in one way: keys in order, no spaces. json keeps a text as it is.
    event json NOT NULL,
    -- What is searched by, read from the event, so that it cannot say anything else.
    resource text COLLATE "C" NOT NULL GENERATED ALWAYS AS (event ->> 'resource') STORED,
    action text NOT NULL GENERATED ALWAYS AS (event ->> 'action') STORED,
    subject text NOT NULL GENERATED ALWAYS AS (event -> 'actor' ->> 'subject') STORED,
    CONSTRAINT audit_event_pkey PRIMARY KEY (site, number),
    -- Of files: who records them again, not knowing that they were, adds nothing.
    batch text GENERATED ALWAYS AS (event ->> 'batch') STORED
);

CREATE UNIQUE INDEX audit_event_batch_key ON audit_event (batch) WHERE batch IS NOT NULL;

-- For how long events are kept: for ever while it is empty. Its owner sets it, the role of
-- the service cannot.
CREATE TABLE audit_retention (
    one boolean NOT NULL DEFAULT true CONSTRAINT audit_retention_pkey PRIMARY KEY
        CONSTRAINT audit_retention_one_check CHECK (one),
    keep interval NOT NULL CONSTRAINT audit_retention_keep_check CHECK (keep >= interval '1 day')
);

-- The only way in. Who adds to the chain of a site waits for who has done so and not yet
-- committed: of one site one at a time, and no site for another. What is about a site that
-- never was is told in the chain of none, so that nobody makes chains by asking for names.
CREATE FUNCTION audit_append(about text, what json) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    chain audit_chain;
    at timestamptz;
BEGIN
    SELECT * INTO chain FROM audit_chain WHERE site = about FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        INSERT INTO audit_chain (site)
            SELECT coalesce((SELECT name FROM container
                             WHERE name = about AND parent_id IS NULL), '')
            ON CONFLICT DO NOTHING;
        SELECT * INTO chain FROM audit_chain WHERE site IN (about, '')
            ORDER BY site DESC LIMIT 1 FOR NO KEY UPDATE;
    END IF;
    -- Who tells it again does not know that it was told.
    IF EXISTS (SELECT FROM audit_event WHERE batch = what ->> 'batch') THEN
        RETURN 0;
    END IF;
    at := clock_timestamp();
    chain.number := chain.number + 1;
    chain.hash := sha256(chain.hash || convert_to(
        chain.site || E'\n' || chain.number || E'\n'
            || (extract(epoch FROM at) * 1000000)::bigint || E'\n' || what::text,
        'UTF8'));
    INSERT INTO audit_event (site, number, time, hash, event)
        VALUES (chain.site, chain.number, at, chain.hash, what);
    UPDATE audit_chain SET number = chain.number, hash = chain.hash WHERE site = chain.site;
    RETURN chain.number;
END
$$;

-- Removes what was kept for long enough, from the beginning of a chain, some thousand events
-- at a time, and returns how many. That it did is an event, with the hash that the rest goes
-- on from.
CREATE FUNCTION audit_expire(about text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    chain audit_chain;
    until timestamptz;
    last audit_event;
BEGIN
    SELECT now() - keep INTO until FROM audit_retention;
    SELECT * INTO chain FROM audit_chain WHERE site = about FOR NO KEY UPDATE;
    SELECT * INTO last FROM audit_event
        WHERE site = about AND number <= chain.expired_number + 5000
            AND number < coalesce((SELECT number FROM audit_event
                                   WHERE site = about AND time >= until
                                   ORDER BY number LIMIT 1), chain.number + 1)
        ORDER BY number DESC LIMIT 1;
    IF until IS NULL OR NOT FOUND THEN
        RETURN 0;
    END IF;
    PERFORM audit_append(about, format(
        '{"action":"audit.expire","actor":{"credential":"none","subject":"retention"},'
            '"after":{"hash":"%s","number":%s},"before":{"number":%s},'
            '"outcome":"done","resource":%s}',
        encode(last.hash, 'hex'), last.number, chain.expired_number, to_json(about))::json);
    UPDATE audit_chain SET expired_number = last.number, expired_hash = last.hash
        WHERE site = about;
    DELETE FROM audit_event WHERE site = about AND number <= last.number;
    RETURN last.number - chain.expired_number;
END
$$;

-- Both run with the rights of their owner: nothing that a caller made may stand in the place
-- of their tables.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_append SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION audit_expire SET search_path = %I, pg_temp', current_schema());
END
$$;

REVOKE EXECUTE ON FUNCTION audit_append, audit_expire FROM PUBLIC;

-- Also for the owner, whom rights do not stop.
CREATE FUNCTION refuse_audit_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.number <= (SELECT expired_number FROM audit_chain WHERE site = OLD.site) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'An audit event is never changed, and goes only when it has expired.'
        USING ERRCODE = 'integrity_constraint_violation',
              CONSTRAINT = 'audit_event_immutable';
END
$$;

CREATE TRIGGER audit_event_change
    BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_event_change();

CREATE TRIGGER audit_event_truncate
    BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_event_change();

-- API keys, roles and who has them.

CREATE TABLE api_key (
    -- Random, and never given to another key.
    id text COLLATE "C" CONSTRAINT api_key_pkey PRIMARY KEY,
    -- Where it was made, and goes with; NULL for all sites.
    container_id bigint CONSTRAINT api_key_container_id_fkey REFERENCES container (id)
        ON DELETE CASCADE,
    -- SHA-256 of the whole key, which is too random to be guessed.
    hash bytea NOT NULL CONSTRAINT api_key_hash_check CHECK (octet_length(hash) = 32),
    display_name text NOT NULL,
    creator text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz,
    revoke_time timestamptz,
    last_use_time timestamptz
);

CREATE INDEX api_key_container_id_id_idx ON api_key (container_id, id);

-- The roles that a site has made; those that are built in are in the code.
CREATE TABLE custom_role (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT custom_role_pkey PRIMARY KEY,
    site_id bigint NOT NULL CONSTRAINT custom_role_site_id_fkey REFERENCES container (id)
        ON DELETE CASCADE,
    -- The resource name.
    name text COLLATE "C" NOT NULL CONSTRAINT custom_role_name_key UNIQUE,
    -- Names of permissions, with spaces between.
    permissions text NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX custom_role_site_id_name_idx ON custom_role (site_id, name);

-- That a principal has a role on a container and below. By the identity of the container:
-- one that is made anew under the same name has none of them.
CREATE TABLE binding (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT binding_pkey PRIMARY KEY,
    -- NULL for all sites.
    container_id bigint CONSTRAINT binding_container_id_fkey REFERENCES container (id)
        ON DELETE CASCADE,
    principal text COLLATE "C" NOT NULL,
    -- A role that is built in, or the name of one of the site.
    role text COLLATE "C" NOT NULL,
    -- A site is deleted with its bindings and roles at once, in whichever order.
    custom_role_id bigint CONSTRAINT binding_custom_role_id_fkey REFERENCES custom_role (id)
        ON DELETE NO ACTION,
    -- What it gives, for those who ask often: the role itself where it is built in, else the
    -- permissions of the role of the site.
    words text NOT NULL,
    -- The key that the principal is, if it is one.
    key_id text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN starts_with(principal, 'key:') THEN substr(principal, 5) END
    ) STORED CONSTRAINT binding_key_id_fkey REFERENCES api_key (id) ON DELETE CASCADE,
    creator text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX binding_key ON binding (principal, coalesce(container_id, 0), role);
CREATE INDEX binding_container_id_idx ON binding (container_id, principal, role);
CREATE INDEX binding_key_id_idx ON binding (key_id);
CREATE INDEX binding_custom_role_id_idx ON binding (custom_role_id);
