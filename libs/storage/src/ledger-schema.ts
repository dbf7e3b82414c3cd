// A bank's store: accounts, users, legs, entries, deposits, login sessions.
//
// The large tables have no secondary index. History hangs on chains instead: an account points at its last entry and at the last
// transfer it pays (but for those in `prepared` and those that its later entries lead to, which start-up finds from there), and each of those points at the
// account's one before.
// Writing an entry is then a pure append. The account's row is written later, for many payments at once: an account is its row and its entries after that.
// The view `current_accounts` is that rule.
//
// A leg is written into the table of legs once, when it ends; until then it stands in `prepared`, but for what is prepared under an id that has a row, or
// taken over. One rule says what holds, also after a crash and for other programs: the state of a leg is its row in `legs`; without one, it is what `prepared` says. The view `all_legs` is that rule.

import { STARTS_SCHEMA } from './process-starts.ts';
import type { StoreKind } from './store-file.ts';

export const BANK_STORE: StoreKind = {
  title: 'bank store',
  applicationId: 0x5374426b, // "StBk"
  migrations: [
    `
    CREATE TABLE accounts (
      id INTEGER PRIMARY KEY,
      kind INTEGER NOT NULL,           -- see ACCOUNT_KINDS in account-table.ts
      name TEXT NOT NULL,              -- a customer's; "beta/EUR" for clearing; "EUR" for equity
      currency TEXT NOT NULL,
      posted INTEGER NOT NULL,
      held INTEGER NOT NULL CHECK (held >= 0),
      incoming INTEGER NOT NULL CHECK (incoming >= 0),
      floor INTEGER CHECK (posted - held >= floor),
      frozen INTEGER NOT NULL CHECK (frozen IN (0, 1)),
      last_entry INTEGER,              -- entries.seq
      last_transfer BLOB,              -- legs.id, of the transfers that it pays
      UNIQUE (kind, name)
    ) STRICT;

    CREATE TABLE users (
      account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
      username TEXT NOT NULL UNIQUE,
      password_hash TEXT NOT NULL
    ) STRICT;

    -- The coordinators' logs, by a number that is shorter in every leg.
    CREATE TABLE logs (number INTEGER PRIMARY KEY, log_id TEXT NOT NULL UNIQUE) STRICT;

    CREATE TABLE legs (
      id BLOB PRIMARY KEY,
      state INTEGER NOT NULL,          -- see LEG_STATES in leg-rows.ts
      attempt INTEGER NOT NULL,        -- when declined: the one whose hold that ended, or 0
      log INTEGER,                     -- while prepared and once committed
      fingerprint BLOB NOT NULL,
      side INTEGER,                    -- see SIDES in leg-rows.ts; null, like all terms, for a fence of an unknown id
      account_id INTEGER,              -- the customer whose leg it is
      payer TEXT,
      payee TEXT,
      peer TEXT,                       -- the other bank, or this one
      currency TEXT,
      amount INTEGER,
      memo TEXT,
      deadline_ms INTEGER,
      reason TEXT,                     -- when declined
      prepared_at_ms INTEGER NOT NULL,
      ended_at_ms INTEGER,             -- null while prepared
      previous BLOB                    -- the payer's transfer before this one
    ) STRICT, WITHOUT ROWID;
    -- Start-up finds here, without reading the others, the legs in doubt that have a row.
    CREATE INDEX legs_in_doubt ON legs (state) WHERE state = 0;

    CREATE TABLE entries (
      seq INTEGER PRIMARY KEY,
      account_id INTEGER NOT NULL,
      transfer_id BLOB,                -- null for a deposit
      amount INTEGER NOT NULL,
      posted INTEGER NOT NULL,         -- the account's balance after this entry
      at_ms INTEGER NOT NULL,
      previous INTEGER                 -- the account's entry before this one
    ) STRICT;
    CREATE TRIGGER entries_stay_as_written BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;
    CREATE TRIGGER entries_stay BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;

    CREATE TABLE deposits (
      entry INTEGER PRIMARY KEY,       -- the first of its two entries
      id BLOB UNIQUE,                  -- null for an opening balance
      account_id INTEGER NOT NULL,
      amount INTEGER NOT NULL,
      at_ms INTEGER NOT NULL
    ) STRICT;
    `,
    // What logins began. Refresh tokens are not stored: a generation and the bank's secret file make them.
    `
    CREATE TABLE sessions (
      id TEXT NOT NULL UNIQUE,
      account TEXT NOT NULL,           -- accounts.name, of a customer
      generation INTEGER NOT NULL,     -- of the refresh token that counts
      request_digest TEXT,             -- of the request by which it was given out; null for the first
      created_at_ms INTEGER NOT NULL,
      expires_at_ms INTEGER NOT NULL,
      ended_at_ms INTEGER              -- null while it goes on
    ) STRICT;
    CREATE INDEX sessions_going_on ON sessions (account) WHERE ended_at_ms IS NULL;
    CREATE INDEX sessions_by_expiry ON sessions (expires_at_ms);
    CREATE INDEX sessions_ended ON sessions (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
    `,
    // For timelines. A transfer that is settled by its first attempt has no row here.
    `
    ${STARTS_SCHEMA}
    CREATE TABLE earlier_attempts (
      id BLOB NOT NULL,                -- legs.id
      attempt INTEGER NOT NULL,
      ended INTEGER NOT NULL,          -- see ENDS in leg-attempts.ts
      prepared_at_ms INTEGER,          -- null if it was never held
      ended_at_ms INTEGER NOT NULL,
      PRIMARY KEY (id, attempt)
    ) STRICT, WITHOUT ROWID;
    `,
    // What is held and what is to come is the sum of the prepared legs, and no longer stored beside them: to hold writes no account.
    // Users point at accounts, so both are made anew.
    `
    CREATE TABLE accounts_without_holds (
      id INTEGER PRIMARY KEY,
      kind INTEGER NOT NULL,           -- see ACCOUNT_KINDS in account-table.ts
      name TEXT NOT NULL,              -- a customer's; "beta/EUR" for clearing; "EUR" for equity
      currency TEXT NOT NULL,
      posted INTEGER NOT NULL,
      floor INTEGER CHECK (posted >= floor),
      frozen INTEGER NOT NULL CHECK (frozen IN (0, 1)),
      last_entry INTEGER,              -- entries.seq
      last_transfer BLOB,              -- legs.id, of the transfers that it pays
      UNIQUE (kind, name)
    ) STRICT;
    INSERT INTO accounts_without_holds SELECT id, kind, name, currency, posted, floor, frozen, last_entry, last_transfer FROM accounts;
    CREATE TABLE users_of_accounts (
      account_id INTEGER PRIMARY KEY REFERENCES accounts_without_holds (id),
      username TEXT NOT NULL UNIQUE,
      password_hash TEXT NOT NULL
    ) STRICT;
    INSERT INTO users_of_accounts SELECT account_id, username, password_hash FROM users;
    DROP TABLE users;
    DROP TABLE accounts;
    ALTER TABLE accounts_without_holds RENAME TO accounts;
    ALTER TABLE users_of_accounts RENAME TO users;
    `,
    // A leg in doubt is no longer a row of its own, to be written when it is held and again when it ends. Those that an older program left in the table
    // of legs stay there, and so does what is prepared under an id that has a row already.
    `
    CREATE TABLE prepared (
      seq INTEGER PRIMARY KEY,         -- one for each write that held legs; it goes when the last of them has a row in legs
      at_ms INTEGER NOT NULL,          -- when they were prepared
      legs TEXT NOT NULL               -- a JSON array of what the view below takes apart; see prepared-legs.ts
    ) STRICT;

    -- What is in doubt, and has no row in legs.
    CREATE VIEW prepared_legs AS
      SELECT seq, unhex(value ->> 0, '-') AS id, 0 AS state, value ->> 1 AS attempt, value ->> 2 AS log, unhex(value ->> 3) AS fingerprint,
        value ->> 4 AS side, value ->> 5 AS account_id, value ->> 6 AS payer, value ->> 7 AS payee, value ->> 8 AS peer, value ->> 9 AS currency,
        CAST(value ->> 10 AS INTEGER) AS amount, value ->> 11 AS memo, value ->> 12 AS deadline_ms, NULL AS reason, at_ms AS prepared_at_ms,
        NULL AS ended_at_ms, unhex(value ->> 13, '-') AS previous
      FROM prepared, json_each(prepared.legs)
      WHERE NOT EXISTS (SELECT 1 FROM legs WHERE legs.id = unhex(value ->> 0, '-'));

    -- Every leg, once. In no order: who needs one reads legs and prepared_legs, which SQLite can merge by their ids.
    CREATE VIEW all_legs AS
      SELECT id, state, attempt, log, fingerprint, side, account_id, payer, payee, peer, currency, amount, memo, deadline_ms, reason, prepared_at_ms,
        ended_at_ms, previous FROM legs
      UNION ALL
      SELECT id, state, attempt, log, fingerprint, side, account_id, payer, payee, peer, currency, amount, memo, deadline_ms, reason, prepared_at_ms,
        ended_at_ms, previous FROM prepared_legs;
    `,
    // The row of an account is no longer written with each payment: what it does not show is in its entries.
    `
    CREATE TABLE accounts_shown (
      only INTEGER PRIMARY KEY CHECK (only = 1),
      up_to INTEGER NOT NULL           -- entries.seq: each account's row shows at least its entries up to this one
    ) STRICT;
    INSERT INTO accounts_shown SELECT 1, coalesce(max(seq), 0) FROM entries;

    -- Accounts as they are, but for last_transfer, which may be behind transfers that ended or are in doubt.
    CREATE VIEW current_accounts AS
      SELECT accounts.id, kind, name, currency, accounts.posted + coalesce(late.amount, 0) AS posted, floor, frozen,
        coalesce(late.seq, last_entry) AS last_entry, last_transfer
      FROM accounts LEFT JOIN (
        SELECT entries.account_id, sum(entries.amount) AS amount, max(entries.seq) AS seq
        FROM entries JOIN accounts ON accounts.id = entries.account_id
        WHERE entries.seq > (SELECT up_to FROM accounts_shown) AND entries.seq > coalesce(accounts.last_entry, 0)
        GROUP BY entries.account_id
      ) AS late ON late.account_id = accounts.id;
    `,
  ],
};
