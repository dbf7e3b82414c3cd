// A gateway's store: decisions, what of them is undelivered, revoked tokens, and the banks that were ever seen.

import { STARTS_SCHEMA } from './process-starts.ts';
import type { StoreKind } from './store-file.ts';

export const GATEWAY_STORE: StoreKind = {
  title: 'gateway store',
  applicationId: 0x53744777, // "StGw"
  migrations: [
    `
    CREATE TABLE decisions (
      id BLOB PRIMARY KEY,
      attempt INTEGER NOT NULL,
      fingerprint BLOB NOT NULL,
      outcome INTEGER NOT NULL,        -- see OUTCOMES in decision-rows.ts
      reason TEXT,                     -- of a decline, or why an abort is transient
      from_bank TEXT NOT NULL,
      from_account TEXT NOT NULL,
      to_bank TEXT NOT NULL,
      to_account TEXT NOT NULL,
      currency TEXT NOT NULL,
      amount INTEGER NOT NULL,
      memo TEXT NOT NULL,
      created_at_ms INTEGER NOT NULL,
      decided_at_ms INTEGER NOT NULL,
      seq INTEGER NOT NULL             -- the id's place in undelivered, for ever
    ) STRICT, WITHOUT ROWID;

    -- The decisions that are not known to be delivered, oldest first. Short whatever the age of the log, so that a start reads
    -- little; rows are appended at one end and leave near the other, which an index over the flag of a large table would not do.
    CREATE TABLE undelivered (seq INTEGER PRIMARY KEY, id BLOB NOT NULL) STRICT;

    -- The next free seq: rows leave undelivered, so its own maximum may fall.
    CREATE TABLE sequence (only INTEGER PRIMARY KEY CHECK (only = 1), next INTEGER NOT NULL) STRICT;
    INSERT INTO sequence (only, next) VALUES (1, 1);

    CREATE TABLE revocations (
      issuer TEXT NOT NULL,
      jti TEXT NOT NULL,
      expires_at_ms INTEGER NOT NULL,
      PRIMARY KEY (issuer, jti)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX revocations_by_expiry ON revocations (expires_at_ms);

    CREATE TABLE known_banks (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    `,
    // Revocations get a place in a sequence, so that another gateway can ask for what is new. AUTOINCREMENT: a place is never
    // given twice, also when the last rows have expired and gone.
    `
    CREATE TABLE numbered_revocations (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      issuer TEXT NOT NULL,
      jti TEXT NOT NULL,
      expires_at_ms INTEGER NOT NULL,
      UNIQUE (issuer, jti)
    ) STRICT;
    INSERT INTO numbered_revocations (issuer, jti, expires_at_ms)
      SELECT issuer, jti, expires_at_ms FROM revocations ORDER BY expires_at_ms, issuer, jti;
    DROP TABLE revocations;
    ALTER TABLE numbered_revocations RENAME TO revocations;
    CREATE INDEX revocations_by_expiry ON revocations (expires_at_ms);
    `,
    // For timelines. A transfer that is decided by its first attempt has no row here.
    `
    ${STARTS_SCHEMA}
    -- Aborts that the decision about a later attempt took the place of.
    CREATE TABLE earlier_attempts (
      id BLOB NOT NULL,                -- decisions.id
      attempt INTEGER NOT NULL,
      why TEXT NOT NULL,
      created_at_ms INTEGER NOT NULL,
      decided_at_ms INTEGER NOT NULL,
      PRIMARY KEY (id, attempt)
    ) STRICT, WITHOUT ROWID;
    `,
    // What waits for delivery is kept as runs: the ids at the places seq, seq + 1 and so on, 16 bytes each. What was there are runs of one.
    `
    ALTER TABLE undelivered RENAME COLUMN id TO ids;
    `,
  ],
};
