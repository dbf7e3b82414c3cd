// Grants: worth something only at the bank that issued them, and only until they expire.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import { createGrants, type Grants } from './grants.ts';
import { openKeyRing, type KeyRing } from './keys.ts';
import { createSessionTokens } from './session-tokens.ts';

const START_MS = 1_800_000_000_000;

describe('grants', () => {
  let directory: string;
  let keys: KeyRing;
  let otherKeys: KeyRing;
  let grants: Grants;
  let nowMs: number;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'strife-grants-'));
    keys = await openKeyRing({ file: join(directory, 'keys.json') });
    otherKeys = await openKeyRing({ file: join(directory, 'other.json') });
  });

  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  beforeEach(() => {
    nowMs = START_MS;
    grants = createGrants({ keys, bank: 'alpha', nowMs: () => nowMs });
  });

  const alice = { account: 'alice', currency: 'EUR', sessionId: 's-1' };
  const refusalOf = async (grant: string) => {
    const error = await grants.verify(grant).then(() => undefined, (reason: Error & { code?: string }) => reason);
    if (grant.length > 20) expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(grant.slice(-20));
    if (error) expect(error).toMatchObject({ name: 'GrantError', message: expect.stringMatching(/^grant: .+/) });
    return error?.code;
  };

  it('gives back what was granted, for one hour', async () => {
    const { grant, expiresAtMs } = await grants.issue(alice);
    expect(expiresAtMs).toBe(START_MS + 3_600_000);
    expect(await grants.verify(grant)).toEqual({ ...alice, expiresAtMs });
  });

  it('answers at once for a text that was verified, until it expires', async () => {
    const { grant, expiresAtMs } = await grants.issue(alice);
    expect(grants.verifyCached(grant)).toBeUndefined();
    const verified = await grants.verify(grant);
    expect(grants.verifyCached(grant)).toBe(verified);
    expect(Object.isFrozen(verified)).toBe(true);
    nowMs = expiresAtMs - 1;
    expect(grants.verifyCached(grant)).toBe(verified);
    nowMs = expiresAtMs;
    expect(grants.verifyCached(grant)).toBeUndefined();
    expect(await refusalOf(grant)).toBe('GRANT_EXPIRED');
  });

  it('refuses the grants of a session that has ended, remembered ones too, and no others', async () => {
    const ended = new Set<string>();
    const watched = createGrants({ keys, bank: 'alpha', hasEnded: (id) => ended.has(id), nowMs: () => nowMs });
    const { grant } = await watched.issue(alice);
    const other = await watched.issue({ ...alice, sessionId: 's-2' });
    await Promise.all([watched.verify(grant), watched.verify(other.grant)]);
    ended.add('s-1');
    expect(watched.verifyCached(grant)).toBeUndefined();
    await expect(watched.verify(grant)).rejects.toMatchObject({ code: 'SESSION_REVOKED', message: 'grant: its session has ended; log in again' });
    expect(watched.verifyCached(other.grant)).toMatchObject({ sessionId: 's-2' });
  });

  it('never remembers a refused text', async () => {
    const { grant } = await grants.issue(alice);
    const forged = `${grant.slice(0, -4)}AAAA`;
    expect(await refusalOf(forged)).toBe('GRANT_FORGED');
    expect(grants.verifyCached(forged)).toBeUndefined();
    expect(grants.verifyCached('')).toBeUndefined();
  });

  it('refuses no grant, and what does not look like one', async () => {
    expect(await refusalOf('')).toBe('GRANT_MISSING');
    expect(await refusalOf('x')).toBe('GRANT_MALFORMED');
    expect(await refusalOf('x'.repeat(10_000_000))).toBe('GRANT_MALFORMED');
  });

  it('refuses the grant of another bank, with its keys or with ours', async () => {
    const elsewhere = createGrants({ keys: otherKeys, bank: 'beta', nowMs: () => nowMs });
    expect(await refusalOf((await elsewhere.issue(alice)).grant)).toBe('GRANT_ISSUER');
    expect(await refusalOf((await createGrants({ keys, bank: 'beta', nowMs: () => nowMs }).issue(alice)).grant)).toBe('GRANT_ISSUER');
    expect(await refusalOf((await createGrants({ keys: otherKeys, bank: 'alpha', nowMs: () => nowMs }).issue(alice)).grant)).toBe('GRANT_FORGED');
  });

  it('refuses algorithm none, and the public key as an HMAC secret', async () => {
    const claims = { account: 'alice', currency: 'EUR', sid: 's-1', iss: 'alpha', aud: 'alpha', exp: START_MS / 1000 + 60 };
    expect(await refusalOf(new UnsecuredJWT(claims).encode())).toBe('GRANT_FORGED');
    const hmac = new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'strife-grant+jwt', kid: keys.kid });
    expect(await refusalOf(await hmac.sign(Buffer.from(keys.publicJwks().keys[0]!.x, 'base64url')))).toBe('GRANT_FORGED');
  });

  it('refuses a session token, although the same key signed it for the same names', async () => {
    const { token } = await createSessionTokens({ keys, issuer: 'alpha', audience: 'alpha', nowMs: () => nowMs })
      .issue({ account: { bank: 'alpha', account: 'alice' }, currency: 'EUR', grant: 'x', login: { id: 's-1', expiresAtMs: START_MS }, grantExpiresAtMs: START_MS + 60_000 });
    expect(await refusalOf(token)).toBe('GRANT_MALFORMED');
  });

  it.each([
    { ...alice, account: '' }, { ...alice, currency: 'eur' }, { ...alice, currency: 'EURO' }, { ...alice, sessionId: '' },
  ])(
    'refuses a grant with claims of the wrong shape: %j', async (claims) => {
      expect(await refusalOf((await grants.issue(claims)).grant)).toBe('GRANT_MALFORMED');
    });
});
