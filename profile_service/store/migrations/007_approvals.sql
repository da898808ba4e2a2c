-- Changes that a second person approves before they are in force.

ALTER TABLE container
    ADD COLUMN approval_required boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT container_approval_required_check
        CHECK (NOT approval_required OR parent_id IS NULL);

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
