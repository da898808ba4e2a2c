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
