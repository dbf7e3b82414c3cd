// Which tokens were logged out before they expired: a set in memory, backed by a durable store.

/** Revocation is by issuer and token id, never by text: one token can be spelled in several ways. */
export interface Revocations {
  /**
   * Revokes a token. Durable before it resolves; the token is refused from the moment of the call. Repeating is harmless,
   * and needed after a rejection: the revocation then holds only until a restart.
   *
   * @throws RevocationsFullError, or whatever the store throws
   */
  revoke(issuer: string, jti: string, expiresAtMs: number): Promise<void>;
  /** As `revoke`, for several rows in one write, all or none. Rows that are known already cost nothing; one that now ends later is kept for longer. */
  learn(rows: readonly RevocationRow[]): Promise<void>;
  isRevoked(issuer: string, jti: string): boolean;
}

export interface RevocationRow {
  readonly issuer: string;
  readonly jti: string;
  /** When the token ends by itself, and the row is no longer needed. */
  readonly expiresAtMs: number;
}

/** Where revocations are kept. The functions may answer at once or with a promise. */
export interface RevocationStore {
  /** Writes the rows durably, all or none. Where one is there already, the one that ends later stays. */
  insert(rows: readonly RevocationRow[]): Promise<void> | void;
  /** All rows with `expiresAtMs` after `nowMs`. */
  load(nowMs: number): Promise<readonly RevocationRow[]> | readonly RevocationRow[];
  /** Removes all rows with `expiresAtMs` at or before `nowMs`. */
  deleteExpired(nowMs: number): Promise<void> | void;
}

/** More tokens are revoked than memory is meant for. None of those at hand was revoked. */
export class RevocationsFullError extends Error {
  override readonly name = 'RevocationsFullError';
  readonly code = 'REVOCATIONS_FULL';
  constructor() {
    super('too many tokens are logged out that have not expired; try again later');
  }
}

export interface RevocationsOptions {
  readonly store: RevocationStore;
  /** The wall clock, which the expiry of tokens is by, and which may step. */
  readonly nowMs: () => number;
  /** A clock that never steps. */
  readonly monotonicMs: () => number;
  readonly rowsMax?: number;
}

interface Revoked {
  expiresAtMs: number;
  /** On the steady clock: when the row has been known for as long as the token had to live when it was learnt. */
  staysUntilMs: number;
  isDurable: boolean;
}

/**
 * Loads the unexpired rows and drops the others. Expired ones are dropped again about once a minute, while logouts come.
 *
 * A row is dropped when it has expired by both clocks. If the wall clock alone could say so, one that steps ahead and back
 * would bring tokens back to life that were logged out. A row that has expired already when it is first seen may have been
 * written by the right clock and be read by a wrong one: it stays for CLOCK_ERROR_MAX_MS, if it expired no longer ago than that.
 */
export async function createRevocations({ store, nowMs, monotonicMs, rowsMax = REVOCATIONS_MAX }: RevocationsOptions): Promise<Revocations> {
  let sweptAtMs = monotonicMs();
  const overMs = nowMs() - CLOCK_ERROR_MAX_MS;
  await store.deleteExpired(overMs);
  const revoked = new RevokedTokens();
  for (const row of await store.load(overMs)) {
    revoked.set(row, { expiresAtMs: row.expiresAtMs, staysUntilMs: staysUntil(row.expiresAtMs), isDurable: true });
  }

  function staysUntil(expiresAtMs: number): number {
    const lifeMs = expiresAtMs - nowMs();
    return monotonicMs() + (lifeMs > 0 ? lifeMs : CLOCK_ERROR_MAX_MS);
  }

  async function sweep(): Promise<void> {
    sweptAtMs = monotonicMs();
    const now = nowMs();
    // The store deletes by expiry alone: all that expired before the first row that stays.
    let deletableMs = now;
    revoked.keep(({ expiresAtMs, staysUntilMs }) => {
      if (expiresAtMs > now) return true;
      if (staysUntilMs <= sweptAtMs) return false;
      deletableMs = Math.min(deletableMs, expiresAtMs - 1);
      return true;
    });
    await store.deleteExpired(deletableMs);
  }

  async function learn(rows: readonly RevocationRow[]): Promise<void> {
    if (monotonicMs() - sweptAtMs >= SWEEP_INTERVAL_MS) await sweep();
    const overMs = nowMs() - CLOCK_ERROR_MAX_MS;
    const added = rows.filter((row) => {
      const known = revoked.get(row);
      return row.expiresAtMs > overMs && (known?.isDurable !== true || known.expiresAtMs < row.expiresAtMs);
    });
    if (added.length === 0) return;
    const unknown = added.filter((row) => revoked.get(row) === undefined).length;
    if (unknown > 0 && revoked.size + unknown > rowsMax) throw new RevocationsFullError();
    for (const row of added) {
      const known = revoked.get(row);
      const longestMs = Math.max(row.expiresAtMs, known?.expiresAtMs ?? 0);
      revoked.set(row, { expiresAtMs: longestMs, staysUntilMs: Math.max(staysUntil(longestMs), known?.staysUntilMs ?? 0), isDurable: false });
    }
    await store.insert(added);
    for (const row of added) {
      const written = revoked.get(row);
      // It may have expired and gone meanwhile.
      if (written !== undefined) written.isDurable = true;
    }
  }

  return {
    revoke: (issuer, jti, expiresAtMs) => learn([{ issuer, jti, expiresAtMs }]),
    learn,
    isRevoked: (issuer, jti) => revoked.has(issuer, jti),
  };
}

/**
 * About 200 MB. A logout leaves a row for an hour and one for two, 10,800 rows for each logout a second: so the cap is 92 logouts a second
 * that go on for hours. Hashing alone is no bound, since a bank's thread lets 50 log in a second, and there are many banks; a
 * user name may log in 60 times in a minute, so it takes 92 customers together who do nothing else.
 */
const REVOCATIONS_MAX = 1_000_000;
const SWEEP_INTERVAL_MS = 60_000;
/** How far ahead the wall clock may be at a start, or when a row comes, without a logout being forgotten. */
const CLOCK_ERROR_MAX_MS = 2 * 3_600_000;

/** By issuer, which are few, and then by id: a look-up, of which each call makes two, then makes no text of both. */
class RevokedTokens {
  readonly #byIssuer = new Map<string, Map<string, Revoked>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(issuer: string, jti: string): boolean {
    return this.#byIssuer.get(issuer)?.has(jti) === true;
  }

  get({ issuer, jti }: RevocationRow): Revoked | undefined {
    return this.#byIssuer.get(issuer)?.get(jti);
  }

  set({ issuer, jti }: RevocationRow, token: Revoked): void {
    let ofIssuer = this.#byIssuer.get(issuer);
    if (ofIssuer === undefined) this.#byIssuer.set(issuer, (ofIssuer = new Map()));
    if (!ofIssuer.has(jti)) this.#size += 1;
    ofIssuer.set(jti, token);
  }

  /** Drops those that do not pass. */
  keep(stays: (token: Revoked) => boolean): void {
    for (const [issuer, ofIssuer] of this.#byIssuer) {
      for (const [jti, token] of ofIssuer) {
        if (stays(token)) continue;
        ofIssuer.delete(jti);
        this.#size -= 1;
      }
      if (ofIssuer.size === 0) this.#byIssuer.delete(issuer);
    }
  }
}
