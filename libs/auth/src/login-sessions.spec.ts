// Refresh tokens: each counts once, a lost answer can be asked for again, and a token that comes a second time ends its session.

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  openLoginSessions, RefreshTokenError, SESSIONS_KEPT_MAX, type GoneOnSession, type LoginSessionRow, type LoginSessions, type LoginSessionStore,
} from './login-sessions.ts';
import { createRefreshTokens, sessionIdOf } from './refresh-tokens.ts';

const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LIFETIME_MS = 30 * DAY_MS;
const SECRET = randomBytes(32);

/** What a store holds, in memory, and how often it was written. */
class Rows implements LoginSessionStore {
  readonly rows = new Map<string, LoginSessionRow>();
  writes = 0;

  insert(row: LoginSessionRow, keptMax: number): void {
    this.#put(row);
    const live = [...this.rows.values()].filter(({ account, endedAtMs, expiresAtMs }) => account === row.account && endedAtMs === null && expiresAtMs > row.createdAtMs);
    for (const old of live.slice(0, Math.max(0, live.length - keptMax))) this.rows.set(old.id, { ...old, expiresAtMs: row.createdAtMs });
  }

  find(id: string): LoginSessionRow | undefined {
    return this.rows.get(id);
  }

  advance(id: string, generation: number, requestDigest: string): void {
    this.#put({ ...this.rows.get(id)!, generation, requestDigest });
  }

  end(id: string, atMs: number): void {
    const row = this.rows.get(id);
    if (row !== undefined && row.endedAtMs === null) this.#put({ ...row, endedAtMs: atMs });
  }

  endedAfter(atMs: number): { id: string; endedAtMs: number }[] {
    return [...this.rows.values()].flatMap(({ id, endedAtMs }) => (endedAtMs !== null && endedAtMs > atMs ? [{ id, endedAtMs }] : []));
  }

  removeOver(atMs: number): void {
    for (const { id, expiresAtMs, endedAtMs } of this.rows.values()) if (expiresAtMs <= atMs || (endedAtMs ?? Infinity) <= atMs) this.rows.delete(id);
  }

  #put(row: LoginSessionRow): void {
    this.writes += 1;
    this.rows.set(row.id, row);
  }
}

let nowMs: number;
let steadyMs: number;
let store: Rows;
let sessions: LoginSessions;

const open = (secret: Uint8Array = SECRET, bank = 'alpha'): LoginSessions =>
  openLoginSessions({ store, secret, bank, lifetimeMs: LIFETIME_MS, grantLifetimeMs: HOUR_MS, nowMs: () => nowMs, monotonicMs: () => steadyMs });

beforeEach(() => {
  nowMs = START_MS;
  steadyMs = 50;
  store = new Rows();
  sessions = open();
});

function pass(ms: number): void {
  nowMs += ms;
  steadyMs += ms;
}

const admitAll = (): void => undefined;
const request = (name: string): string => name.padEnd(16, '-');
const refresh = (token: string, requestId = request('one')): GoneOnSession => sessions.refresh(token, requestId, admitAll);

function refusal(token: string, requestId = request('other')): string {
  try {
    refresh(token, requestId);
  } catch (error) {
    expect(error).toBeInstanceOf(RefreshTokenError);
    expect((error as Error).message).toMatch(/^refresh_token: .*log in again$/);
    if (token.length > 60) expect((error as Error).message).not.toContain(token);
    return (error as RefreshTokenError).code;
  }
  return 'accepted';
}

