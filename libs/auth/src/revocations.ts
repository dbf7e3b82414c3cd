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
  /** As `revoke`, for several rows in one write. Rows that are known already cost nothing; one that now ends later is kept for longer. */
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

/** More tokens are revoked than memory is meant for. The token at hand was not revoked. */
export class RevocationsFullError extends Error {
  override readonly name = 'RevocationsFullError';
  readonly code = 'REVOCATIONS_FULL';
  constructor() {
    super(`more than ${REVOCATIONS_MAX} unexpired tokens are logged out; try again later`);
  }
}

/** Loads the unexpired rows and drops the others. Expired ones are dropped again about once a minute, while logouts come. */
export async function createRevocations({ store, nowMs }: {
  store: RevocationStore;
  nowMs: () => number;
}): Promise<Revocations> {
  let sweptAtMs = nowMs();
  await store.deleteExpired(sweptAtMs);
  const revoked = new Map((await store.load(sweptAtMs)).map(
    ({ issuer, jti, expiresAtMs }) => [keyOf(issuer, jti), { expiresAtMs, isDurable: true }],
  ));

  async function sweep(now: number): Promise<void> {
    sweptAtMs = now;
    for (const [key, { expiresAtMs }] of revoked) if (expiresAtMs <= now) revoked.delete(key);
    await store.deleteExpired(now);
  }

  async function learn(rows: readonly RevocationRow[]): Promise<void> {
    const now = nowMs();
    if (now - sweptAtMs >= SWEEP_INTERVAL_MS) await sweep(now);
    const added: RevocationRow[] = [];
    for (const row of rows) {
      const key = keyOf(row.issuer, row.jti);
      const known = revoked.get(key);
      if (row.expiresAtMs <= now || (known?.isDurable === true && known.expiresAtMs >= row.expiresAtMs)) continue;
      if (revoked.size >= REVOCATIONS_MAX && known === undefined) throw new RevocationsFullError();
      revoked.set(key, { expiresAtMs: Math.max(row.expiresAtMs, known?.expiresAtMs ?? 0), isDurable: false });
      added.push(row);
    }
    if (added.length === 0) return;
    await store.insert(added);
    for (const { issuer, jti } of added) {
      const written = revoked.get(keyOf(issuer, jti));
      // It may have expired and gone meanwhile.
      if (written !== undefined) written.isDurable = true;
    }
  }

  return {
    revoke: (issuer, jti, expiresAtMs) => learn([{ issuer, jti, expiresAtMs }]),
    learn,
    isRevoked: (issuer, jti) => revoked.has(keyOf(issuer, jti)),
  };
}

/** About 200 MB. Each login costs an argon2 hash, so that some hours of them stay far below. */
const REVOCATIONS_MAX = 1_000_000;
const SWEEP_INTERVAL_MS = 60_000;

/** JSON keeps the two apart whatever characters they have. */
function keyOf(issuer: string, jti: string): string {
  return JSON.stringify([issuer, jti]);
}