describe('a refresh token', () => {
  it('gives the next one of the same session, for one write, and ends when the login said', () => {
    const first = sessions.open('alice');
    expect(first.expiresAtMs).toBe(START_MS + LIFETIME_MS);
    expect(sessionIdOf(first.refreshToken)).toBe(first.id);
    expect(sessions.idOf(first.refreshToken)).toBe(first.id);
    const before = store.writes;
    pass(DAY_MS);
    const second = refresh(first.refreshToken);
    expect(second).toMatchObject({ id: first.id, expiresAtMs: first.expiresAtMs });
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect(store.writes - before).toBe(1);
  });

  it('is answered the same, without a write, when its request is sent again, also after a restart', () => {
    const { refreshToken } = sessions.open('alice');
    const answer = refresh(refreshToken);
    const before = store.writes;
    expect(refresh(refreshToken)).toEqual(answer);
    sessions = open();
    expect(refresh(refreshToken)).toEqual(answer);
    expect(store.writes).toBe(before);
  });

  it('ends its session when another request brings it a second time', () => {
    const { id, refreshToken } = sessions.open('alice');
    const { refreshToken: next } = refresh(refreshToken);
    expect(refusal(refreshToken)).toBe('REFRESH_TOKEN_REUSED');
    expect(sessions.hasEnded(id)).toBe(true);
    expect([refusal(next), refusal(refreshToken, request('one'))]).toEqual(['SESSION_REVOKED', 'SESSION_REVOKED']);
    sessions = open();
    expect([sessions.hasEnded(id), refusal(next)]).toEqual([true, 'SESSION_REVOKED']);
  });

  it('ends its session when its own request comes after the next token was used', () => {
    const { refreshToken } = sessions.open('alice');
    refresh(refresh(refreshToken).refreshToken, request('two'));
    expect(refusal(refreshToken, request('one'))).toBe('REFRESH_TOKEN_REUSED');
  });

  it('expires with its session, and is still called expired when nothing is known of it any more', () => {
    const { refreshToken } = sessions.open('alice');
    pass(LIFETIME_MS - 1);
    const { refreshToken: next } = refresh(refreshToken);
    pass(1);
    expect(refusal(next)).toBe('REFRESH_TOKEN_EXPIRED');
    pass(2 * DAY_MS);
    sessions.open('bob');
    expect(store.rows.size).toBe(1);
    expect(refusal(next)).toBe('REFRESH_TOKEN_EXPIRED');
  });

  it('is not used up by a refresh that is not admitted', () => {
    const { refreshToken } = sessions.open('alice');
    const asked: string[] = [];
    expect(() => sessions.refresh(refreshToken, request('one'), (account) => {
      asked.push(account);
      throw new Error('frozen');
    })).toThrow('frozen');
    expect(asked).toEqual(['alice']);
    expect(refusal(refreshToken)).toBe('accepted');
  });

  it('is worth nothing under another secret, at another bank, or where the store came back from a backup', () => {
    const { refreshToken, id } = sessions.open('alice');
    const backup = store.rows.get(id)!;
    const { refreshToken: next } = refresh(refreshToken);
    sessions = open(randomBytes(32));
    expect(refusal(next)).toBe('REFRESH_TOKEN_INVALID');
    sessions = open(SECRET, 'beta');
    expect(refusal(next)).toBe('REFRESH_TOKEN_INVALID');
    store.rows.set(id, backup);
    sessions = open();
    expect(refusal(next)).toBe('REFRESH_TOKEN_INVALID');
    expect(refusal(refreshToken)).toBe('accepted');
  });

  it('has one spelling, and nothing made up or changed ends a session', () => {
    const { id, refreshToken } = sessions.open('alice');
    refresh(refreshToken);
    const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= ');
    fc.assert(fc.property(fc.nat(refreshToken.length - 1), character, (place, other) => {
      const changed = refreshToken.slice(0, place) + other + refreshToken.slice(place + 1);
      fc.pre(changed !== refreshToken);
      expect(refusal(changed)).toBe('REFRESH_TOKEN_INVALID');
    }));
    fc.assert(fc.property(fc.string(), (text) => refusal(text) === 'REFRESH_TOKEN_INVALID'));
    for (const text of ['', `${refreshToken}\n`, refreshToken.replace('.1.', '.01.'), refreshToken.replace('.1.', '.0.')]) expect(refusal(text)).toBe('REFRESH_TOKEN_INVALID');
    expect(sessions.hasEnded(id)).toBe(false);
  });

  it('behaves, whatever is sent in whatever order, as a list of tokens of which the last one counts', () => {
    const send = fc.record({ token: fc.nat(6), requestId: fc.constantFrom(request('a'), request('b')), restart: fc.boolean() });
    fc.assert(fc.property(fc.array(send, { maxLength: 12 }), (sends) => {
      const given = [sessions.open('alice').refreshToken];
      const usedBy: string[] = [];
      let over = false;
      for (const { token, requestId, restart } of sends) {
        if (restart) sessions = open();
        const index = token % given.length;
        const isNewest = index === given.length - 1;
        const isRepeat = index === given.length - 2 && usedBy[index] === requestId;
        let answer = '';
        const code = ((): string => {
          try {
            answer = refresh(given[index]!, requestId).refreshToken;
            return 'accepted';
          } catch (error) {
            return (error as RefreshTokenError).code;
          }
        })();
        if (over) expect(code).toBe('SESSION_REVOKED');
        else if (!isNewest && !isRepeat) {
          expect(code).toBe('REFRESH_TOKEN_REUSED');
          over = true;
        } else {
          expect(code).toBe('accepted');
          if (isNewest) {
            expect(given).not.toContain(answer);
            usedBy[index] = requestId;
            given.push(answer);
          } else expect(answer).toBe(given[index + 1]);
        }
      }
    }));
  });
});

describe('a session', () => {
  it('that is ended refuses its refresh token, and is known as ended for as long as a grant lives', () => {
    const { id, refreshToken } = sessions.open('alice');
    const other = sessions.open('alice');
    sessions.end(id);
    sessions.end(id);
    sessions.end('unknown');
    expect([refusal(refreshToken), refusal(other.refreshToken)]).toEqual(['SESSION_REVOKED', 'accepted']);
    pass(HOUR_MS - 1);
    sessions.open('bob');
    expect([sessions.hasEnded(id), sessions.hasEnded(other.id)]).toEqual([true, false]);
    pass(60_001);
    sessions.open('bob');
    expect(sessions.hasEnded(id)).toBe(false);
    expect(refusal(refreshToken)).toBe('SESSION_REVOKED');
  });

  it('that was ended is known as ended after a start for as long as a grant lives, whatever the clock says then', () => {
    const { id } = sessions.open('alice');
    sessions.end(id);
    nowMs += 2 * HOUR_MS;
    sessions = open();
    pass(HOUR_MS - 1);
    sessions.open('bob');
    expect(sessions.hasEnded(id)).toBe(true);
    nowMs -= 2 * HOUR_MS;
    pass(60_001);
    sessions.open('bob');
    expect(sessions.hasEnded(id)).toBe(false);
    pass(2 * HOUR_MS);
    expect(open().hasEnded(id)).toBe(false);
  });

  it('that was ended stays so when the wall clock steps ahead and back', () => {
    const { id } = sessions.open('alice');
    sessions.end(id);
    nowMs += 23 * HOUR_MS;
    pass(60_000);
    sessions.open('bob');
    nowMs -= 23 * HOUR_MS;
    expect([sessions.hasEnded(id), open().hasEnded(id)]).toEqual([true, true]);
    pass(HOUR_MS);
    sessions.open('bob');
    expect(sessions.hasEnded(id)).toBe(false);
  });

  it('is over for refreshing when its account logs in often enough, but can still be ended for good', () => {
    const oldest = sessions.open('alice');
    const next = sessions.open('alice');
    const others = sessions.open('bob');
    for (let login = 2; login <= SESSIONS_KEPT_MAX; login += 1) sessions.open('alice');
    expect([refusal(oldest.refreshToken), refusal(next.refreshToken), refusal(others.refreshToken)]).toEqual(['REFRESH_TOKEN_EXPIRED', 'accepted', 'accepted']);
    sessions.end(oldest.id);
    sessions = open();
    expect(sessions.hasEnded(oldest.id)).toBe(true);
  });
});

it('a request digest tells requests apart and does not show them', () => {
  const tokens = createRefreshTokens(SECRET, 'alpha');
  expect(tokens.digest('a')).not.toBe(tokens.digest('b'));
  expect(tokens.digest('request-canary')).not.toContain('canary');
});
